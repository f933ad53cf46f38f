/** Searches the catalog for the garments of the selected photo. */

import { createForm, post } from "./api.js";
import { byId } from "./dom.js";
import { formatCount, formatDuration, formatTime } from "./format.js";
import { clearGarments, markSelected, renderGarments, sortByArea } from "./garments.js";
import { clearPlaceholders, renderMatches, showPlaceholders } from "./matches.js";
import { clearNotice, showNotice, showStatus } from "./messages.js";
import { setFrameSize } from "./photo.js";
import { state } from "./state.js";
import { runTask } from "./task.js";

const MAX_MATCHES = 12;

/** Search with the selected photo and show the matches of its largest garment. */
export function search() {
  state.response = null;
  state.isOutdated = false;
  clearGarments();
  clearNotice();
  showPlaceholders();
  const startTime = performance.now();
  return runTask("Searching for garments…", sendSearch, {
    onSuccess: (response) => renderResponse(response, performance.now() - startTime),
    onFailure: clearPlaceholders,
  });
}

function sendSearch({ id, controller }) {
  const fields = { image: state.photo, segment: "true", num: MAX_MATCHES, include: "thumbnail", request_id: id };
  return post("relay_image", createForm(fields), controller.signal);
}

function renderResponse(response, milliseconds) {
  state.response = { ...response, groups: sortByArea(response.groups) };
  setFrameSize(response.width, response.height);
  renderGarments(selectGarment);
  showStatus(`${summarize(response.groups)} in ${formatDuration(milliseconds)}.`);
  renderIndex(response.index);
  if (response.index.without_vector) showNotice(describeMissing(response.index.without_vector));
  selectGarment(0);
}

function summarize(groups) {
  const count = groups.filter((group) => group.label !== null).length;
  return count ? `Found ${formatCount(count, "garment")}` : "Found no garment and compared the whole photo";
}

function describeMissing(count) {
  const garments = formatCount(count, "stored garment");
  return `${garments} cannot be found, for lack of a vector of the current model. The command “lookalike reembed” computes it.`;
}

function selectGarment(index) {
  markSelected(index);
  if (state.response.groups[index]) renderMatches(index);
}

function renderIndex(index) {
  if (!index) return;
  const builtAt = index.built_at ? `index built ${formatTime(index.built_at)}` : "index not built yet";
  const newerCount = index.tail_rows.toLocaleString("en");
  const rows = `${formatCount(index.rows, "garment")} in the catalog, ${newerCount} newer than the index`;
  byId("index-summary").textContent = `${rows} · ${builtAt}`;
  byId("index-summary").title = index.version ? `Version ${index.version}` : "";
}
