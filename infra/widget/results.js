/** The results of the current search: the matches shown so far, and whether there are more. */

import { describeQuery } from "./describe.js";
import { colorOf } from "./garments.js";
import { MAX_LIMIT, PAGE_SIZE, isPhotoOnly } from "./request.js";

/**
 * Show the first matches of `state.response`, or those of the selected garment.
 * @param {import("./context.js").Context} ui
 * @param {import("./matches.js").MatchList} list
 */
export function showResults(ui, list) {
  const { state } = ui;
  state.matches = currentMatches(state);
  state.cursor = isPhotoOnly(state) ? null : state.response.next_cursor;
  if (state.photo && !state.ownBox) list.list.dataset.color = colorOf(state.selected);
  else delete list.list.dataset.color;
  list.render(describeQuery(ui));
  renderShowMore(ui);
}

/**
 * Forget how many matches were requested.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export function resetPages(state) {
  state.limit = PAGE_SIZE;
}

/**
 * Return what to request for the next matches.
 * @param {ReturnType<import("./state.js").createState>} state
 * @returns {{limit: number, cursor: string | null}}
 */
export const nextPage = (state) =>
  isPhotoOnly(state) ? { limit: state.limit + PAGE_SIZE, cursor: null } : { limit: PAGE_SIZE, cursor: state.cursor };

/**
 * Add the matches of the next page.
 * @param {import("./context.js").Context} ui
 * @param {import("./matches.js").MatchList} list
 * @param {import("./state.js").SearchResponse} response
 */
export function addPage(ui, list, response) {
  const { state } = ui;
  state.limit = nextPage(state).limit;
  state.cursor = response.next_cursor;
  const added = isPhotoOnly(state) ? currentMatches(state).slice(state.matches.length) : response.results;
  state.matches = [...state.matches, ...added];
  list.append(added);
  renderShowMore(ui);
}

const currentMatches = (state) =>
  isPhotoOnly(state) ? (state.groups[state.selected]?.results ?? []) : state.response.results;

function renderShowMore(ui) {
  const { state } = ui;
  const isFull = state.matches.length >= state.limit && state.limit + PAGE_SIZE <= MAX_LIMIT;
  ui.byId("show-more").hidden = !(isPhotoOnly(state) ? isFull : state.cursor !== null);
}
