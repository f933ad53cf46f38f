/** Switches between the first view and the results. */

import { byId } from "./dom.js";
import { clearError, clearNotice, showStatus } from "./messages.js";
import { state } from "./state.js";

/** Show the first view, where nothing is searched for. */
export function showStartView() {
  byId("start-view").hidden = false;
  byId("result-view").hidden = true;
  clearError();
  clearNotice();
  showStatus("");
}

/** Show the results, next to the photo if there is one. */
export function showResultView() {
  byId("start-view").hidden = true;
  byId("result-view").hidden = false;
  byId("photo-panel").hidden = state.photo === null;
  byId("add-photo").hidden = state.photo !== null;
}
