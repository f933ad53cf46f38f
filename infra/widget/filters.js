/** Filters: the values of some fields with their counts, and one result per product. */

import { BASIC_COLORS, WORD_TOLERANCE } from "./basic-colors.js";

/** Values of a field that are shown at first. */
const VISIBLE_COUNT = 10;
const DEFAULT_FIELDS = "label color brand season";

/**
 * Return the fields whose values are offered as filters.
 * @param {import("./context.js").Context} ui
 * @returns {string[]}
 */
export const facetFields = (ui) => (ui.host.getAttribute("facets") ?? DEFAULT_FIELDS).split(/\s+/).filter(Boolean);

/** Shows the filters of a widget. */
export class Filters {
  /**
   * @param {import("./context.js").Context} ui
   * @param {() => void} onChange Called when the user sets or removes a filter.
   */
  constructor(ui, onChange) {
    Object.assign(this, { ui, onChange });
    ui.byId("group-products").addEventListener("change", ({ target }) => {
      ui.state.isGrouped = target.checked;
      onChange();
    });
  }

  /**
   * Show the counts of a response. Filters in use are shown even if they match nothing.
   * @param {import("./state.js").SearchResponse["facets"]} facets
   */
  render(facets) {
    const { filter, isGrouped } = this.ui.state;
    const focused = this.ui.root.activeElement?.dataset.facet;
    const sections = facetFields(this.ui).map((field) => this.#createSection(field, facets[field] ?? []));
    this.ui.byId("facets").replaceChildren(...sections.filter(Boolean));
    this.ui.byId("filters").hidden = !sections.some(Boolean) && !isGrouped;
    const count = Object.keys(filter).length + Number(isGrouped);
    this.ui.byId("filters-title").textContent = count ? this.ui.text("filters-set", { count }) : this.ui.text("filters");
    this.ui.byId("group-products").checked = isGrouped;
    if (focused) this.#restoreFocus(focused);
  }

  /** The buttons are new ones, so the focus has to follow. */
  #restoreFocus(key) {
    const button = Array.from(this.ui.byId("facets").querySelectorAll("button")).find((one) => one.dataset.facet === key);
    (button ?? this.ui.byId("filters").firstElementChild).focus();
  }

  #createSection(field, found) {
    const selected = [this.ui.state.filter[field] ?? []].flat().filter((value) => typeof value !== "object");
    const missing = selected.filter((value) => found.every((one) => one.value !== value));
    const values = [...missing.map((value) => ({ value, count: 0 })), ...found];
    const buttons = values.map((value) => this.#createButton(field, value)).filter(Boolean);
    if (!buttons.length) return null;
    const section = this.ui.create("facet");
    section.querySelector("legend").textContent = this.ui.translator.name("field", field);
    for (const button of buttons.slice(VISIBLE_COUNT)) button.hidden = true;
    const more = buttons.length > VISIBLE_COUNT ? [this.#createMoreButton(buttons)] : [];
    section.querySelector(".facet-values").append(...buttons, ...more);
    return section;
  }

  #createMoreButton(buttons) {
    const more = document.createElement("button");
    more.type = "button";
    more.className = "secondary";
    more.textContent = this.ui.text("more-values", { count: buttons.length - VISIBLE_COUNT });
    more.addEventListener("click", () => {
      for (const button of buttons) button.hidden = false;
      buttons[VISIBLE_COUNT].focus();
      more.remove();
    });
    return more;
  }

  #createButton(field, { value, count }) {
    const color = field === "color" ? BASIC_COLORS[value] : null;
    // A color without a code cannot be searched for.
    if (field === "color" && !color) return null;
    const button = this.ui.create("facet-value");
    button.dataset.facet = `${field}=${value}`;
    const isTranslated = field === "label" || field === "color";
    button.querySelector(".facet-name").textContent = isTranslated ? this.ui.translator.name(field, value) : value;
    button.querySelector(".facet-count").textContent = count.toLocaleString(this.ui.translator.language);
    button.querySelector(".swatch").hidden = !color;
    if (color) button.querySelector(".swatch").style.backgroundColor = color;
    const { state } = this.ui;
    const isSelected = color ? state.color?.near === color : [state.filter[field]].flat().includes(value);
    button.setAttribute("aria-pressed", isSelected);
    button.addEventListener("click", () => {
      if (color) state.color = isSelected ? null : { near: color, within: WORD_TOLERANCE };
      else toggle(state, field, value);
      this.onChange();
    });
    return button;
  }
}

function toggle(state, field, value) {
  const { [field]: selected = [], ...others } = state.filter;
  const known = [selected].flat();
  const values = known.includes(value) ? known.filter((one) => one !== value) : [...known, value];
  state.filter = values.length ? { ...others, [field]: values } : others;
}
