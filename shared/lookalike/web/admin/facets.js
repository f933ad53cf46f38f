/** Buttons that filter a list by the values of its fields. */

import { button, element } from "./elements.js";

const MAX_VALUES = 12;

/**
 * Return the buttons of each field with values. Pressing one sets or removes its condition.
 * @param {Record<string, Array<{value: string | number, count: number}>>} facets
 * @param {Record<string, unknown>} filter Conditions by field, which are changed.
 * @param {() => unknown} reload
 */
export function facetButtons(facets, filter, reload) {
  const shown = Object.entries(facets ?? {}).filter(([, values]) => values.length);
  return element("div", { class: "stack" }, shown.map(([name, values]) => facet(name, values, filter, reload)));
}

function facet(name, values, filter, reload) {
  const shown = values.filter(({ value }, index) => index < MAX_VALUES || filter[name] === value);
  const buttons = shown.map(({ value, count }) => {
    const isPressed = filter[name] === value;
    const toggle = () => {
      if (isPressed) delete filter[name];
      else filter[name] = value;
      return reload();
    };
    return button(`${value} (${count.toLocaleString("en")})`, toggle, { "aria-pressed": String(isPressed) });
  });
  return element("div", { class: "facets", role: "group", "aria-label": name.replaceAll("_", " ") }, element("span", { class: "facet-name", text: name.replaceAll("_", " ") }), buttons);
}
