/** Sample photos on the first view. */

import { ApiError } from "./api.js";
import { byId, cloneTemplate } from "./dom.js";
import { text } from "./language.js";
import { showError } from "./messages.js";

/**
 * Show the sample photos, and search for the one that the user clicks. Nothing is shown if the server offers none.
 * The list has room for three of them from the beginning, so that nothing moves.
 * @param {HTMLElement} widget The `<lookalike-search>` element.
 */
export async function initSamples(widget) {
  const samples = await fetchSamples();
  if (samples.length) byId("sample-list").replaceChildren(...samples.map((sample) => createButton(sample, widget)));
  else byId("samples").style.visibility = "hidden";
}

/** @returns {Promise<{name: string, url: string}[]>} */
async function fetchSamples() {
  try {
    const response = await fetch("samples");
    const samples = response.ok ? await response.json() : [];
    return Array.isArray(samples) ? samples : [];
  } catch {
    return [];
  }
}

function createButton(sample, widget) {
  const item = cloneTemplate("sample-template");
  const image = item.querySelector("img");
  image.src = sample.url;
  // The name is a file name, for example "blue-dress.jpg".
  image.alt = sample.name.replace(/\.\w+$/, "").replaceAll("-", " ");
  item.querySelector("button").addEventListener("click", () => selectSample(sample, widget));
  return item;
}

async function selectSample({ name, url }, widget) {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new TypeError(response.statusText);
    const data = await response.blob();
    void widget.searchPhoto(new File([data], name, { type: data.type }));
  } catch {
    showError(new ApiError(text("sample-failed", { name }), 0, "sample_failed"));
  }
}
