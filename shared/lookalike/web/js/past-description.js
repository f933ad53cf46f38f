/** Describes a past search in words. */

import { currentTranslator, text } from "./language.js";
import { examplesOf, isPhoto } from "./reopen.js";

/**
 * Return the name of a garment that was searched for.
 * @param {{label: string | null} | undefined} garment
 */
export const labelOf = (garment) => (garment?.label ? currentTranslator().name("label", garment.label) : text("whole-photo"));

/**
 * Return what was searched for. A past search has no photos, but the garments found in them.
 * @param {import("./reopen.js").PastSearch} past
 * @returns {string}
 */
export function describeSearch(past) {
  const { garments = [], filter = {}, color = null } = past;
  const labels = garments.map(labelOf).join(", ");
  const parts = [
    ...examplesOf(past).map((example) => describeExample(example, labels)),
    color && text("in-color", { color: color.near }),
    ...Object.entries(filter).map(describeCondition),
  ];
  return parts.filter(Boolean).join(" · ") || text("all-garments");
}

function describeExample(example, labels) {
  if (example.text !== undefined) return text("quoted", { text: example.text });
  if (isPhoto(example)) return labels ? text("photo-of", { labels }) : text("photo");
  return text(example.weight < 0 ? "unlike-garment" : "like-garment", { id: String(example.id) });
}

function describeCondition([name, condition]) {
  const values = [condition].flat().map((value) => (typeof value === "object" ? JSON.stringify(value) : currentTranslator().name(name, value)));
  return `${currentTranslator().name("field", name)}: ${values.join(", ")}`;
}
