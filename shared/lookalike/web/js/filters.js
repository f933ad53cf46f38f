/** Filters: the values of some fields with their counts, and one result per product. */

import { BASIC_COLORS, WORD_TOLERANCE } from "./basic-colors.js";
import { fieldName } from "./describe.js";
import { byId, cloneTemplate } from "./dom.js";
import { FACET_FIELDS } from "./request.js";
import { state } from "./state.js";

/** Values of a field that are shown at first. */
const VISIBLE_COUNT = 10;

let onChange = () => {};

/**
 * Call `onFiltersChange` when the user sets or removes a filter.
 * @param {() => void} onFiltersChange
 */
export function initFilters(onFiltersChange) {
  onChange = onFiltersChange;
  byId("group-products").addEventListener("change", ({ target }) => {
    state.isGrouped = target.checked;
    onChange();
  });
}

/**
 * Show the counts of a response. Filters in use are shown even if they match nothing.
 * @param {import("./state.js").SearchResponse["facets"]} facets
 */
export function renderFilters(facets) {
  const focused = document.activeElement?.dataset.facet;
  const sections = FACET_FIELDS.map((field) => createSection(field, addSelected(field, facets[field] ?? []))).filter(Boolean);
  byId("facets").replaceChildren(...sections);
  byId("filters").hidden = sections.length === 0 && !state.isGrouped;
  const count = Object.keys(state.filter).length + Number(state.isGrouped);
  byId("filters-title").textContent = count ? `Filters (${count})` : "Filters";
  byId("group-products").checked = state.isGrouped;
  const find = (key) => Array.from(byId("facets").querySelectorAll("button")).find((one) => one.dataset.facet === key);
  if (focused) (find(focused) ?? byId("filters-title").parentElement).focus();
}

function addSelected(field, values) {
  const missing = (state.filter[field] ?? []).filter((value) => values.every((one) => one.value !== value));
  return [...missing.map((value) => ({ value, count: 0 })), ...values];
}

function createSection(field, values) {
  if (!values.length) return null;
  const section = cloneTemplate("facet-template");
  section.querySelector("legend").textContent = fieldName(field);
  const buttons = values.map((value) => createButton(field, value)).filter(Boolean);
  for (const button of buttons.slice(VISIBLE_COUNT)) button.hidden = true;
  const list = section.querySelector(".facet-values");
  list.append(...buttons, ...(buttons.length > VISIBLE_COUNT ? [createMoreButton(buttons)] : []));
  return section;
}

function createMoreButton(buttons) {
  const more = document.createElement("button");
  more.type = "button";
  more.className = "secondary";
  more.textContent = `${buttons.length - VISIBLE_COUNT} more`;
  more.addEventListener("click", () => {
    for (const button of buttons) button.hidden = false;
    buttons[VISIBLE_COUNT].focus();
    more.remove();
  });
  return more;
}

function createButton(field, { value, count }) {
  const color = field === "color" ? BASIC_COLORS[value] : null;
  // A color without a code cannot be searched for.
  if (field === "color" && !color) return null;
  const button = cloneTemplate("facet-value-template");
  button.dataset.facet = `${field}=${value}`;
  button.querySelector(".facet-name").textContent = value;
  button.querySelector(".facet-count").textContent = count.toLocaleString("en");
  button.querySelector(".swatch").hidden = !color;
  if (color) button.querySelector(".swatch").style.backgroundColor = color;
  const isSelected = color ? state.color?.near === color : state.filter[field]?.includes(value) === true;
  button.setAttribute("aria-pressed", isSelected);
  button.addEventListener("click", () => {
    if (color) state.color = isSelected ? null : { near: color, within: WORD_TOLERANCE };
    else toggle(field, value);
    onChange();
  });
  return button;
}

function toggle(field, value) {
  const { [field]: selected = [], ...others } = state.filter;
  const values = selected.includes(value) ? selected.filter((one) => one !== value) : [...selected, value];
  state.filter = values.length ? { ...others, [field]: values } : others;
}
