/** Describes searches and their results in words. */

import { formatCount } from "./format.js";
import { hasPositive, isPhotoOnly } from "./request.js";

/** Names of fields, where the name in the API is not one. */
const FIELD_NAMES = { label: "kind" };

/**
 * Return the name of a field for display.
 * @param {string} field
 */
export const fieldName = (field) => FIELD_NAMES[field] ?? field.replaceAll("_", " ");

/**
 * Return the name of what is selected in the photo.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export function describeSelection({ ownBox, groups, selected }) {
  if (ownBox) return "your area of the photo";
  return groups?.[selected]?.label ?? "the whole photo";
}

/**
 * Return the title of the results.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export function describeQuery(state) {
  const count = state.examples.filter(({ weight }) => weight > 0).length;
  const parts = [
    state.photo && describeSelection(state),
    state.words && `“${state.words}”`,
    count && formatCount(count, "garment"),
  ].filter(Boolean);
  if (parts.length) return `Matches for: ${parts.join(" + ")}`;
  return state.color ? "Garments in this color" : "Garments";
}

/**
 * Return how many results are shown, and in which order.
 * @param {import("./state.js").Match[]} matches
 * @param {ReturnType<import("./state.js").createState>} state
 */
export function describeMatches(matches, state) {
  if (!matches.length) return describeNothing(state);
  if (matches[0].similarity === undefined) {
    // The color can also be one of the words.
    const hasColor = matches[0].why?.color_distance !== undefined;
    return `${formatCount(matches.length, "garment")}${hasColor ? ", nearest color first" : ""}.`;
  }
  const count = formatCount(matches.length, "match", "matches");
  return `${count}, best first.${isPhotoOnly(state) ? " Identical images have a similarity of 1." : ""}`;
}

function describeNothing(state) {
  const hasConditions = state.words || state.color || Object.keys(state.filter).length > 0;
  if (hasConditions) return "No garment in the catalog satisfies all of this. Remove a word, a color or a filter.";
  return hasPositive(state) ? "The catalog has no similar garments." : "The catalog has no garments.";
}

/**
 * Return what the server understood of the words, or "" if there is nothing to tell.
 * @param {{understood?: {text: string, as: string, value: string}[], ignored?: string[]}} response
 */
export function describeWords({ understood = [], ignored = [] }) {
  const sentences = [
    understood.length && `Understood: ${understood.map(describeWord).join(", ")}.`,
    ignored.length && `Ignored: ${ignored.join(", ")}.`,
  ];
  return sentences.filter(Boolean).join(" ");
}

function describeWord({ as, value }) {
  if (as === "label") return value;
  return as === "text" ? `“${value}” in the product details` : `${fieldName(as)} ${value}`;
}
