/** The text field that describes what to search for. */

import { byId } from "./dom.js";
import { hasQuery } from "./request.js";
import { state } from "./state.js";

/**
 * Call `onChange` when the user submits or clears the text.
 * @param {() => void} onChange
 */
export function initWords(onChange) {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("words").value.trim() || hasQuery(state)) onChange();
  });
  // The clear button of the field fires no submit event.
  byId("words").addEventListener("search", ({ target }) => {
    if (target.value === "" && state.words !== "") onChange();
  });
}

/** Store the text of the field. Every search uses the text that is visible. */
export function readWords() {
  state.words = byId("words").value.trim();
}

/** Empty the field. */
export function clearWords() {
  byId("words").value = "";
}
