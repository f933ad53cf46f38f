/** The panel that sets the color to search for. */

import { BASIC_COLORS, colorName } from "./basic-colors.js";

/**
 * Call `onChange` when the user sets or removes the color.
 * @param {import("./context.js").Context} ui
 * @param {() => void} onChange
 */
export function initColor(ui, onChange) {
  const panel = ui.byId("color");
  const setColor = (color) => {
    ui.state.color = color;
    closePanel(panel);
    onChange();
  };
  const setNear = (near) => setColor({ near, within: ui.byId("color-within").valueAsNumber });
  ui.byId("basic-colors").replaceChildren(...Object.entries(BASIC_COLORS).map((color) => createSwatch(...color, setNear)));
  ui.byId("color-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setNear(ui.byId("color-near").value);
  });
  ui.byId("color-remove").addEventListener("click", () => setColor(null));
  ui.byId("color-within").addEventListener("input", () => renderTolerance(ui));
  closeLikeMenu(ui, panel);
}

/**
 * Show the color of the state.
 * @param {import("./context.js").Context} ui
 */
export function renderColor(ui) {
  const { color } = ui.state;
  const swatch = ui.byId("color-swatch");
  swatch.classList.toggle("is-set", color !== null);
  swatch.style.backgroundColor = color?.near ?? "";
  const name = color && ui.translator.name("color", colorName(color.near));
  ui.byId("color-name").textContent = color ? ui.text("color-set", { name }) : ui.text("color");
  ui.byId("color-remove").hidden = color === null;
  if (color) {
    ui.byId("color-near").value = color.near;
    ui.byId("color-within").valueAsNumber = color.within;
  }
  renderTolerance(ui);
  for (const button of ui.byId("basic-colors").children) {
    button.title = ui.translator.name("color", button.dataset.name);
    button.setAttribute("aria-label", button.title);
  }
}

function closePanel(panel) {
  panel.open = false;
  panel.firstElementChild.focus();
}

/** Close on Escape, and on a click outside. */
function closeLikeMenu(ui, panel) {
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel.open) return;
    event.preventDefault();
    event.stopPropagation();
    closePanel(panel);
  });
  ui.onOutsideClick = (event) => event.composedPath().includes(panel) || (panel.open = false);
}

function createSwatch(name, code, onSelect) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  button.style.backgroundColor = code;
  button.addEventListener("click", () => onSelect(code));
  return button;
}

function renderTolerance(ui) {
  ui.byId("color-tolerance").textContent = ui.byId("color-within").value;
}
