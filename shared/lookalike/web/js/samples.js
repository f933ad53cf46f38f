/** Sample photos on the first view. Only the local server offers them. */

import { ApiError } from "./api.js";
import { byId, cloneTemplate } from "./dom.js";
import { showError } from "./messages.js";

/**
 * Show the sample photos, and call `onPhoto` with the one that the user clicks.
 * Nothing is shown if the server offers none.
 * @param {(photo: File) => void} onPhoto
 */
export async function initSamples(onPhoto) {
  const samples = await fetchSamples();
  if (!samples.length) return;
  byId("sample-list").replaceChildren(...samples.map((sample) => createButton(sample, onPhoto)));
  byId("samples").hidden = false;
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

function createButton(sample, onPhoto) {
  const item = cloneTemplate("sample-template");
  const image = item.querySelector("img");
  image.src = sample.url;
  // The name is a file name, for example "blue-dress.jpg".
  image.alt = sample.name.replace(/\.\w+$/, "").replaceAll("-", " ");
  item.querySelector("button").addEventListener("click", () => selectSample(sample, onPhoto));
  return item;
}

async function selectSample({ name, url }, onPhoto) {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new ApiError(`The sample photo “${name}” could not be loaded (status ${response.status}).`);
    const data = await response.blob();
    onPhoto(new File([data], name, { type: data.type }));
  } catch (error) {
    showError(error instanceof ApiError ? error : new ApiError(`The sample photo “${name}” could not be loaded.`));
  }
}
