/** Searches the catalog for what the state of the page describes. */

import { createRequestId, post } from "./api.js";
import { renderColor } from "./color.js";
import { describeQuery, describeWords } from "./describe.js";
import { byId } from "./dom.js";
import { renderExamples } from "./examples.js";
import { renderFilters } from "./filters.js";
import { formatCount, formatDuration } from "./format.js";
import { clearGarments, markSelected, renderGarments, sortByArea } from "./garments.js";
import { renderIndex } from "./index-info.js";
import { clearPlaceholders, showPlaceholders } from "./matches.js";
import { clearNotice, showStatus } from "./messages.js";
import { renderOwnBox } from "./ownbox.js";
import { setPhotoSize } from "./photo.js";
import { conditionsKey, createBody, createDetectionRequest, createRequest, hasPositive, hasQuery, isPhotoOnly } from "./request.js";
import { addPage, nextPage, resetPages, showResults } from "./results.js";
import { state } from "./state.js";
import { abandonTask, runTask } from "./task.js";
import { showResultView, showStartView } from "./views.js";
import { readWords } from "./words.js";

/** Search for what the state describes, or show the first view if that is nothing. A running search is cancelled. */
export function search() {
  readWords();
  // Garments can only be avoided in a search for something else.
  if (!hasPositive(state)) state.examples = [];
  renderControls();
  if (!hasQuery(state)) {
    abandonTask();
    renderFilters({});
    return showStartView();
  }
  state.response = null;
  state.isOutdated = false;
  resetPages();
  clearNotice();
  showResultView();
  showPlaceholders(state.groups || !state.photo ? describeQuery(state) : "");
  const startTime = performance.now();
  return runTask(state.photo && !state.groups ? "Searching for garments…" : "Searching…", sendSearch, {
    onSuccess: (response) => renderResponse(response, performance.now() - startTime),
    onFailure: () => {
      clearPlaceholders();
      // The filters in use stay, so that they can be removed.
      renderFilters({});
    },
  });
}

/** Show further matches. */
export function showMore() {
  const send = ({ id, controller }) => sendRequest(createRequest(state, nextPage()), id, controller);
  return runTask("Loading more…", send, {
    onSuccess: (response) => {
      if (response.groups) state.groups = sortByArea(response.groups);
      addPage(response);
      showStatus("");
    },
  });
}

function renderControls() {
  if (!state.groups) clearGarments();
  renderColor();
  renderOwnBox();
  renderExamples();
  markSelection();
}

/** Send the search. The garments of a new photo are detected first, because the other examples add to one of them. */
async function sendSearch(task) {
  if (state.photo && !state.groups && !isPhotoOnly(state)) {
    showGarments(await sendRequest(createDetectionRequest(), task.id, task.controller));
    task.id = createRequestId();
  }
  return sendRequest(createRequest(state), task.id, task.controller);
}

const sendRequest = (request, id, controller) => post("search", createBody(request, state.photo, id), controller.signal);

function renderResponse(response, milliseconds) {
  state.response = response;
  if (response.groups) {
    showGarments(response);
    state.groupsKey = conditionsKey(state);
  }
  const garments = response.groups ? summarizeGarments(response.groups) : "Searched";
  showStatus(`${garments} in ${formatDuration(milliseconds)}.`);
  byId("understood").textContent = describeWords(response);
  renderIndex(response.index);
  renderFilters(response.facets);
  showResults();
}

function showGarments({ groups, width, height }) {
  setPhotoSize(width, height);
  state.groups = sortByArea(groups);
  // The same photo has the same garments again.
  state.selected = Math.min(state.selected, Math.max(0, groups.length - 1));
  state.groupsKey = "";
  renderGarments(selectGarment);
  markSelection();
  renderExamples();
}

function summarizeGarments(groups) {
  const count = groups.filter((group) => group.label !== null).length;
  return count ? `Found ${formatCount(count, "garment")}` : "Found no garment and compared the whole photo";
}

function selectGarment(index) {
  state.selected = index;
  state.ownBox = null;
  readWords();
  const isKnown = isPhotoOnly(state) && state.response !== null && state.groupsKey === conditionsKey(state);
  if (!isKnown) return search();
  renderControls();
  byId("understood").textContent = "";
  return showResults();
}

function markSelection() {
  if (state.ownBox) markSelected(null, state.ownBox);
  else markSelected(state.selected, state.groups?.[state.selected]?.bounding_box);
}
