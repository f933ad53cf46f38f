/** Opens a search of the user's history again: `#search=<id>&garment=<number>` in the address of the page. */

import { ApiError, get } from "./api.js";
import { text } from "./language.js";
import { showError } from "./messages.js";

/**
 * A search of the history, as the API returns it. A request to the older route has no examples, but always a photo.
 * @typedef {{search_id: string, query?: object[], garments?: {label: string | null}[], reusable_vectors: number,
 *   segment?: boolean, filter?: object, color?: object | null, group_by?: string}} PastSearch
 */

/**
 * Repeat the search that the address names, if it names one.
 * @param {HTMLElement} widget The `<lookalike-search>` element.
 */
export async function openPastSearch(widget) {
  const address = new URLSearchParams(location.hash.slice(1));
  const id = address.get("search");
  if (id === null) return;
  try {
    const { data } = await get(`search_history/${encodeURIComponent(id)}`);
    await widget.search(toQuery(data, Number(address.get("garment"))));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showError(error);
  }
}

/**
 * Return the examples of a past search. Photos are not stored, so that there is nothing else in those of photos.
 * @param {PastSearch} past
 */
export function examplesOf({ query = [], garments = [], reusable_vectors: vectors }) {
  const hasOnlyPhoto = query.length === 0 && (garments.length > 0 || vectors > 0);
  return hasOnlyPhoto ? [{}] : query;
}

/** Return whether an example is a photo. */
export const isPhoto = ({ text: words, id }) => words === undefined && id === undefined;

/**
 * Return for which garments of a photo a past search can be repeated, by their numbers: [0] if it was not for the
 * garments of a photo, [] if it cannot be repeated, because its vectors are missing or are those of another model.
 * @param {PastSearch} past
 * @returns {number[]}
 */
export function repeatableGarments(past) {
  const { segment = false, filter = {}, color = null, reusable_vectors: vectors } = past;
  const examples = examplesOf(past);
  const photos = examples.filter(isPhoto).length;
  const isComplete = photos > 0 ? vectors >= photos : examples.length > 0 || color !== null || Object.keys(filter).length > 0;
  if (!isComplete) return [];
  return segment && photos > 0 ? Array.from({ length: vectors }, (_, number) => number) : [0];
}

function toQuery(past, garment) {
  const { search_id: search, garments = [], segment = false, filter = {}, color = null, group_by: groupBy } = past;
  const words = past.query?.flatMap((example) => example.text ?? []) ?? [];
  let photo = 0;
  const examples = examplesOf(past).flatMap((example) => {
    if (example.text !== undefined) return [];
    if (!isPhoto(example)) return [example];
    const number = segment ? garment : photo++;
    return [{ search, garment: number, weight: example.weight, label: garments[number]?.label ?? text("past-photo") }];
  });
  return { words: words.join(" "), examples, filter, color, groupProducts: groupBy === "product" };
}
