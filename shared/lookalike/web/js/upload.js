/** Adds the selected photo to the catalog. */

import { createForm, post } from "./api.js";
import { byId } from "./dom.js";
import { formatCount } from "./format.js";
import { showStatus } from "./messages.js";
import { state } from "./state.js";
import { runTask } from "./task.js";

/** Upload the photo when the form is submitted. */
export function initUpload() {
  byId("upload-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void upload();
  });
}

function upload() {
  const name = byId("image-name").value.trim();
  const send = ({ id, controller }) => {
    const fields = { image: state.photo, request_id: id, ...(name && { image_name: name }) };
    return post("upload_image", createForm(fields), controller.signal);
  };
  return runTask("Adding to the catalog…", send, { onSuccess: ({ data }) => showUploaded(data) });
}

function showUploaded(data) {
  const garments = formatCount(data?.segments?.length ?? 0, "garment");
  showStatus(`Added ${garments} to the catalog as ${data?.original_image_id}.`);
  state.isOutdated = true;
  byId("image-name").value = "";
}
