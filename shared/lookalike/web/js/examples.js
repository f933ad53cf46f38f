/** The examples in use, as a row of small images that can be removed: the photo, and stored garments. */

import { describeSelection } from "./describe.js";
import { byId, cloneTemplate } from "./dom.js";
import { cropStyle } from "./geometry.js";
import { clearGarments } from "./garments.js";
import { clearPhoto, getPhotoUrl } from "./photo.js";
import { state } from "./state.js";

let onChange = () => {};

/**
 * Call `onExamplesChange` when the user adds or removes an example.
 * @param {() => void} onExamplesChange
 */
export function initExamples(onExamplesChange) {
  onChange = onExamplesChange;
  byId("remove-photo").addEventListener("click", () => {
    removePhoto();
    byId("matches-title").focus();
  });
}

/**
 * Search for garments that are more, or less, like a match.
 * @param {import("./state.js").Match} match
 * @param {number} weight Negative for less.
 */
export function addExample(match, weight) {
  state.examples = [...state.examples.filter((one) => one.match.id !== match.id), { match, weight }];
  onChange();
}

/** Show the examples of the state. A photo on its own is visible already. */
export function renderExamples() {
  const chips = state.examples.map(createGarmentChip);
  if (state.photo && chips.length) chips.unshift(createPhotoChip());
  byId("example-list").replaceChildren(...chips);
  byId("examples").hidden = chips.length === 0;
}

function createPhotoChip() {
  const box = state.ownBox ?? state.groups?.[state.selected]?.bounding_box;
  const style = box && state.size ? cropStyle(box, state.size) : {};
  return createChip(`url("${getPhotoUrl()}")`, describeSelection(state), 1, removePhoto, style);
}

function createGarmentChip({ match, weight }) {
  const image = match.thumbnail_base64 ? `url("data:image/jpeg;base64,${match.thumbnail_base64}")` : "none";
  return createChip(image, match.label ?? "garment", weight, () => removeExample(match.id));
}

function createChip(image, name, weight, remove, style = {}) {
  const chip = cloneTemplate("chip-template");
  const find = (part) => chip.querySelector(`.${part}`);
  Object.assign(find("chip-image").style, { backgroundImage: image, ...style });
  find("chip-sign").textContent = weight > 0 ? "+" : "−";
  find("chip-meaning").textContent = weight > 0 ? "More like:" : "Less like:";
  find("chip-name").textContent = name;
  chip.classList.toggle("is-negative", weight < 0);
  const button = chip.querySelector("button");
  button.setAttribute("aria-label", `Remove ${name}`);
  button.addEventListener("click", () => removeAndKeepFocus(chip, remove));
  return chip;
}

function removeAndKeepFocus(chip, remove) {
  const index = Array.from(chip.parentElement.children).indexOf(chip);
  remove();
  const buttons = byId("example-list").querySelectorAll("button");
  (buttons[Math.min(index, buttons.length - 1)] ?? byId("matches-title")).focus();
}

function removeExample(id) {
  state.examples = state.examples.filter(({ match }) => match.id !== id);
  onChange();
}

function removePhoto() {
  clearPhoto();
  clearGarments();
  onChange();
}
