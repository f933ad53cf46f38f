/** Section: figures of the last 24 hours. */

import { formatDuration, formatTime } from "../js/format.js";
import { button, element, sectionHeader, table } from "./elements.js";
import { get } from "./http.js";
import { showLoaded } from "./messages.js";

const HOUR = 3600_000;
const NAMES = { search: "Searches", upload: "Uploads", split: "Cut-outs", ingest: "Ingestions", recut: "Corrections", sync: "Synchronizations", rebuild: "Index rebuilds" };
const CHART = { width: 720, height: 180, bottom: 24 };

/** @param {HTMLElement} view */
export function showFigures(view) {
  const content = element("div", { class: "stack" });
  const load = () => showLoaded(content, async () => figures((await get("statistics")).data));
  view.append(sectionHeader("Last day", "From the records of requests, which are kept for seven days.", button("Refresh", load)), content);
  void load();
}

function figures({ since, until, kinds, errors, hours }) {
  const of = (kind) => kinds.find((one) => one.kind === kind);
  const total = (name) => kinds.reduce((sum, one) => sum + one[name], 0);
  const tiles = element(
    "div",
    { class: "tiles" },
    tile("Searches", of("search")?.completed ?? 0),
    tile("Median of a search", seconds(of("search")?.median_seconds)),
    tile("95 % of searches within", seconds(of("search")?.p95_seconds)),
    tile("Uploads", (of("upload")?.completed ?? 0) + (of("ingest")?.completed ?? 0)),
    tile("Failed requests", total("failed"), total("failed") ? "failed" : ""),
    tile("Running now", total("processing")),
  );
  if (!kinds.length) return [tiles, element("p", { class: "empty", text: "There were no requests in the last 24 hours." })];
  const rows = kinds.map((one) => [
    NAMES[one.kind] ?? one.kind,
    ...[one.completed, one.failed, one.cancelled, one.processing].map((count) => count.toLocaleString("en")),
    seconds(one.median_seconds),
    seconds(one.p95_seconds),
  ]);
  return [
    tiles,
    element("h3", { text: "Requests by hour" }),
    chart(since, until, hours),
    element("h3", { text: "By kind" }),
    table("Requests by kind", ["Kind", "Done", "Failed", "Canceled", "Running", "Median", "95 %"], rows),
    element("h3", { text: "Reasons of failures" }),
    reasons(errors),
    element("h3", { text: "Failures by hour" }),
    failures(hours),
  ];
}

const seconds = (value) => (value === null || value === undefined ? "–" : formatDuration(value * 1000));

const tile = (name, value, state = "") =>
  element(
    "div",
    { class: `tile ${state}` },
    element("p", { class: "tile-value", text: typeof value === "number" ? value.toLocaleString("en") : value }),
    element("p", { class: "tile-name", text: name }),
  );

/** Codes as in error responses. Requests of earlier versions have none. */
function reasons(errors) {
  if (!errors.length) return element("p", { class: "empty", text: "No request failed." });
  const rows = errors.map(({ kind, error, count }) => [error ? element("code", { text: error }) : "not recorded", NAMES[kind] ?? kind, count.toLocaleString("en")]);
  return table("Failures by reason and kind", ["Error code", "Kind", "Failed"], rows);
}

function failures(hours) {
  const failed = hours.filter((one) => one.failed > 0);
  if (!failed.length) return element("p", { class: "empty", text: "No request failed." });
  const rows = failed.map((one) => [formatTime(one.hour), NAMES[one.kind] ?? one.kind, String(one.failed)]);
  return table("Failures by hour and kind", ["Hour", "Kind", "Failed"], rows);
}

/** Bars of the requests in each hour, with the failed ones in another color and hatched. The tables have the numbers. */
function chart(since, until, hours) {
  const first = Math.floor(new Date(since).getTime() / HOUR) * HOUR;
  const columns = [];
  for (let start = first; start <= new Date(until).getTime(); start += HOUR) {
    const inHour = hours.filter(({ hour }) => new Date(hour).getTime() === start);
    const failed = inHour.reduce((sum, one) => sum + one.failed, 0);
    columns.push({ start, failed, others: inHour.reduce((sum, one) => sum + one.completed + one.cancelled + one.processing, 0) });
  }
  const highest = Math.max(1, ...columns.map(({ failed, others }) => failed + others));
  const width = CHART.width / columns.length;
  const scale = (CHART.height - CHART.bottom - 20) / highest;
  const bars = columns.flatMap((column, index) => columnBars(column, index * width, width, scale));
  const image = svg("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": chartText(columns, highest) }, ...bars);
  return element(
    "figure",
    { class: "chart panel", tabindex: "0" },
    element("figcaption", {}, element("span", { class: "key others", text: "requests" }), element("span", { class: "key failed", text: "failed" })),
    image,
  );
}

function columnBars({ start, failed, others }, x, width, scale) {
  const base = CHART.height - CHART.bottom;
  const bar = (kind, count, below) =>
    count && svg("rect", { class: kind, x: x + 2, width: width - 4, y: base - (below + count) * scale, height: Math.max(1, count * scale), rx: 2 });
  const hour = new Date(start).getHours();
  const label = hour % 3 === 0 && svg("text", { x: x + width / 2, y: CHART.height - 6 }, `${hour}:00`);
  const number = failed + others > 0 && svg("text", { class: "count", x: x + width / 2, y: base - (failed + others) * scale - 5 }, String(failed + others));
  return [bar("others", others, 0), bar("failed", failed, others), label, number].filter(Boolean);
}

function chartText(columns, highest) {
  const total = columns.reduce((sum, { failed, others }) => sum + failed + others, 0);
  return `${total} requests in 24 hours, at most ${highest} in one hour`;
}

function svg(tag, attributes, ...children) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  created.append(...children);
  return created;
}

