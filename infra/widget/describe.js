/** Describes searches and their results in words. */

import { hasPositive } from "./request.js";

/** CIELAB distance below which two colors are called similar. */
const SIMILAR_COLOR_DISTANCE = 10;

/**
 * Return the name of what is selected in the photo.
 * @param {import("./context.js").Context} ui
 */
export function describeSelection(ui) {
  const { ownBox, groups, selected } = ui.state;
  if (ownBox) return ui.text("your-area");
  const label = groups?.[selected]?.label;
  return label ? ui.translator.name("label", label) : ui.text("whole-photo");
}

/**
 * Return the title of the results.
 * @param {import("./context.js").Context} ui
 */
export function describeQuery(ui) {
  const { photo, words, examples, color } = ui.state;
  const count = examples.filter(({ weight }) => weight > 0).length;
  const parts = [photo && describeSelection(ui), words && ui.text("quoted", { text: words }), count && ui.text("garment-count", { count })];
  const query = parts.filter(Boolean).join(" + ");
  if (query) return ui.text("matches-for", { query });
  return ui.text(color ? "garments-in-color" : "garments");
}

/**
 * Return how many results are shown, and in which order.
 * @param {import("./context.js").Context} ui
 */
export function describeMatches(ui) {
  const { matches } = ui.state;
  if (!matches.length) return describeNothing(ui);
  const count = matches.length;
  if (matches[0].similarity === undefined) {
    // The color can also be one of the words.
    const hasColor = matches[0].why?.color_distance !== undefined;
    return ui.text(hasColor ? "garments-by-color" : "garment-count", { count });
  }
  return ui.text("match-count", { count });
}

function describeNothing(ui) {
  const { words, color, filter } = ui.state;
  if (words || color || Object.keys(filter).length > 0) return ui.text("nothing-satisfies");
  return ui.text(hasPositive(ui.state) ? "nothing-similar" : "nothing-stored");
}

/**
 * Return what the server understood of the words, or "" if there is nothing to tell.
 * @param {import("./context.js").Context} ui
 * @param {{understood?: {text: string, as: string, value: string}[], ignored?: string[]}} response
 */
export function describeWords(ui, { understood = [], ignored = [] }) {
  const words = understood.map((word) => describeWord(ui, word)).join(", ");
  const sentences = [
    words && ui.text("understood", { words }),
    ignored.length && ui.text("ignored", { words: ignored.join(", ") }),
  ];
  return sentences.filter(Boolean).join(" ");
}

function describeWord(ui, { as, value }) {
  if (as === "label") return ui.translator.name("label", value);
  if (as === "text") return ui.text("in-details", { text: value });
  return `${ui.translator.name("field", as)} ${as === "color" ? ui.translator.name("color", value) : value}`;
}

/**
 * Return what a match has in common with the query, or "".
 * @param {import("./context.js").Context} ui
 * @param {import("./state.js").Match} match
 */
export function describeReasons(ui, { why = {}, group }) {
  const { same_label, colour_distance, color_distance, shared_details = [] } = why;
  const names = shared_details.map((name) => ui.translator.name("field", name)).join(", ");
  const reasons = [
    same_label && ui.text("same-kind"),
    // False if the distance is missing.
    colour_distance < SIMILAR_COLOR_DISTANCE && ui.text("similar-color"),
    color_distance !== undefined && ui.text("color-difference", { distance: Math.round(color_distance) }),
    names && ui.text("same-details", { names }),
    group?.size > 1 && ui.text("best-of", { size: group.size }),
  ];
  return reasons.filter(Boolean).join(" · ");
}
