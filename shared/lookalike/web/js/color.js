/** The panel that sets the color to search for. */

import { BASIC_COLORS, colorName } from "./basic-colors.js";
import { byId } from "./dom.js";
import { initMenu } from "./menu.js";
import { state } from "./state.js";

/**
 * Call `onChange` when the user sets or removes the color.
 * @param {() => void} onChange
 */
export function initColor(onChange) {
  const setColor = (color) => {
    state.color = color;
    byId("color").open = false;
    byId("color").firstElementChild.focus();
    onChange();
  };
  const setNear = (near) => setColor({ near, within: byId("color-within").valueAsNumber });
  initMenu("color");
  byId("basic-colors").replaceChildren(...Object.entries(BASIC_COLORS).map((color) => createSwatch(...color, setNear)));
  byId("color-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setNear(byId("color-near").value);
  });
  byId("color-remove").addEventListener("click", () => setColor(null));
  byId("color-within").addEventListener("input", renderTolerance);
}

/** Show the color of the state. */
export function renderColor() {
  const { color } = state;
  byId("color-swatch").classList.toggle("is-set", color !== null);
  byId("color-swatch").style.backgroundColor = color?.near ?? "";
  byId("color-name").textContent = color ? `Color: ${colorName(color.near)}` : "Color";
  byId("color-remove").hidden = color === null;
  if (color) {
    byId("color-near").value = color.near;
    byId("color-within").valueAsNumber = color.within;
  }
  renderTolerance();
}

function createSwatch(name, code, onSelect) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = name;
  button.setAttribute("aria-label", name);
  button.style.backgroundColor = code;
  button.addEventListener("click", () => onSelect(code));
  return button;
}

function renderTolerance() {
  byId("color-tolerance").textContent = byId("color-within").value;
}
