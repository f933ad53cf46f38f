/** Facts about the searched index. */

import { byId } from "./dom.js";
import { formatTime } from "./format.js";
import { currentTranslator, onLanguage, text } from "./language.js";
import { showNotice } from "./messages.js";

/** @type {import("../../../../infra/widget/state.js").SearchResponse["index"]} */
let shown;

/**
 * Show the size and age of the index, and a notice if garments are missing in it.
 * @param {import("../../../../infra/widget/state.js").SearchResponse["index"]} index
 */
export function renderIndex(index) {
  shown = index;
  if (!index) return;
  const time = index.built_at && formatTime(index.built_at, currentTranslator().language);
  const rows = text("catalog-size", { count: index.rows, newer: index.tail_rows });
  byId("index-summary").textContent = `${rows} · ${time ? text("index-built", { time }) : text("index-missing")}`;
  byId("index-summary").title = index.version ? text("index-version", { version: index.version }) : "";
  if (index.without_vector) showNotice(text("without-vector", { count: index.without_vector }));
}

onLanguage(() => renderIndex(shown));
