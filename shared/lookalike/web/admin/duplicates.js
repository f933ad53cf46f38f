/** Section: garments that are copies of each other, to decide about and to merge. */

import { button, element, field, sectionHeader, select } from "./elements.js";
import { get, post, put } from "./http.js";
import { announce, confirmAction, receiptNotice, runAction, showLoaded } from "./messages.js";

const STATES = [
  ["open", "To review"],
  ["accepted", "Accepted as copies"],
  ["rejected", "Rejected"],
  ["all", "All"],
];
const PAGE_SIZE = 10;

/** @param {HTMLElement} view */
export function showDuplicates(view) {
  const state = select(STATES, "open");
  const list = element("div", { class: "stack" });
  const load = () => showLoaded(list, () => loadPage(list, state.value, null));
  state.addEventListener("change", load);
  view.append(
    sectionHeader("Duplicates", "Pairs whose pictures are copies, resized or compressed again. Merging keeps the better picture and erases the other garment."),
    element("div", { class: "filters" }, field("Show", state)),
    list,
  );
  void load();
}

async function loadPage(list, state, cursor) {
  const page = await get("duplicates", { state, cursor, limit: PAGE_SIZE, include: "thumbnail" });
  const groups = page.data.map((group) => groupPanel(group));
  if (!groups.length && !page.next_cursor) groups.push(element("p", { class: "empty", text: cursor ? "There are no more." : "There are none." }));
  if (page.next_cursor) {
    // A page examines garments for some seconds only, so it can be empty although more follow.
    if (!groups.length) groups.push(element("p", { class: "empty", text: "None among the garments examined so far." }));
    groups.push(button("Go on", () => showLoaded(list, () => loadPage(list, state, page.next_cursor))));
  }
  return groups;
}

function groupPanel({ garments, pairs }) {
  const byId = new Map(garments.map((garment) => [garment.id, garment]));
  const panel = element("section", { class: "panel stack duplicate", "aria-label": `Copies: ${garments.map((one) => one.splitted_image_id).join(", ")}` });
  panel.append(...pairs.map((pair) => pairRow(pair, byId, panel)));
  return panel;
}

function pairRow(pair, byId, panel) {
  const [first, second] = pair.garments.map((id) => byId.get(id));
  const row = element("div", { class: "pair" });
  const decision = element("span", { class: "state", role: "status" });
  const actions = element("div", { class: "button-row" });

  function fill() {
    decision.textContent = { accepted: "Accepted", rejected: "Rejected" }[pair.decision] ?? "";
    const buttons = [];
    if (pair.decision !== "accepted") buttons.push(decide("accepted", "Copies"));
    if (pair.decision !== "rejected") buttons.push(decide("rejected", "Different"));
    if (pair.decision) buttons.push(decide("open", "Undo"));
    buttons.push(mergeButton());
    actions.replaceChildren(...buttons);
  }

  const name = `${first.splitted_image_id} and ${second.splitted_image_id}`;
  const decide = (value, text) => {
    const control = button(text, () =>
      runAction(control, row, async () => {
        announce((await put("duplicates/decisions", { garments: pair.garments, decision: value })).message);
        pair.decision = value === "open" ? null : value;
        fill();
        actions.querySelector("button").focus();
      }),
    );
    control.setAttribute("aria-label", `${text}: ${name}`);
    return control;
  };

  function mergeButton() {
    const control = button("Merge…", () => runAction(control, row, merge), { "aria-label": `Merge ${name}` });
    return control;
  }

  async function merge() {
    const text = "The garment with the better picture stays. References to the other one then refer to it, and the other one is erased. This cannot be undone.";
    if (!(await confirmAction(`Merge ${name}?`, text, "Merge them"))) return;
    // only accepted pairs are merged
    if (pair.decision !== "accepted") await put("duplicates/decisions", { garments: pair.garments, decision: "accepted" });
    const { data, message } = await post("duplicates/merge", { garments: pair.garments });
    announce(message);
    panel.replaceChildren(element("p", { text: `${message}.` }), receiptNotice(data));
  }

  fill();
  row.append(picture(first), picture(second), element("div", { class: "stack" }, element("p", { text: `${(pair.similarity * 100).toFixed(1)}% similar` }), decision, actions));
  return row;
}

function picture({ splitted_image_id: name, label, thumbnail_base64: data }) {
  const href = `#garments/garment/${encodeURIComponent(name)}`;
  return element(
    "figure",
    { class: "picture" },
    data ? element("img", { src: `data:image/jpeg;base64,${data}`, alt: "" }) : element("span", { class: "no-image", text: "no image" }),
    element("figcaption", {}, element("a", { href, text: name }), label ? ` ${label}` : ""),
  );
}
