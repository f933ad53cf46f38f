/** The dialog with the product details of a match. */

import { byId } from "./dom.js";
import { currentTranslator, text } from "./language.js";

/** Fields of the product details, in the order in which they are listed. */
const FIELDS = ["brand", "store_name", "rating", "sale_status", "size", "waist_type", "season", "listing_season", "tags"];

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
  byId("product-title").textContent = product.product_name ?? currentTranslator().name("label", match.label ?? text("garment"));
  byId("product-text").textContent = match.details ? (product.store_description ?? "") : text("no-details");
  byId("product-id").textContent = match.splitted_image_id;
  const price = match.offer ? [["price", describePrice(match.offer)]] : [];
  const fields = [...price, ...FIELDS.map((name) => [name, product[name]])];
  byId("product-fields").replaceChildren(...fields.flatMap(([name, value]) => createField(name, value)));
  const isLink = isWebUrl(product.url);
  byId("product-link").hidden = !isLink;
  if (isLink) byId("product-link").href = product.url;
  byId("product-dialog").showModal();
}

function describeSimilarity({ similarity, match }) {
  const parts = [
    similarity !== undefined && text("similarity", { value: formatSimilarity(similarity) }),
    match !== undefined && text("same-garment", { chance: currentTranslator().chance(match) }),
  ];
  return parts.filter(Boolean).join(" · ");
}

const formatSimilarity = (similarity) =>
  similarity.toLocaleString(currentTranslator().language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

function describePrice({ price, sale_price: salePrice }) {
  const [current, regular] = [salePrice ?? price, price].map((money) => (money ? currentTranslator().price(money) : ""));
  return salePrice && price ? text("sale-price", { price: current, regular }) : current;
}

function createField(name, value) {
  const values = [value ?? []].flat().join(", ");
  if (values === "") return [];
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = text(`field.${name}`);
  description.textContent = values;
  return [term, description];
}

/** Accept http and https only: a stored "javascript:" address would run as a script. */
const isWebUrl = (url) => typeof url === "string" && /^https?:\/\//i.test(url) && URL.canParse(url);
