/** The list of matches. */

import { byId, cloneTemplate } from "./dom.js";
import { addExample } from "./examples.js";
import { openProduct } from "./product.js";
import { hasPositive } from "./request.js";
import { state } from "./state.js";
import { showThumbnail } from "./thumbnail.js";

/** CIELAB distance below which two colors are called similar. */
const SIMILAR_COLOR_DISTANCE = 10;
const PLACEHOLDER_COUNT = 8;
const LESS_WEIGHT = -0.5;

/**
 * Show matches in place of the previous ones.
 * @param {import("./state.js").Match[]} matches
 * @param {string} title
 * @param {string} summary
 */
export function renderMatches(matches, title, summary) {
  const isEmpty = state.response?.index?.rows === 0;
  byId("matches-title").textContent = isEmpty ? "The catalog is empty" : title;
  byId("matches-summary").textContent = isEmpty ? "" : summary;
  byId("empty-catalog").hidden = !isEmpty;
  byId("match-list").replaceChildren(...matches.map(createCard));
}

/**
 * Add further matches to those shown, and move the focus to the first of them.
 * @param {import("./state.js").Match[]} matches
 * @param {string} summary
 */
export function appendMatches(matches, summary) {
  const cards = matches.map(createCard);
  byId("match-list").append(...cards);
  byId("matches-summary").textContent = summary;
  cards[0]?.querySelector("button").focus();
}

/**
 * Replace the matches with placeholders while a search runs.
 * @param {string} title
 */
export function showPlaceholders(title) {
  byId("matches-title").textContent = title;
  byId("matches-summary").textContent = "";
  byId("understood").textContent = "";
  byId("empty-catalog").hidden = true;
  byId("show-more").hidden = true;
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

function createCard(match) {
  const item = cloneTemplate("match-template");
  const find = (name) => item.querySelector(`.${name}`);
  showThumbnail(item.querySelector("img"), match);
  find("label").textContent = match.label ?? "garment";
  find("similarity").textContent = match.similarity?.toFixed(2) ?? "";
  find("similarity-bar").hidden = match.similarity === undefined;
  find("similarity-bar").style.setProperty("--similarity", Math.max(0, match.similarity ?? 0));
  find("reasons").textContent = describeReasons(match);
  find("photo-id").textContent = match.original_image_id;
  find("photo-id").title = match.splitted_image_id;
  find("card").addEventListener("click", () => openProduct(match));
  connectExampleButton(find("more"), match, 1);
  connectExampleButton(find("less"), match, LESS_WEIGHT);
  return item;
}

function connectExampleButton(button, match, weight) {
  button.setAttribute("aria-label", `${button.textContent}: ${match.label ?? "garment"} ${match.splitted_image_id}`);
  // A garment can only be avoided in a search for something else.
  button.disabled = weight < 0 && !hasPositive(state);
  button.addEventListener("click", () => {
    byId("matches-title").focus();
    addExample(match, weight);
  });
}

function describeReasons({ why = {}, group }) {
  const { same_label, colour_distance, color_distance, shared_details = [] } = why;
  const details = shared_details.map((name) => name.replaceAll("_", " ")).join(", ");
  const reasons = [
    same_label && "same category",
    // False if the distance is missing.
    colour_distance < SIMILAR_COLOR_DISTANCE && "similar color",
    color_distance !== undefined && `color difference ${Math.round(color_distance)}`,
    details && `same ${details}`,
    group?.size > 1 && `best of ${group.size}`,
  ];
  return reasons.filter(Boolean).join(" · ");
}
