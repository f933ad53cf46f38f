/** Selects a photo (file dialog, paste, drag and drop) and shows it. */

import { ApiError } from "./api.js";
import { byId } from "./dom.js";
import { showError } from "./messages.js";
import { state } from "./state.js";

let photoUrl = "";

/**
 * Show a photo and clear what belongs to the previous one.
 * @param {File} photo
 */
export function showPhoto(photo) {
  // A further photo starts a search of its own. The first one is added to the examples and filters of a search.
  if (state.photo) Object.assign(state, { examples: [], filter: {} });
  clearPhoto();
  photoUrl = URL.createObjectURL(photo);
  state.photo = photo;
  byId("photo").src = photoUrl;
  byId("photo").hidden = false;
  byId("photo-unsupported").hidden = true;
  byId("image-name").value = "";
}

/** Forget the photo and its garments. */
export function clearPhoto() {
  URL.revokeObjectURL(photoUrl);
  photoUrl = "";
  byId("photo").removeAttribute("src");
  Object.assign(state, { photo: null, size: null, groups: null, groupsKey: "", selected: 0, ownBox: null, response: null });
}

/** Return the address of the selected photo in this browser. */
export const getPhotoUrl = () => photoUrl;

/**
 * Store the size of the photo, and give the frame its aspect ratio.
 * @param {number | undefined} width
 * @param {number | undefined} height
 */
export function setPhotoSize(width, height) {
  if (!width || !height) return;
  state.size = { width, height };
  byId("photo-frame").style.setProperty("--aspect-ratio", width / height);
}

/**
 * Call `onPhoto` with each photo that the user selects, pastes or drops.
 * @param {(photo: File) => void} onPhoto
 */
export function initPhotoInput(onPhoto) {
  const selectFrom = (files) => {
    // Some systems report no type for dropped files; the server then decides.
    const photo = Array.from(files).find((file) => file.type === "" || file.type.startsWith("image/"));
    if (photo) onPhoto(photo);
    else showError(new ApiError("This file is not an image. Choose a JPEG, PNG or WebP file."));
  };
  listenForFileDialog(selectFrom);
  listenForPaste(selectFrom);
  listenForDrop(selectFrom);
  byId("photo").addEventListener("load", ({ target }) => setPhotoSize(target.naturalWidth, target.naturalHeight));
  byId("photo").addEventListener("error", () => {
    byId("photo").hidden = true;
    byId("photo-unsupported").hidden = false;
  });
}

function listenForFileDialog(selectFrom) {
  const input = byId("file");
  for (const button of document.querySelectorAll("[data-choose-file]")) {
    button.addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    if (input.files.length) selectFrom(input.files);
    // Without this, choosing the same file again would not fire a change event.
    input.value = "";
  });
}

function listenForPaste(selectFrom) {
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) selectFrom(event.clipboardData.files);
  });
}

function listenForDrop(selectFrom) {
  const setDragging = (isDragging) => document.body.classList.toggle("is-dragging", isDragging);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    setDragging(true);
  });
  // relatedTarget is null only when the pointer leaves the window.
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && setDragging(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    setDragging(false);
    selectFrom(event.dataTransfer.files);
  });
}
