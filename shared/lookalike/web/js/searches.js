/** The page of the user's own searches: list them, see what they found, repeat and delete them. */

import { ApiError, get, loadImage, remove } from "./api.js";
import { byId, cloneTemplate } from "./dom.js";
import { formatTime } from "./format.js";
import { currentTranslator, onLanguage, text } from "./language.js";
import { errorMessage, showError, showStatus } from "./messages.js";
import { describeSearch, labelOf } from "./past-description.js";
import { repeatableGarments } from "./reopen.js";

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
  showStatus(count ? text(before ? "search-count-so-far" : "search-count", { count }) : text("no-searches"));
}

function createItem(past) {
  const item = cloneTemplate("past-search-template");
  const find = (selector) => item.querySelector(selector);
  const title = describeSearch(past);
  find(".past-query").textContent = title;
  const time = formatTime(past.asked_at, currentTranslator().language);
  Object.assign(find("time"), { textContent: time, dateTime: past.asked_at });
  find("details").addEventListener("toggle", () => void showMatches(item, past.search_id), { once: true });
  find(".past-actions").prepend(...createLinks(past, title));
  find(".delete").setAttribute("aria-label", text("delete-search", { search: title }));
  find(".delete").addEventListener("click", () => void run(() => deleteItem(item, past.search_id)));
  return item;
}

/** Return a link that repeats the search, or one for each garment of the photo. */
function createLinks(past, title) {
  const numbers = repeatableGarments(past);
  return numbers.map((number) => {
    const link = cloneTemplate("again-template");
    link.href = `./#search=${encodeURIComponent(past.search_id)}&garment=${number}`;
    const label = labelOf(past.garments?.[number]);
    if (numbers.length > 1) link.textContent = text("search-this-again", { search: label });
    else link.setAttribute("aria-label", text("search-this-again", { search: title }));
    return link;
  });
}

async function showMatches(item, id) {
  const note = item.querySelector(".past-note");
  note.textContent = text("loading");
  try {
    const { data } = await get(`search_history/${encodeURIComponent(id)}`);
    note.textContent = text("still-stored", { count: data.results.length });
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
    section.querySelector("h3").textContent = garments[number] ? labelOf(garments[number]) : "";
    section.querySelector("h3").hidden = numbers.length === 1;
    const matches = results.filter(({ garment }) => garment === number);
    section.querySelector("ol").append(...matches.map((match) => createMatch(match, chosenIds.has(match.id))));
    return section;
  });
}

function createMatch(match, isChosen) {
  const item = cloneTemplate("past-match-template");
  item.querySelector(".past-label").textContent = match.label ? currentTranslator().name("label", match.label) : text("garment");
  item.querySelector(".past-similarity").textContent = [match.similarity.toFixed(2), isChosen && text("chosen")].filter(Boolean).join(" · ");
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
  byId("account-name").textContent = text("signed-in-as", { name: data.email || data.user_id });
}

byId("show-more").addEventListener("click", () => void run(async () => (await loadPage())[0]?.querySelector("summary").focus()));
byId("delete-all").addEventListener("click", () => byId("confirm-dialog").showModal());
byId("confirm-dialog").addEventListener("close", ({ target }) => {
  if (target.returnValue === "delete") void run(deleteAll);
  target.returnValue = "";
});
onLanguage(() => location.reload());
void run(() => Promise.all([loadPage(), showUser()]));
