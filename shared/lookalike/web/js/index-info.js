/** Facts about the searched index. */

import { byId } from "./dom.js";
import { formatCount, formatTime } from "./format.js";
import { showNotice } from "./messages.js";

/**
 * Show the size and age of the index, and a notice if garments are missing in it.
 * @param {import("./state.js").SearchResponse["index"]} index
 */
export function renderIndex(index) {
  if (!index) return;
  const builtAt = index.built_at ? `index built ${formatTime(index.built_at)}` : "index not built yet";
  const newerCount = index.tail_rows.toLocaleString("en");
  const rows = `${formatCount(index.rows, "garment")} in the catalog, ${newerCount} newer than the index`;
  byId("index-summary").textContent = `${rows} · ${builtAt}`;
  byId("index-summary").title = index.version ? `Version ${index.version}` : "";
  if (index.without_vector) showNotice(describeMissing(index.without_vector));
}

function describeMissing(count) {
  const garments = formatCount(count, "stored garment");
  return `${garments} cannot be found, for lack of a vector of the current model. The command “lookalike reembed” computes it.`;
}
