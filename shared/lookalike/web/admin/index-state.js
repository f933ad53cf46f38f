/** Section: the index, its versions, rebuild and roll back. */

import { formatCount, formatPercent, formatTime } from "../js/format.js";
import { button, definitions, element, sectionHeader, table } from "./elements.js";
import { get, post } from "./http.js";
import { announce, confirmAction, errorNotice, runAction, showLoaded } from "./messages.js";

const POLL_MILLISECONDS = 5000;

/** @param {HTMLElement} view */
export function showIndex(view) {
  const content = element("div", { class: "stack" });
  let timer = 0;
  const rebuild = button("Rebuild now", () => runAction(rebuild, view, requestRebuild), { class: "primary" });

  async function requestRebuild() {
    announce((await post("index_versions/rebuild")).message);
    await load();
  }

  async function read() {
    const { data } = await get("index_versions");
    clearTimeout(timer);
    // a rebuild in the cloud begins with the next call of the schedule
    if (data.rebuild) timer = setTimeout(() => follow(data.rebuild.id), POLL_MILLISECONDS);
    return indexState(data, view, load);
  }

  async function follow(id) {
    try {
      const { status, error_code: code } = await get(`request_status/${encodeURIComponent(id)}`);
      if (status === "failed") view.prepend(errorNotice(new Error(`The rebuild failed with the error “${code ?? "unknown"}”. The log has the details.`)));
      if (status === "completed") announce("The index was rebuilt");
    } catch (error) {
      view.prepend(errorNotice(error));
    }
    if (view.isConnected) await load();
  }

  const load = () => showLoaded(content, read);
  view.append(sectionHeader("Index", "Searches combine the current version with everything added or deleted since.", rebuild), content);
  void load();
  return () => clearTimeout(timer);
}

function indexState(index, view, load) {
  const state = definitions([
    ["Current version", index.version ? element("code", { text: index.version }) : "None yet"],
    ["Age", index.built_at ? `${age(index.built_at)}, built ${formatTime(index.built_at)}` : null],
    ["Garments searched", index.rows.toLocaleString("en")],
    ["Added or changed since", index.tail_rows.toLocaleString("en")],
    ["Recall", recallText(index)],
    ["Embedder", element("code", { text: index.embedder })],
  ]);
  return [
    index.rebuild && rebuildNotice(index.rebuild, view, load),
    index.is_pinned && element("p", { class: "notice attention", text: "This version is pinned: scheduled builds do not replace it. Rebuild to end that." }),
    index.without_vector > 0 && missingNotice(index.without_vector),
    state,
    element("h3", { text: "Versions" }),
    versions(index, view, load),
  ].filter(Boolean);
}

function rebuildNotice({ id, stage, requested }, view, load) {
  const isWaiting = stage !== "building";
  const text = isWaiting
    ? `A rebuild was requested ${formatTime(requested)}. It begins with the next call of the schedule, in the cloud within ten minutes.`
    : `A rebuild that was requested ${formatTime(requested)} is running.`;
  const cancel = button("Cancel the rebuild", () => runAction(cancel, view, cancelRebuild));

  async function cancelRebuild() {
    announce((await post(`cancel_request/${encodeURIComponent(id)}`)).message);
    await load();
  }

  return element("div", { class: "notice attention" }, element("p", { role: "status", text }), isWaiting && cancel);
}

const missingNotice = (count) =>
  element(
    "p",
    { class: "notice attention" },
    `${formatCount(count, "garment")} cannot be found, because only vectors of another model are stored. See `,
    element("a", { href: "#models", text: "models" }),
    ".",
  );

function recallText({ version, recall }) {
  if (!version) return null;
  return recall === null ? "100%: the index is exact" : `${formatPercent(recall)} of the ten nearest garments`;
}

/** @param {string} time ISO 8601 time. */
function age(time) {
  const minutes = Math.max(0, Math.round((Date.now() - new Date(time).getTime()) / 60_000));
  if (minutes < 120) return formatCount(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 72 ? formatCount(hours, "hour") : formatCount(Math.round(hours / 24), "day");
}

function versions(index, view, load) {
  if (!index.versions.length) return element("p", { class: "empty", text: "There are no versions yet. Rebuild to make the first one." });
  const rows = index.versions.map((one) => [
    element("code", { text: one.version }),
    formatTime(one.built_at),
    one.rows.toLocaleString("en"),
    one.recall === null ? "exact" : formatPercent(one.recall),
    `${one.build_seconds.toFixed(1)} s`,
    one.is_current ? element("span", { class: "state stored", text: index.is_pinned ? "Current, pinned" : "Current" }) : rollbackButton(one, view, load),
  ]);
  return table("Index versions", ["Version", "Built", "Garments", "Recall", "Duration", ""], rows);
}

function rollbackButton({ version, rows }, view, load) {
  const control = button("Return to this version", () => runAction(control, view, rollBack), { "aria-label": `Return to version ${version}` });

  async function rollBack() {
    const question = `Searches then use this version with ${formatCount(rows, "garment")}, and everything added or deleted since. Scheduled builds do not replace it until you rebuild.`;
    if (!(await confirmAction("Return to this version?", question, "Return to it"))) return;
    const { message } = await post("index_versions/rollback", { version });
    announce(message);
    await load();
  }

  return control;
}
