/** Panels that open below a button: `<details>` elements that close like menus. */

import { byId } from "./dom.js";

/**
 * Close a panel on Escape, and on a click outside of it.
 * @param {string} id Id of the `<details>` element.
 * @param {Element[]} [openers] Other elements that open the panel.
 */
export function initMenu(id, openers = []) {
  const menu = byId(id);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.firstElementChild.focus();
  });
  document.addEventListener("click", ({ target }) => {
    if (!menu.contains(target) && !openers.includes(target)) menu.open = false;
  });
}
