/** The garments found in the photo: bounding boxes, labels and buttons, and which one is selected. */

import { boxStyle } from "./geometry.js";
import { placeLabels } from "./labels.js";

/** Number of colors in widget.css. */
const COLOR_COUNT = 10;

/**
 * Return the number of the color that marks a garment.
 * @param {number} index Index of the group in the response.
 */
export const colorOf = (index) => index % COLOR_COUNT;

/**
 * Return the groups ordered by the area of their boxes, largest first. Large garments matter most. Smaller boxes
 * then lie above larger ones and stay clickable.
 * @param {import("./state.js").MatchGroup[]} groups
 */
export function sortByArea(groups) {
  const area = ({ bounding_box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  return [...groups].sort((a, b) => area(b) - area(a));
}

/**
 * Show the garments of `state.groups`.
 * @param {import("./context.js").Context} ui
 * @param {(index: number) => void} onSelect Called when the user selects a garment.
 */
export function renderGarments(ui, onSelect) {
  const renderAll = (create) => ui.state.groups.map((group, index) => makeSelectable(ui, create(ui, group), index, onSelect));
  ui.byId("bounding-boxes").replaceChildren(...renderAll(createBox));
  // Labels have their own layer, so that no box is drawn across them.
  ui.byId("box-labels").replaceChildren(...renderAll(createLabel));
  ui.byId("garment-buttons").replaceChildren(...renderAll(createButton));
  placeLabels(ui);
}

/**
 * Remove all garments.
 * @param {import("./context.js").Context} ui
 */
export function clearGarments(ui) {
  for (const id of ["bounding-boxes", "box-labels", "garment-buttons"]) ui.byId(id).replaceChildren();
  ui.byId("selection-mask").hidden = true;
}

/**
 * Mark the selected garment or area, and darken the photo around it.
 * @param {import("./context.js").Context} ui
 */
export function markSelection(ui) {
  const { ownBox, selected, groups, size } = ui.state;
  const box = ownBox ?? groups?.[selected]?.bounding_box;
  for (const element of ui.root.querySelectorAll("button[data-group]")) {
    element.setAttribute("aria-pressed", !ownBox && element.dataset.group === String(selected));
  }
  for (const label of ui.byId("box-labels").children) {
    label.classList.toggle("is-selected", !ownBox && label.dataset.group === String(selected));
  }
  ui.byId("selection-mask").hidden = !box || !size;
  if (box && size) Object.assign(ui.byId("selection-mask").style, boxStyle(box, size));
}

function createBox(ui, group) {
  const button = ui.create("box");
  Object.assign(button.style, boxStyle(group.bounding_box, ui.state.size));
  button.setAttribute("aria-label", caption(ui, group));
  return button;
}

function createLabel(ui, group) {
  const label = ui.create("label");
  label.textContent = caption(ui, group);
  return label;
}

function createButton(ui, group) {
  const button = ui.create("garment");
  button.querySelector(".name").textContent = nameOf(ui, group);
  button.querySelector(".score").textContent = ui.translator.percent(group.score);
  return button;
}

function makeSelectable(ui, element, index, onSelect) {
  element.dataset.color = colorOf(index);
  element.dataset.group = index;
  element.addEventListener("click", () => onSelect(index));
  // The box, the label and the button of a garment are highlighted together.
  const highlight = (isOn) => {
    const elements = ui.root.querySelectorAll(`[data-group="${index}"]`);
    for (const other of elements) other.classList.toggle("highlighted", isOn);
  };
  element.addEventListener("pointerenter", () => highlight(true));
  element.addEventListener("pointerleave", () => highlight(false));
  return element;
}

const nameOf = (ui, { label }) => (label === null ? ui.text("whole-photo") : ui.translator.name("label", label));
const caption = (ui, group) => `${nameOf(ui, group)} ${ui.translator.percent(group.score)}`.trim();
