/** A form for the product details of a garment or of its photo. */

import { element, field } from "./elements.js";
import { put } from "./http.js";
import { announce, runAction } from "./messages.js";

/** Name, text, and kind of each field. Lists are separated by commas. */
const FIELDS = [
  ["product_name", "Product"],
  ["brand", "Brand"],
  ["store_name", "Shop"],
  ["url", "Link to the shop"],
  ["sale_status", "Sale"],
  ["season", "Season"],
  ["listing_season", "Listed in season"],
  ["waist_type", "Waist"],
  ["size", "Sizes, separated by commas", "list"],
  ["tags", "Tags, separated by commas", "list"],
  ["rating", "Rating, 0 to 5", "number"],
  ["store_description", "Description", "text"],
];

/**
 * Return the form.
 * @param {string} name Name of the garment or photo.
 * @param {Record<string, any>} details Stored details.
 */
export function detailsForm(name, details) {
  const controls = new Map(FIELDS.map(([key, , kind]) => [key, control(kind, details[key])]));
  const submit = element("button", { type: "submit", text: "Save details" });
  const form = element(
    "form",
    { class: "panel form-grid" },
    FIELDS.map(([key, text, kind]) => {
      const labeled = field(text, controls.get(key));
      if (kind === "text") labeled.classList.add("wide");
      return labeled;
    }),
    element("div", { class: "button-row" }, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void runAction(submit, form, async () => {
      const values = FIELDS.map(([key, , kind]) => [key, read(kind, controls.get(key))]);
      announce((await put(`image_detail/${encodeURIComponent(name)}`, Object.fromEntries(values))).message);
    });
  });
  return form;
}

function control(kind, value) {
  if (kind === "text") return element("textarea", { rows: 3, maxlength: 16_000, value: value ?? "" });
  if (kind === "number") return element("input", { type: "number", min: 0, max: 5, step: "any", value: value ?? "" });
  const text = kind === "list" ? (value ?? []).join(", ") : value ?? "";
  return element("input", { type: "text", maxlength: kind === "list" ? 2000 : 255, value: text });
}

function read(kind, { value, valueAsNumber }) {
  if (value.trim() === "") return null;
  if (kind === "number") return valueAsNumber;
  return kind === "list" ? value.split(",").map((item) => item.trim()).filter(Boolean) : value.trim();
}
