/** The garments found in the photo: bounding boxes, labels and buttons, and which one is selected. */

import { byId, cloneTemplate } from "./dom.js";
import { formatPercent } from "./format.js";
import { boxStyle } from "./geometry.js";
import { placeLabels } from "./labels.js";
import { state } from "./state.js";

/** Number of colors in style.css. */
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
  return groups.toSorted((a, b) => area(b) - area(a));
}

/**
 * Show the garments of `state.groups`.
 * @param {(index: number) => void} onSelect Called when the user selects a garment.
 */
export function renderGarments(onSelect) {
  const renderAll = (create) => state.groups.map((group, index) => makeSelectable(create(group), index, onSelect));
  byId("bounding-boxes").replaceChildren(...renderAll(createBox));
  // Labels have their own layer, so that no box is drawn across them.
  byId("box-labels").replaceChildren(...renderAll(createLabel));
  byId("garment-buttons").replaceChildren(...renderAll(createButton));
  placeLabels();
}

/** Remove all garments. */
export function clearGarments() {
  for (const id of ["bounding-boxes", "box-labels", "garment-buttons"]) byId(id).replaceChildren();
  byId("selection-mask").hidden = true;
}

/**
 * Mark a garment as selected, and darken the photo around it or around another area.
 * @param {number | null} index `null` if no garment is selected.
 * @param {import("./state.js").Box | undefined} box The area that stays bright.
 */
export function markSelected(index, box) {
  for (const element of document.querySelectorAll("[data-group]")) {
    element.setAttribute("aria-pressed", element.dataset.group === String(index));
  }
  byId("selection-mask").hidden = !box || !state.size;
  if (box && state.size) Object.assign(byId("selection-mask").style, boxStyle(box, state.size));
}

function createBox(group) {
  const button = cloneTemplate("box-template");
  Object.assign(button.style, boxStyle(group.bounding_box, state.size));
  button.setAttribute("aria-label", caption(group));
  return button;
}

function createLabel(group) {
  const label = cloneTemplate("label-template");
  label.textContent = caption(group);
  return label;
}

function createButton(group) {
  const button = cloneTemplate("garment-template");
  button.querySelector(".name").textContent = nameOf(group);
  button.querySelector(".score").textContent = formatPercent(group.score);
  return button;
}

function makeSelectable(element, index, onSelect) {
  element.dataset.color = colorOf(index);
  element.dataset.group = index;
  element.addEventListener("click", () => onSelect(index));
  // The box, the label and the button of a garment are highlighted together.
  const highlight = (isOn) => {
    const elements = document.querySelectorAll(`[data-group="${index}"]`);
    for (const other of elements) other.classList.toggle("highlighted", isOn);
  };
  element.addEventListener("pointerenter", () => highlight(true));
  element.addEventListener("pointerleave", () => highlight(false));
  return element;
}

const nameOf = (group) => group.label ?? "whole photo";
const caption = (group) => `${nameOf(group)} ${formatPercent(group.score)}`.trim();
