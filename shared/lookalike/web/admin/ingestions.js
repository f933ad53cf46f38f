/** Section: photos that were ingested from the bucket or from folders, and those that failed. */

import { formatCount, formatTime } from "../js/format.js";
import { button, definitions, element, field, sectionHeader, select, table } from "./elements.js";
import { get, post } from "./http.js";
import { announce, runAction, showLoaded } from "./messages.js";

const STATES = [
  ["failed", "Failed"],
  ["done", "Done"],
  ["all", "All"],
];

/** @param {HTMLElement} view */
export function showIngestions(view) {
  const state = select(STATES, "failed");
  const prefix = element("input", { type: "search", placeholder: "incoming/" });
  const retry = button("Try all failed ones again", () => runAction(retry, view, () => retryAll(prefix.value, outcome, load)));
  const outcome = element("div", { role: "status" });
  const list = element("div", { class: "stack" });
  const load = () => showLoaded(list, () => loadPage(list, state.value, prefix.value));
  const filters = element("form", { class: "filters" }, field("State", state), field("Name starts with", prefix), button("Show", load, { type: "submit" }));
  filters.addEventListener("submit", (event) => event.preventDefault());
  state.addEventListener("change", load);
  view.append(sectionHeader("Ingestions", "What became of each file that ingestion has seen, newest first.", retry), filters, outcome, list);
  void load();
}

async function loadPage(list, state, prefix, cursor = null) {
  const page = await get("ingestions", { state, prefix, cursor, limit: 100 });
  const rates = page.photos_per_minute;
  const figures = definitions([
    ["Done", page.counts.done.toLocaleString("en")],
    ["Failed", page.counts.failed.toLocaleString("en")],
    ["Photos a minute", `${rates.last_minute} in the last minute, ${rates.last_60_minutes} in the last hour`],
  ]);
  if (!page.data.length) return [figures, element("p", { class: "empty", text: state === "failed" ? "Nothing has failed." : "Nothing was ingested yet." })];
  const rows = page.data.map((entry) => [entry.name, entry.bucket, stateText(entry), formatTime(entry.recorded_at)]);
  const parts = [figures, table("Ingestions", ["File", "Bucket or folder", "Outcome", "Time"], rows)];
  if (page.cursor) parts.push(button("Older ones", () => showLoaded(list, () => loadPage(list, state, prefix, page.cursor))));
  return parts;
}

function stateText({ state, photo, reason }) {
  if (state === "failed") return element("span", { class: "state failed", text: reason ?? "Failed" });
  if (!photo) return element("span", { class: "state", text: "Overwritten or deleted before it was stored" });
  return element("a", { href: `#garments/photo/${encodeURIComponent(photo)}`, text: photo });
}

/** Repeat the request until all failures were tried once: each stops before the time limit of the server. */
async function retryAll(prefix, outcome, load) {
  const totals = { retried: 0, stored: 0, failed: 0, superseded: 0, deleted: 0 };
  let cursor = null;
  let elsewhere = [];
  do {
    const response = await post("ingestions/retry", { prefix, ...(cursor && { cursor }) });
    for (const name of Object.keys(totals)) totals[name] += response.data[name];
    elsewhere = response.data.elsewhere;
    cursor = response.cursor;
    outcome.replaceChildren(retryNotice(totals, elsewhere, cursor));
  } while (cursor);
  announce(`Tried ${formatCount(totals.retried, "file")} again`);
  await load();
}

function retryNotice({ retried, stored, failed, superseded, deleted }, elsewhere, cursor) {
  const others = superseded + deleted ? `, ${superseded + deleted} overwritten or deleted meanwhile` : "";
  return element(
    "div",
    { class: "notice done" },
    element("p", { text: `Tried ${formatCount(retried, "file")}: ${stored} stored, ${failed} failed again${others}.${cursor ? " Going on…" : ""}` }),
    elsewhere.map(({ bucket, failed: count, command }) =>
      element("p", {}, `${formatCount(count, "failure")} in ${bucket}, which this server cannot read. Run there: `, element("code", { text: command })),
    ),
  );
}
