/**
 * Entry point of the page that `lookalike serve` serves: sign-in, samples, upload and product details around the widget.
 * Text from the server is always set through `textContent`, never as HTML.
 */

import { initAccount } from "./account.js";
import { byId } from "./dom.js";
import { renderIndex } from "./index-info.js";
import { clearError, clearNotice, showError } from "./messages.js";
import { initProductDialog, openProduct } from "./product.js";
import { openPastSearch } from "./reopen.js";
import { initSamples } from "./samples.js";
import { initUpload } from "./upload.js";

const widget = byId("search");

/** A photo that is dropped beside the widget is searched for, too. */
function listenForDrop() {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    // The widget handles what is dropped on it.
    if (event.defaultPrevented) return;
    event.preventDefault();
    const [photo] = event.dataTransfer.files;
    if (photo) void widget.searchPhoto(photo);
  });
}

function listenToWidget() {
  widget.addEventListener("lookalike-search", () => {
    clearError();
    clearNotice();
  });
  widget.addEventListener("lookalike-results", ({ detail }) => renderIndex(detail.response.index));
  widget.addEventListener("lookalike-select", (event) => {
    // A click with Ctrl or Shift opens the shop in a new tab or window.
    if (!event.cancelable) return;
    event.preventDefault();
    openProduct(event.detail.match);
  });
  widget.addEventListener("lookalike-error", (event) => {
    const { status, code, message } = event.detail;
    // The other errors are shown by the widget.
    if (status !== 401 && status !== 403) return;
    event.preventDefault();
    showError({ status, code, message, isUnauthorized: true });
  });
}

initAccount((token) => (widget.token = token));
initProductDialog();
initUpload(widget);
listenToWidget();
listenForDrop();
void initSamples(widget);
void openPastSearch(widget);
