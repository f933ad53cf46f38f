/**
 * Entry point of the page that `lookalike serve` serves. Connects the modules to the document.
 * Text from the server is always set through `textContent`, never as HTML.
 */

import { initAccount } from "./account.js";
import { byId } from "./dom.js";
import { placeLabels } from "./labels.js";
import { initPhotoInput, showPhoto } from "./photo.js";
import { initProductDialog } from "./product.js";
import { initSamples } from "./samples.js";
import { search } from "./search.js";
import { cancelTask } from "./task.js";
import { initUpload } from "./upload.js";

function searchWith(photo) {
  showPhoto(photo);
  void search();
}

initAccount();
initPhotoInput(searchWith);
void initSamples(searchWith);
initUpload();
initProductDialog();
byId("cancel").addEventListener("click", cancelTask);
byId("search-again").addEventListener("click", search);
new ResizeObserver(placeLabels).observe(byId("photo-frame"));
