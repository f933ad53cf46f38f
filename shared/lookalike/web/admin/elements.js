/** Builds elements. Text is always set as text, never as HTML. */

/**
 * Return a new element.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] Attributes, listeners as `onclick`, and `text`. `null` and `false` are left out.
 * @param {...(Node | string | null | undefined | false | Array<Node | string>)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(created, name, value);
  created.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return created;
}

function setProperty(created, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "text") created.textContent = value;
  else if (name.startsWith("on")) created.addEventListener(name.slice(2), value);
  // Of other controls, the attribute is the value to which their form is reset.
  else if (name === "value" && created instanceof HTMLTextAreaElement) created.value = value;
  else created.setAttribute(name, value === true ? "" : value);
}

/**
 * Return a button.
 * @param {string} text
 * @param {(event: Event) => unknown} onclick
 * @param {Record<string, unknown>} [properties]
 */
export const button = (text, onclick, properties = {}) => element("button", { type: "button", onclick, text, ...properties });

let fieldCount = 0;

/**
 * Return a labeled control with an optional hint.
 * @param {string} text
 * @param {HTMLElement} control
 * @param {string} [hint]
 */
export function field(text, control, hint) {
  fieldCount += 1;
  control.id ||= `field-${fieldCount}`;
  const label = element("label", { for: control.id, text });
  if (!hint) return element("div", { class: "field" }, label, control);
  control.setAttribute("aria-describedby", `${control.id}-hint`);
  return element("div", { class: "field" }, label, control, element("p", { class: "hint", id: `${control.id}-hint`, text: hint }));
}

/**
 * Return a checkbox with its label.
 * @param {string} text
 * @param {HTMLInputElement} control
 */
export const checkbox = (text, control) => element("label", { class: "checkbox" }, control, ` ${text}`);

/**
 * Return a choice of texts.
 * @param {Array<[value: string, text: string]>} options
 * @param {string} [selected]
 * @param {Record<string, unknown>} [properties]
 */
export const select = (options, selected, properties = {}) =>
  element(
    "select",
    properties,
    options.map(([value, text]) => element("option", { value, selected: value === selected, text })),
  );

/**
 * Return a table in a frame that scrolls sideways.
 * @param {string} caption Read by screen readers.
 * @param {string[]} headings An empty heading is that of a column with buttons.
 * @param {Array<Array<Node | string | null | Array<Node | string>>>} rows
 */
export function table(caption, headings, rows) {
  const heading = (text) => element("th", { scope: "col" }, text || element("span", { class: "visually-hidden", text: "Actions" }));
  const cell = (content) => element("td", {}, content ?? "–");
  return element(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", { class: "visually-hidden", text: caption }),
      element("thead", {}, element("tr", {}, headings.map(heading))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map(cell)))),
    ),
  );
}

/**
 * Return a list of names and values.
 * @param {Array<[string, Node | string | null]>} pairs
 */
export const definitions = (pairs) =>
  element(
    "dl",
    {},
    pairs.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", {}, value ?? "–"))),
  );

/**
 * Return the heading of a section with its buttons.
 * @param {string} title
 * @param {string} text
 * @param {...HTMLElement} actions
 */
export const sectionHeader = (title, text, ...actions) =>
  element(
    "div",
    { class: "section-header" },
    element("div", {}, element("h2", { tabindex: "-1", text: title }), element("p", { class: "hint", text })),
    actions.length ? element("div", { class: "button-row" }, actions) : null,
  );
