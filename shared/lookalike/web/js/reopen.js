/** Opens a search of the user's history again: `#search=<id>` in the address of the page. */

import { ApiError, get } from "./api.js";
import { showError } from "./messages.js";

/**
 * Repeat the search that the address names, if it names one.
 * @param {HTMLElement} widget The `<lookalike-search>` element.
 */
export async function openPastSearch(widget) {
  const id = new URLSearchParams(location.hash.slice(1)).get("search");
  if (id === null) return;
  try {
    const { data } = await get(`search_history/${encodeURIComponent(id)}`);
    await widget.search(toQuery(data));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showError(error);
  }
}

/**
 * Return whether a past search can be repeated. Photos are not stored, so that only searches without one can.
 * @param {{query: object[], filter: object, color: object | null}} past
 */
export const isRepeatable = ({ query = [], filter = {}, color = null }) =>
  query.every((example) => example.text !== undefined || example.id !== undefined) &&
  (query.length > 0 || color !== null || Object.keys(filter).length > 0);

function toQuery({ query = [], filter = {}, color = null, group_by: groupBy }) {
  const words = query.filter(({ text }) => text !== undefined).map(({ text }) => text);
  const examples = query.filter(({ id }) => id !== undefined);
  return { words: words.join(" "), examples, filter, color, groupProducts: groupBy === "product" };
}
