/** The dialog with the product details of a match. */

import { byId } from "./dom.js";
import { formatPercent } from "./format.js";

/** Names of the listed fields and their keys in the API. */
const FIELDS = [
  ["Brand", "brand"],
  ["Store", "store_name"],
  ["Rating", "rating"],
  ["Sale", "sale_status"],
  ["Sizes", "size"],
  ["Waist", "waist_type"],
  ["Season", "season"],
  ["Listed", "listing_season"],
  ["Tags", "tags"],
];

/** Close the dialog on its button and on a click outside of it. */
export function initProductDialog() {
  const dialog = byId("product-dialog");
  byId("product-close").addEventListener("click", () => dialog.close());
  // A click on the backdrop has the dialog itself as its target.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

/**
 * Open the dialog for a match.
 * @param {import("../../../../infra/widget/state.js").Match} match
 */
export function openProduct(match) {
  const product = match.details ?? {};
  const image = byId("product-image");
  image.hidden = !match.thumbnail_base64;
  if (match.thumbnail_base64) image.src = `data:image/jpeg;base64,${match.thumbnail_base64}`;
  byId("product-similarity").textContent = describeSimilarity(match);
  byId("product-title").textContent = product.product_name ?? match.label ?? "garment";
  byId("product-text").textContent = match.details ? (product.store_description ?? "") : "This garment has no product details.";
  byId("product-id").textContent = match.splitted_image_id;
  const price = match.offer ? [["Price", describePrice(match.offer)]] : [];
  const fields = [...price, ...FIELDS.map(([name, key]) => [name, product[key]])];
  byId("product-fields").replaceChildren(...fields.flatMap(([name, value]) => createField(name, value)));
  const isLink = isWebUrl(product.url);
  byId("product-link").hidden = !isLink;
  if (isLink) byId("product-link").href = product.url;
  byId("product-dialog").showModal();
}

function describeSimilarity({ similarity, match }) {
  const parts = [
    similarity !== undefined && `Similarity ${similarity.toFixed(2)}`,
    match !== undefined && `${match < 0.01 ? "less than 1%" : formatPercent(match)} likely to be the same garment`,
  ];
  return parts.filter(Boolean).join(" · ");
}

const money = ({ amount, currency }) => `${amount} ${currency}`;

function describePrice({ price, sale_price: salePrice }) {
  if (salePrice && price) return `${money(salePrice)} instead of ${money(price)}`;
  return [salePrice ?? price].filter(Boolean).map(money).join("");
}

function createField(name, value) {
  const text = [value ?? []].flat().join(", ");
  if (text === "") return [];
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  description.textContent = text;
  return [term, description];
}

/** Accept http and https only: a stored "javascript:" address would run as a script. */
const isWebUrl = (text) => typeof text === "string" && /^https?:\/\//i.test(text) && URL.canParse(text);
