/** The dialog with the product details of a match. */

import { post } from "./api.js";
import { byId } from "./dom.js";
import { formatPercent } from "./format.js";
import { errorMessage } from "./messages.js";
import { showThumbnail } from "./thumbnail.js";

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

/** @type {AbortController | null} */
let request = null;

/** Close the dialog on its button and on a click outside of it. */
export function initProductDialog() {
  const dialog = byId("product-dialog");
  byId("product-close").addEventListener("click", () => dialog.close());
  // A click on the backdrop has the dialog itself as its target.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => request?.abort());
}

/**
 * Open the dialog for a match and load its product details.
 * @param {import("./state.js").Match} match
 */
export async function openProduct(match) {
  request?.abort();
  request = new AbortController();
  renderMatch(match);
  byId("product-dialog").showModal();
  try {
    const { message } = await post("image_detail", { splitted_image_id: match.splitted_image_id }, request.signal);
    renderProduct(message, match);
  } catch (error) {
    if (error.name !== "AbortError") renderError(error);
  }
}

function renderMatch(match) {
  showThumbnail(byId("product-image"), match);
  byId("product-similarity").textContent = describeSimilarity(match);
  byId("product-title").textContent = match.label ?? "garment";
  byId("product-text").textContent = "Loading product details…";
  byId("product-id").textContent = match.splitted_image_id;
  byId("product-fields").replaceChildren();
  byId("product-link").hidden = true;
}

function describeSimilarity({ similarity, match }) {
  const parts = [
    similarity !== undefined && `Similarity ${similarity.toFixed(2)}`,
    match !== undefined && `${formatPercent(match)} likely to be the same garment`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function renderError(error) {
  const message = error.status === 404 ? "This garment has no product details." : errorMessage(error);
  byId("product-text").textContent = message;
}

function renderProduct(product, match) {
  byId("product-title").textContent = product.product_name ?? match.label ?? "garment";
  byId("product-text").textContent = product.store_description ?? "";
  byId("product-fields").replaceChildren(...FIELDS.flatMap(([name, key]) => createField(name, product[key])));
  const isLink = isWebUrl(product.url);
  byId("product-link").hidden = !isLink;
  if (isLink) byId("product-link").href = product.url;
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
