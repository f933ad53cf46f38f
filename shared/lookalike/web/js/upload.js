/** Adds the photo of the widget to the catalog. */

import { CancelledError, createForm, createRequestId, post } from "./api.js";
import { byId } from "./dom.js";
import { text } from "./language.js";
import { clearError, showError, showStatus } from "./messages.js";

let requestId = "";

/**
 * Upload the photo when the form is submitted.
 * @param {HTMLElement} widget The `<lookalike-search>` element.
 */
export function initUpload(widget) {
  byId("upload-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void upload(widget);
  });
  byId("upload-cancel").addEventListener("click", () => {
    byId("upload-cancel").disabled = true;
    void post(`cancel_request/${requestId}`, null).catch(showError);
  });
  widget.addEventListener("lookalike-search", () => showStatus(""));
}

async function upload(widget) {
  const name = byId("image-name").value.trim();
  requestId = createRequestId();
  const fields = { image: widget.photo, request_id: requestId, ...(name && { image_name: name }) };
  clearError();
  showStatus(text("adding"));
  setUploading(true);
  try {
    const { data } = await post("upload_image", createForm(fields));
    showUploaded(data);
    widget.markOutdated();
  } catch (error) {
    showStatus(error instanceof CancelledError ? text("cancelled") : "");
    if (!(error instanceof CancelledError)) showError(error);
  } finally {
    setUploading(false);
  }
}

function setUploading(isUploading) {
  byId("upload-button").disabled = isUploading;
  byId("upload-cancel").hidden = !isUploading;
  byId("upload-cancel").disabled = false;
}

function showUploaded(data) {
  showStatus(text("added", { count: data?.segments?.length ?? 0, name: data?.original_image_id ?? "" }));
  byId("image-name").value = "";
}
