/** The list of matches for the selected garment. */

import { byId, cloneTemplate } from "./dom.js";
import { formatCount } from "./format.js";
import { colorOf } from "./garments.js";
import { openProduct } from "./product.js";
import { state } from "./state.js";
import { showThumbnail } from "./thumbnail.js";

/** CIELAB distance below which two colors are called similar. */
const SIMILAR_COLOR_DISTANCE = 10;
const PLACEHOLDER_COUNT = 8;

/**
 * Show the matches of one garment of `state.response`.
 * @param {number} index
 */
export function renderMatches(index) {
  const { label, results } = state.response.groups[index];
  const isEmpty = state.response.index?.rows === 0;
  const title = label ? `Matches for: ${label}` : "Matches for the whole photo";
  byId("matches-title").textContent = isEmpty ? "The catalog is empty" : title;
  byId("matches-summary").textContent = isEmpty ? "" : summarize(results);
  byId("empty-catalog").hidden = !isEmpty;
  byId("match-list").dataset.color = colorOf(index);
  byId("match-list").replaceChildren(...results.map(createCard));
}

/** Replace the matches with placeholders while a search runs. */
export function showPlaceholders() {
  byId("matches-title").textContent = "";
  byId("matches-summary").textContent = "";
  byId("empty-catalog").hidden = true;
  byId("match-list").replaceChildren(...Array.from({ length: PLACEHOLDER_COUNT }, createPlaceholder));
}

/** Remove the placeholders. */
export function clearPlaceholders() {
  for (const item of document.querySelectorAll(".placeholder")) item.remove();
}

function createPlaceholder() {
  const item = document.createElement("li");
  item.className = "placeholder";
  item.setAttribute("aria-hidden", "true");
  return item;
}

function summarize(matches) {
  if (!matches.length) return "The catalog has no similar garments.";
  return `${formatCount(matches.length, "match", "matches")}, best first. Identical images have a similarity of 1.`;
}

function createCard(match) {
  const item = cloneTemplate("match-template");
  const find = (name) => item.querySelector(`.${name}`);
  showThumbnail(item.querySelector("img"), match);
  find("label").textContent = match.label ?? "garment";
  find("similarity").textContent = match.similarity.toFixed(2);
  find("similarity-bar").style.setProperty("--similarity", Math.max(0, match.similarity));
  find("reasons").textContent = describeReasons(match.why ?? {});
  find("photo-id").textContent = match.original_image_id;
  find("photo-id").title = match.splitted_image_id;
  find("card").addEventListener("click", () => openProduct(match));
  return item;
}

function describeReasons({ same_label, colour_distance, shared_details = [] }) {
  const details = shared_details.map((name) => name.replaceAll("_", " ")).join(", ");
  const reasons = [
    same_label && "same category",
    // False if the distance is missing.
    colour_distance < SIMILAR_COLOR_DISTANCE && "similar color",
    details && `same ${details}`,
  ];
  return reasons.filter(Boolean).join(" · ");
}
