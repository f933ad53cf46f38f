/** A form that edits the fields of a product, and shows which of them are kept over the values of its feed. */

import { formatTime } from "../js/format.js";
import { button, element, field } from "./elements.js";
import { patch } from "./http.js";
import { announce, runAction } from "./messages.js";

const FIELDS = [
  ["title", "Name"],
  ["brand", "Brand"],
  ["price", "Price, such as 79.99 EUR"],
  ["sale_price", "Sale price"],
  ["link", "Link to the shop"],
  ["availability", "Availability"],
  ["product_type", "Product type"],
  ["google_product_category", "Google’s category"],
  ["size", "Sizes, separated by semicolons"],
  ["color", "Color"],
  ["material", "Material"],
  ["pattern", "Pattern"],
  ["gender", "Gender"],
  ["age_group", "Age group"],
  ["item_group_id", "Group of variants"],
  ["description", "Description"],
];
const FIXED = new Set(["image_id"]);

/**
 * Return the text of a value as a feed has it.
 * @param {null | string | string[] | {amount: string, currency: string}} value
 */
export function valueText(value) {
  if (Array.isArray(value)) return value.join("; ");
  return value && typeof value === "object" ? `${value.amount} ${value.currency}` : value ?? "";
}

/**
 * Return the form.
 * @param {any} product
 * @param {() => unknown} reload Shows the product again after a change.
 */
export function productForm(product, reload) {
  const edits = new Map(product.edits.map((edit) => [edit.field, edit]));
  const own = new Set(FIELDS.map(([name]) => name));
  // an edited column without a value is not among the columns
  const others = [...new Set([...Object.keys(product.columns), ...edits.keys()])].filter((name) => !own.has(name) && !FIXED.has(name));
  const controls = new Map([
    ...FIELDS.map(([name]) => [name, control(name, valueText(product[name]))]),
    ...others.map((name) => [name, control(name, product.columns[name] ?? "")]),
  ]);
  // Read from the controls, which change line breaks: a field that was left alone must not become an edit.
  const before = new Map([...controls].map(([name, { value }]) => [name, value.trim()]));
  const labels = new Map([...FIELDS, ...others.map((name) => [name, name])]);
  const newName = element("input", { type: "text", maxlength: 255, spellcheck: "false" });
  const newValue = element("input", { type: "text" });
  const submit = element("button", { type: "submit", class: "primary", text: "Save" });
  const form = element(
    "form",
    { class: "panel form-grid" },
    [...controls].map(([name, input]) => fieldWithEdit(labels.get(name), input, edits.get(name), send)),
    field("Another column", newName, "Its name, such as fabric"),
    field("Its value", newValue),
    element("div", { class: "button-row" }, submit),
  );

  async function send(body) {
    announce((await patch(`products/${encodeURIComponent(product.id)}`, body)).message);
    await reload();
  }

  function changes() {
    const changed = [...controls].map(([name, { value }]) => [name, value.trim()]).filter(([name, value]) => value !== before.get(name));
    if (newName.value.trim()) changed.push([newName.value.trim(), newValue.value.trim()]);
    return Object.fromEntries(changed.map(([name, value]) => [name, value || null]));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const columns = changes();
    if (Object.keys(columns).length) void runAction(submit, form, () => send({ columns }));
    else announce("Nothing was changed");
  });
  return form;
}

const control = (name, value) =>
  name === "description" ? element("textarea", { rows: 3, maxlength: 16_000, value }) : element("input", { type: "text", value, spellcheck: "false" });

function fieldWithEdit(label, input, edit, send) {
  const isWide = input.tagName === "TEXTAREA";
  if (!edit) {
    const shown = field(label, input);
    if (isWide) shown.classList.add("wide");
    return shown;
  }
  const of = valueText(edit.feed_value);
  const author = edit.by_name ?? edit.by ?? "a user who was erased";
  const shown = field(label, input, `Edited by ${author}, ${formatTime(edit.at)}. The feed has ${of ? `“${of}”` : "no value"}.`);
  const restore = button("Use the feed’s value", () => runAction(restore, shown, () => send({ use_feed_value: [edit.field] })), { "aria-label": `Use the feed’s value of ${label}` });
  shown.append(restore);
  if (isWide) shown.classList.add("wide");
  return shown;
}
