/** The page of the user's own searches: list them, see what they found, repeat and delete them. */

import { ApiError, get, loadImage, remove } from "./api.js";
import { byId, cloneTemplate } from "./dom.js";
import { formatCount, formatTime } from "./format.js";
import { errorMessage, showError, showStatus } from "./messages.js";
import { isRepeatable } from "./reopen.js";

const PAGE_SIZE = 20;
/** Time before which the next page begins. @type {string | null} */
let before = null;

async function loadPage() {
  const page = await get(`search_history?limit=${PAGE_SIZE}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
  before = page.before;
  const items = page.data.map(createItem);
  byId("search-list").append(...items);
  byId("show-more").hidden = before === null;
  renderCount();
  return items;
}

function renderCount() {
  const count = byId("search-list").children.length;
  byId("delete-all").hidden = count === 0;
  showStatus(count ? `${formatCount(count, "search", "searches")}${before ? " so far" : ""}, newest first.` : "No searches yet. Searches that you make while you are signed in are listed here.");
}

function createItem(past) {
  const item = cloneTemplate("past-search-template");
  const find = (selector) => item.querySelector(selector);
  const title = describe(past);
  find(".past-query").textContent = title;
  Object.assign(find("time"), { textContent: formatTime(past.asked_at), dateTime: past.asked_at });
  find("details").addEventListener("toggle", () => void showMatches(item, past.search_id), { once: true });
  find(".again").hidden = !isRepeatable(past);
  find(".again").href = `./#search=${encodeURIComponent(past.search_id)}`;
  find(".again").setAttribute("aria-label", `Search again: ${title}`);
  find(".delete").setAttribute("aria-label", `Delete: ${title}`);
  find(".delete").addEventListener("click", () => void run(() => deleteItem(item, past.search_id)));
  return item;
}

/** Return what was searched for. A past search has no examples of photos, but the garments found in them. */
function describe({ query = [], garments = [], filter = {}, color = null }) {
  const isPhoto = query.every(({ text, id }) => text === undefined && id === undefined) && garments.length > 0;
  const labels = garments.map(({ label }) => label ?? "whole photo").join(", ");
  const words = query.flatMap(({ text }) => (text === undefined ? [] : [`“${text}”`]));
  const examples = query.filter(({ id }) => id !== undefined);
  const parts = [
    isPhoto && `Photo: ${labels}`,
    ...words,
    examples.length > 0 && `like ${examples.map(({ id, weight = 1 }) => `${weight < 0 ? "not " : ""}garment ${id}`).join(", ")}`,
    color && `color ${color.near}`,
    ...Object.entries(filter).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`),
  ];
  return parts.filter(Boolean).join(" · ") || "All garments";
}

async function showMatches(item, id) {
  const note = item.querySelector(".past-note");
  note.textContent = "Loading…";
  try {
    const { data, message } = await get(`search_history/${encodeURIComponent(id)}`);
    note.textContent = `${message}.`;
    item.querySelector(".past-garments").append(...createGarments(data));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    note.textContent = errorMessage(error);
  }
}

/** Return a list of matches for each garment that was searched for. */
function createGarments({ results, garments, chosen }) {
  const chosenIds = new Set(chosen.map(({ id }) => id));
  const numbers = [...new Set(results.map(({ garment }) => garment))].sort((a, b) => a - b);
  return numbers.map((number) => {
    const section = cloneTemplate("past-garment-template");
    section.querySelector("h3").textContent = garments[number]?.label ?? "";
    section.querySelector("h3").hidden = numbers.length === 1;
    const matches = results.filter(({ garment }) => garment === number);
    section.querySelector("ol").append(...matches.map((match) => createMatch(match, chosenIds.has(match.id))));
    return section;
  });
}

function createMatch(match, isChosen) {
  const item = cloneTemplate("past-match-template");
  item.querySelector(".past-label").textContent = match.label ?? "garment";
  item.querySelector(".past-similarity").textContent = `${match.similarity.toFixed(2)}${isChosen ? " · chosen" : ""}`;
  item.title = match.splitted_image_id;
  void loadImage(`thumbnails/${encodeURIComponent(match.splitted_image_id)}`).then((url) => {
    const image = item.querySelector("img");
    image.hidden = url === "";
    if (url) image.src = url;
  });
  return item;
}

async function deleteItem(item, id) {
  await remove(`search_history/${encodeURIComponent(id)}`);
  const next = item.nextElementSibling ?? item.previousElementSibling;
  item.remove();
  renderCount();
  (next?.querySelector(".delete") ?? byId("status")).focus();
}

async function deleteAll() {
  await remove("search_history");
  byId("search-list").replaceChildren();
  before = null;
  byId("show-more").hidden = true;
  renderCount();
}

async function run(action) {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showStatus("");
    showError(error);
  }
}

async function showUser() {
  const { data } = await get("api/auth/user");
  byId("account-name").textContent = `Signed in as ${data.email || data.user_id}`;
}

byId("show-more").addEventListener("click", () => void run(async () => (await loadPage())[0]?.querySelector("summary").focus()));
byId("delete-all").addEventListener("click", () => byId("confirm-dialog").showModal());
byId("confirm-dialog").addEventListener("close", ({ target }) => {
  if (target.returnValue === "delete") void run(deleteAll);
  target.returnValue = "";
});
void run(() => Promise.all([loadPage(), showUser()]));
