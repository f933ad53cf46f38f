/** The results of the current search: the matches shown so far, and whether there are more. */

import { describeMatches, describeQuery } from "./describe.js";
import { byId } from "./dom.js";
import { colorOf } from "./garments.js";
import { appendMatches, renderMatches } from "./matches.js";
import { MAX_LIMIT, PAGE_SIZE, isPhotoOnly } from "./request.js";
import { state } from "./state.js";

/** @type {import("./state.js").Match[]} */
let matches = [];
/** @type {string | null} */
let cursor = null;
/** Matches requested for each garment of the photo. Detected garments have no pages, but a growing limit. */
let limit = PAGE_SIZE;

/** Show the first matches of `state.response`, or those of the selected garment. */
export function showResults() {
  limit = isPhotoOnly(state) ? Math.max(limit, PAGE_SIZE) : PAGE_SIZE;
  matches = currentMatches();
  cursor = isPhotoOnly(state) ? null : state.response.next_cursor;
  const list = byId("match-list");
  if (state.photo && !state.ownBox) list.dataset.color = colorOf(state.selected);
  else delete list.dataset.color;
  renderMatches(matches, describeQuery(state), describeMatches(matches, state));
  renderShowMore();
}

/** Forget how many matches were requested. */
export function resetPages() {
  limit = PAGE_SIZE;
}

/** @returns {{limit: number, cursor: string | null}} What to request for the next matches. */
export const nextPage = () => (isPhotoOnly(state) ? { limit: limit + PAGE_SIZE, cursor: null } : { limit: PAGE_SIZE, cursor });

/**
 * Add the matches of the next page.
 * @param {import("./state.js").SearchResponse} response
 */
export function addPage(response) {
  limit = nextPage().limit;
  cursor = response.next_cursor;
  const added = isPhotoOnly(state) ? currentMatches().slice(matches.length) : response.results;
  matches = [...matches, ...added];
  appendMatches(added, describeMatches(matches, state));
  renderShowMore();
}

function currentMatches() {
  return isPhotoOnly(state) ? (state.groups[state.selected]?.results ?? []) : state.response.results;
}

function renderShowMore() {
  const hasMore = isPhotoOnly(state) ? matches.length >= limit && limit + PAGE_SIZE <= MAX_LIMIT : cursor !== null;
  byId("show-more").hidden = !hasMore;
}
