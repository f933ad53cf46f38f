/**
 * Entry point of the page that `lookalike serve` serves. Connects the modules to the document.
 * Text from the server is always set through `textContent`, never as HTML.
 */

import { initAccount } from "./account.js";
import { initColor } from "./color.js";
import { byId } from "./dom.js";
import { initExamples } from "./examples.js";
import { initFilters } from "./filters.js";
import { placeLabels } from "./labels.js";
import { initOwnBox } from "./ownbox.js";
import { clearPhoto, initPhotoInput, showPhoto } from "./photo.js";
import { initProductDialog } from "./product.js";
import { initSamples } from "./samples.js";
import { search, showMore } from "./search.js";
import { createState, state } from "./state.js";
import { cancelTask } from "./task.js";
import { initUpload } from "./upload.js";
import { clearWords, initWords } from "./words.js";

function searchWith(photo) {
  showPhoto(photo);
  void search();
}

function startOver() {
  clearPhoto();
  clearWords();
  Object.assign(state, createState());
  byId("filters").open = false;
  void search();
  byId("start-title").focus();
}

initAccount();
initPhotoInput(searchWith);
void initSamples(searchWith);
initUpload();
initProductDialog();
initWords(search);
initColor(search);
initFilters(search);
initExamples(search);
initOwnBox(search);
byId("cancel").addEventListener("click", cancelTask);
byId("search-again").addEventListener("click", search);
byId("show-more").addEventListener("click", showMore);
byId("start-over").addEventListener("click", startOver);
new ResizeObserver(placeLabels).observe(byId("photo-frame"));
