/** Selects a photo (camera, file dialog, paste, drag and drop) and shows it. */

import { ApiError } from "../../shared/lookalike/web/js/client.js";
import { initCamera } from "./camera.js";
import { showError } from "./messages.js";

/**
 * Show a photo and clear what belongs to the previous one.
 * @param {import("./context.js").Context} ui
 * @param {File} photo
 */
export function showPhoto(ui, photo) {
  // A further photo starts a search of its own. The first one is added to the examples and filters of a search.
  if (ui.state.photo) Object.assign(ui.state, { examples: [], filter: {} });
  clearPhoto(ui);
  Object.assign(ui.state, { photo, photoUrl: URL.createObjectURL(photo) });
  const image = ui.byId("photo");
  image.src = ui.state.photoUrl;
  image.hidden = false;
  ui.byId("photo-unsupported").hidden = true;
}

/**
 * Forget the photo and its garments.
 * @param {import("./context.js").Context} ui
 */
export function clearPhoto(ui) {
  if (ui.state.photoUrl) URL.revokeObjectURL(ui.state.photoUrl);
  ui.byId("photo").removeAttribute("src");
  const empty = { photo: null, photoUrl: "", size: null, groups: null, groupsKey: "", selected: 0, ownBox: null, response: null };
  Object.assign(ui.state, empty);
}

/**
 * Store the size of the photo, and give the frame its aspect ratio.
 * @param {import("./context.js").Context} ui
 * @param {number | undefined} width
 * @param {number | undefined} height
 */
export function setPhotoSize(ui, width, height) {
  if (!width || !height) return;
  ui.state.size = { width, height };
  ui.byId("photo-frame").style.setProperty("--aspect-ratio", width / height);
}

/**
 * Call `onPhoto` with each photo that the user takes, selects, pastes or drops.
 * @param {import("./context.js").Context} ui
 * @param {(photo: File) => void} onPhoto
 */
export function initPhotoInput(ui, onPhoto) {
  const selectFrom = (files) => {
    // Some systems report no type for dropped files; the server then decides.
    const photo = Array.from(files).find((file) => file.type === "" || file.type.startsWith("image/"));
    if (photo) onPhoto(photo);
    else showError(ui, new ApiError("This file is not an image.", 0, "not_image"));
  };
  listenForFileDialog(ui, selectFrom);
  initCamera(ui, onPhoto);
  listenForDrop(ui, selectFrom);
  ui.byId("photo").addEventListener("load", ({ target }) => setPhotoSize(ui, target.naturalWidth, target.naturalHeight));
  ui.byId("photo").addEventListener("error", () => {
    ui.byId("photo").hidden = true;
    ui.byId("photo-unsupported").hidden = false;
  });
  ui.onPaste = (event) => {
    const files = event.clipboardData?.files;
    if (files?.length && !event.defaultPrevented && isForWidget(ui, event)) selectFrom(files);
  };
}

/** A photo pasted into another field of the page, or into another element that has the focus, is not for the widget. */
const isForWidget = ({ host }, { target }) => target === document.body || host.contains(target);

function listenForFileDialog(ui, selectFrom) {
  for (const button of [...ui.root.querySelectorAll("[data-choose-file]"), ui.byId("photo-button")]) {
    button.addEventListener("click", () => ui.byId("file").click());
  }
  for (const input of [ui.byId("file"), ui.byId("camera-file")]) {
    input.addEventListener("change", () => {
      if (input.files.length) selectFrom(input.files);
      // Without this, choosing the same file again would not fire a change event.
      input.value = "";
    });
  }
}

function listenForDrop(ui, selectFrom) {
  const widget = ui.byId("widget");
  const setDragging = (isDragging) => widget.classList.toggle("is-dragging", isDragging);
  widget.addEventListener("dragover", (event) => {
    event.preventDefault();
    setDragging(true);
  });
  widget.addEventListener("dragleave", (event) => widget.contains(event.relatedTarget) || setDragging(false));
  widget.addEventListener("drop", (event) => {
    event.preventDefault();
    setDragging(false);
    selectFrom(event.dataTransfer.files);
  });
}
