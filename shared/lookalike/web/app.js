// The page of `lookalike serve`. Whatever comes from the server is shown as text, never as markup.

const MATCHES = 12;
const HUES = 10;
const NEAR_COLOUR = 10;
const PATIENCE_MS = 4000;
const TOKEN = "lookalike-token";

const FACTS = [
  ["Brand", "brand"],
  ["Store", "store_name"],
  ["Rating", "rating"],
  ["Sale", "sale_status"],
  ["Sizes", "size"],
  ["Waist", "waist_type"],
  ["Season", "season"],
  ["Listed", "listing_season"],
  ["Tags", "tags"],
];

const state = { photo: null, address: "", answer: null, outdated: false, work: null, details: null };

const at = (id) => document.getElementById(id);
const fresh = (id) => at(id).content.firstElementChild.cloneNode(true);
const count = (number, noun, nouns = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : nouns}`;
const kindOf = (group) => group.label ?? "whole photo";

class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

class Cancelled extends Error {}

// --- token ---

function token() {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return at("token").value;
  }
}

function keepToken(text) {
  // A header takes printable ASCII only, and people paste the scheme along.
  const value = text.trim().replace(/^Bearer\s+/i, "").replace(/[^\x21-\x7e]/g, "");
  at("token").value = value;
  try {
    sessionStorage.setItem(TOKEN, value);
  } catch {
    // Storage is switched off: the field alone keeps it.
  }
  document.body.classList.toggle("signed-in", value !== "");
}

function takeTokenFromAddress() {
  const found = /^#(?:.*&)?token=([^&]*)/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname + location.search);
  keepToken(decoded(found[1]));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function askForToken() {
  at("account").open = true;
  at("email").focus();
}

async function enter(path) {
  const said = at("sign-in-said");
  said.textContent = "";
  try {
    const { data, message } = await post(path, JSON.stringify({ email: at("email").value, password: at("password").value }));
    said.textContent = message || `Signed in as ${data.role === "admin" ? "an administrator" : "a user"}.`;
    if (!data.access_token) return;
    at("password").value = "";
    keepToken(data.access_token);
    clearProblem();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    said.textContent = error.message;
  }
}

function leave() {
  // the token may have run out, and then there is nothing to sign out of
  if (token()) void post("api/auth/logout", "{}").catch(() => {});
  keepToken("");
  at("sign-in-said").textContent = "";
}

// --- talking to the server ---

async function post(path, body, signal) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  if (typeof body === "string") headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(path, { method: "POST", headers, body, signal });
    return checked(answer, await answer.text());
  } catch (error) {
    if (error instanceof TypeError) throw new Problem("The server cannot be reached. Is “lookalike serve” still running?");
    throw error;
  }
}

function checked(answer, text) {
  const body = parsed(text);
  if (body?.status === "cancelled") throw new Cancelled();
  if (answer.ok && body?.success) return body;
  const message = typeof body?.message === "string" ? body.message : `The server answered with status ${answer.status}.`;
  throw new Problem(message, answer.status);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function newId() {
  // crypto.randomUUID is missing where the page comes over plain http from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
}

// --- one piece of work at a time ---

async function perform(doing, task) {
  if (state.work) void stop(state.work);
  state.work?.controller.abort();
  const work = { id: newId(), controller: new AbortController(), cancelled: false };
  state.work = work;
  showBusy(doing);
  try {
    await task(work);
  } catch (error) {
    if (state.work === work) showFailure(work, error);
  } finally {
    if (state.work === work) state.work = null;
    showIdle();
  }
}

function showFailure(work, error) {
  say("");
  clearSkeletons();
  if (error instanceof Cancelled || work.cancelled) say("Cancelled.");
  else showProblem(error);
}

async function stop(work) {
  await post(`cancel_request/${work.id}`, null).catch(() => work.controller.abort());
}

async function cancel() {
  const work = state.work;
  if (!work) return;
  work.cancelled = true;
  at("cancel").disabled = true;
  say("Cancelling…");
  // The work's own answer says that it was cancelled; without one, the page stops waiting.
  setTimeout(() => work.controller.abort(), PATIENCE_MS);
  await stop(work);
}

function showBusy(doing) {
  clearProblem();
  say(doing);
  document.body.classList.add("busy");
  at("cancel").hidden = false;
  at("cancel").disabled = false;
  at("again").hidden = true;
  at("add-button").disabled = true;
}

function showIdle() {
  if (state.work) return;
  document.body.classList.remove("busy");
  at("cancel").hidden = true;
  at("again").hidden = state.answer !== null && !state.outdated;
  at("add-button").disabled = false;
}

const say = (text) => {
  at("status").textContent = text;
};

function showProblem(problem) {
  const refused = problem.status === 401 || problem.status === 403;
  at("problem-text").textContent = refused ? `${sentence(problem.message)} ${tokenHint()}` : problem.message;
  at("problem-token").hidden = !refused;
  at("problem").hidden = false;
  at("problem").scrollIntoView({ block: "nearest" });
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const tokenHint = () => (token() ? "You may not do this: sign in as somebody else." : "Sign in at the top of the page.");

function clearProblem() {
  at("problem").hidden = true;
  at("problem-token").hidden = true;
}

// --- choosing a photo ---

function choose(files) {
  const photo = Array.from(files).find((file) => file.type === "" || file.type.startsWith("image/"));
  if (!photo) return showProblem(new Problem("That is not a picture. Drop a JPEG, PNG or WebP file."));
  show(photo);
  return void search();
}

function show(photo) {
  URL.revokeObjectURL(state.address);
  Object.assign(state, { photo, address: URL.createObjectURL(photo), answer: null });
  at("photo").src = state.address;
  at("photo").hidden = false;
  at("unshown").hidden = true;
  at("name").value = "";
  at("start").hidden = true;
  at("work").hidden = false;
}

function shapeStage(width, height) {
  if (width && height) at("stage").style.setProperty("--ratio", width / height);
}

function search() {
  return perform("Looking for garments…", async (work) => {
    forgetAnswer();
    const begun = performance.now();
    const fields = { image: state.photo, segment: "true", num: MATCHES, include: "thumbnail", request_id: work.id };
    const answer = await post("relay_image", form(fields), work.controller.signal);
    if (state.work === work) showAnswer(answer, performance.now() - begun);
  });
}

async function addToCloset() {
  const name = at("name").value.trim();
  await perform("Adding to the closet…", async (work) => {
    const fields = { image: state.photo, request_id: work.id, ...(name && { image_name: name }) };
    const { data } = await post("upload_image", form(fields), work.controller.signal);
    if (state.work === work) showAdded(data);
  });
}

function showAdded(data) {
  const garments = count(data?.segments?.length ?? 0, "garment");
  say(`Added ${garments} to the closet as ${data?.original_image_id}.`);
  state.outdated = true;
  at("name").value = "";
}

// --- the answer ---

function forgetAnswer() {
  Object.assign(state, { answer: null, outdated: false });
  for (const part of ["boxes", "tags", "garments"]) at(part).replaceChildren();
  at("shade").hidden = true;
  at("matches-title").textContent = "";
  at("matches-note").textContent = "";
  at("empty").hidden = true;
  at("cards").replaceChildren(...Array.from({ length: 8 }, skeleton));
}

function skeleton() {
  const item = document.createElement("li");
  item.className = "skeleton";
  item.setAttribute("aria-hidden", "true");
  return item;
}

const clearSkeletons = () => document.querySelectorAll(".skeleton").forEach((item) => item.remove());

function showAnswer(answer, took) {
  state.answer = { ...answer, groups: answer.groups.toSorted(bySize) };
  shapeStage(answer.width, answer.height);
  at("boxes").replaceChildren(...state.answer.groups.map(box));
  at("tags").replaceChildren(...state.answer.groups.map(tag));
  at("garments").replaceChildren(...state.answer.groups.map(garment));
  settleTags();
  say(`${found(answer.groups)} in ${duration(took)}.`);
  showIndex(answer.index);
  pick(0);
}

// Large garments come first: they matter most, and small ones then lie above them and can be clicked.
function bySize(one, other) {
  const area = ({ bounding_box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  return area(other) - area(one);
}

const duration = (took) => (took < 1000 ? `${Math.ceil(took)}\u00a0ms` : `${(took / 1000).toFixed(1)}\u00a0s`);

function found(groups) {
  const garments = groups.filter((group) => group.label !== null).length;
  return garments ? `Found ${count(garments, "garment")}` : "No garment was found, so the whole photo was compared,";
}

function box(group, number) {
  const button = pickable(fresh("box-template"), number);
  Object.assign(button.style, place(group.bounding_box));
  button.setAttribute("aria-label", caption(group));
  return button;
}

// Tags lie in a layer of their own, so that no box's frame crosses them.
function tag(group, number) {
  const item = pickable(fresh("tag-template"), number);
  item.textContent = caption(group);
  return item;
}

function place([x1, y1, x2, y2]) {
  const { width, height } = state.answer;
  const share = (value, side) => `${(100 * value) / side}%`;
  return { left: share(x1, width), top: share(y1, height), width: share(x2 - x1, width), height: share(y2 - y1, height) };
}

function garment(group, number) {
  const button = pickable(fresh("garment-template"), number);
  button.querySelector(".name").textContent = kindOf(group);
  button.querySelector(".score").textContent = percent(group.score);
  return button;
}

function pickable(button, number) {
  button.dataset.hue = number % HUES;
  button.dataset.number = number;
  button.addEventListener("click", () => pick(number));
  for (const [event, on] of [["pointerenter", true], ["pointerleave", false]]) {
    button.addEventListener(event, () => twins(number).forEach((twin) => twin.classList.toggle("pointed", on)));
  }
  return button;
}

const caption = (group) => `${kindOf(group)} ${percent(group.score)}`.trim();
const percent = (score) => (score === null || score === undefined ? "" : `${Math.round(score * 100)}%`);
const twins = (number) => document.querySelectorAll(`[data-number="${number}"]`);

// Tags stand on their boxes and give way: inwards from the photo's edges, and down past each other.
function settleTags() {
  const placed = [];
  for (const item of at("tags").children) {
    const spot = spotFor(item, at("boxes").children[item.dataset.number], placed);
    item.style.transform = `translate(${spot.x}px, ${spot.y}px)`;
    placed.push(spot);
  }
}

function spotFor({ offsetWidth: width, offsetHeight: height }, owner, placed) {
  const stage = at("stage");
  const x = Math.max(0, Math.min(owner.offsetLeft, stage.clientWidth - width));
  const y = freeHeight({ x, y: Math.max(0, owner.offsetTop - height), width, height }, placed);
  return { x, y: Math.min(y, stage.clientHeight - height), width, height };
}

function freeHeight(tag, placed) {
  const blocker = () => placed.find((other) => overlap(tag, other));
  for (let other = blocker(); other; other = blocker()) tag.y = other.y + other.height + 2;
  return tag.y;
}

function overlap(one, other) {
  const aside = one.x >= other.x + other.width || other.x >= one.x + one.width;
  return !aside && one.y < other.y + other.height && other.y < one.y + one.height;
}

function pick(number) {
  const group = state.answer.groups[number];
  for (const button of document.querySelectorAll("[data-number]")) {
    button.setAttribute("aria-pressed", button.dataset.number === String(number));
  }
  if (!group) return;
  Object.assign(at("shade").style, place(group.bounding_box));
  at("shade").hidden = false;
  showMatches(group, number);
}

function showMatches(group, number) {
  const empty = state.answer.index?.rows === 0;
  const matches = group.results;
  at("matches-title").textContent = empty ? "The closet is empty" : matchesTitle(group);
  at("matches-note").textContent = empty ? "" : matchesNote(matches);
  at("empty").hidden = !empty;
  at("cards").dataset.hue = number % HUES;
  at("cards").replaceChildren(...matches.map(card));
}

const matchesTitle = (group) => (group.label ? `Most like this: ${group.label}` : "Most like the whole photo");
const matchesNote = (matches) =>
  matches.length ? `${count(matches.length, "match", "matches")}, best first. A similarity of 1 would be the same picture.` : "Nothing in the closet resembles it.";

function card(match) {
  const item = fresh("card-template");
  const part = (name) => item.querySelector(`.${name}`);
  showThumbnail(item.querySelector("img"), match);
  part("label").textContent = match.label ?? "garment";
  part("similarity").textContent = match.similarity.toFixed(2);
  part("gauge").style.setProperty("--share", Math.max(0, match.similarity));
  part("why").textContent = inCommon(match.why ?? {});
  part("from").textContent = match.original_image_id;
  part("from").title = match.splitted_image_id;
  part("card").addEventListener("click", () => openDetails(match));
  return item;
}

function inCommon({ same_label, colour_distance, shared_details = [] }) {
  const details = shared_details.map((name) => name.replaceAll("_", " ")).join(", ");
  const words = [same_label && "same kind", colour_distance < NEAR_COLOUR && "similar colour", details && `same ${details}`];
  return words.filter(Boolean).join(" · ");
}

function showThumbnail(image, match) {
  image.hidden = !match.thumbnail_base64;
  if (match.thumbnail_base64) image.src = `data:image/jpeg;base64,${match.thumbnail_base64}`;
}

function showIndex(index) {
  if (!index) return;
  const built = index.built_at ? `index built ${moment(index.built_at)}` : "no index built yet";
  const rows = `${count(index.rows, "garment")} in the closet, ${index.tail_rows.toLocaleString("en")} of them newer than the index`;
  at("index-line").textContent = `${rows} · ${built}`;
  at("index-line").title = index.version ? `Version ${index.version}` : "";
}

function moment(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? text : time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

// --- product details ---

async function openDetails(match) {
  state.details?.abort();
  state.details = new AbortController();
  fillDetails(match);
  at("details").showModal();
  try {
    const body = JSON.stringify({ splitted_image_id: match.splitted_image_id });
    const { message } = await post("image_detail", body, state.details.signal);
    fillProduct(message, match);
  } catch (error) {
    if (error.name !== "AbortError") fillTrouble(error);
  }
}

function fillDetails(match) {
  showThumbnail(at("details-image"), match);
  const chance = match.match === undefined ? "" : ` · ${Math.round(match.match * 100)} % likely the same garment`;
  at("details-kind").textContent = `Similarity ${match.similarity.toFixed(2)}${chance}`;
  at("details-title").textContent = match.label ?? "garment";
  at("details-text").textContent = "Looking up the product…";
  at("details-id").textContent = match.splitted_image_id;
  at("details-list").replaceChildren();
  at("details-link").hidden = true;
}

function fillTrouble(error) {
  const refused = error.status === 401 || error.status === 403;
  const message = refused ? `${sentence(error.message)} ${tokenHint()}` : error.message;
  at("details-text").textContent = error.status === 404 ? "There are no product details for this garment." : message;
}

function fillProduct(product, match) {
  at("details-title").textContent = product.product_name ?? match.label ?? "garment";
  at("details-text").textContent = product.store_description ?? "";
  at("details-list").replaceChildren(...FACTS.flatMap(([name, key]) => fact(name, product[key])));
  const address = shopAddress(product.url);
  at("details-link").hidden = address === null;
  if (address !== null) at("details-link").href = address;
}

function fact(name, value) {
  const text = [value ?? []].flat().join(", ");
  if (text === "") return [];
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  description.textContent = text;
  return [term, description];
}

function shopAddress(text) {
  return typeof text === "string" && /^https?:\/\//i.test(text) && URL.canParse(text) ? text : null;
}

// --- wiring ---

function listenForPhotos() {
  const input = at("file");
  for (const button of document.querySelectorAll("[data-choose]")) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) choose(input.files);
    input.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) choose(event.clipboardData.files);
  });
}

function listenForDrops() {
  const mark = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    choose(event.dataTransfer.files);
  });
}

function listenForToken() {
  const account = at("account");
  const close = () => {
    account.open = false;
  };
  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(at("token").value);
    clearProblem();
    close();
  });
  at("sign-in").addEventListener("click", () => enter("api/auth/login"));
  at("register").addEventListener("click", () => enter("api/auth/register"));
  at("password").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    void enter("api/auth/login");
  });
  at("forget").addEventListener("click", leave);
  at("problem-token").addEventListener("click", askForToken);
  document.addEventListener("click", (event) => {
    if (!account.contains(event.target) && event.target !== at("problem-token")) close();
  });
  account.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    account.firstElementChild.focus();
  });
}

function listenForWork() {
  at("cancel").addEventListener("click", cancel);
  at("again").addEventListener("click", search);
  at("add").addEventListener("submit", (event) => {
    event.preventDefault();
    void addToCloset();
  });
  at("photo").addEventListener("load", ({ target }) => shapeStage(target.naturalWidth, target.naturalHeight));
  at("photo").addEventListener("error", () => {
    at("photo").hidden = true;
    at("unshown").hidden = false;
  });
  new ResizeObserver(settleTags).observe(at("stage"));
}

function listenForDetails() {
  const dialog = at("details");
  at("details-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => state.details?.abort());
}

keepToken(token());
takeTokenFromAddress();
addEventListener("hashchange", takeTokenFromAddress);
listenForPhotos();
listenForDrops();
listenForToken();
listenForWork();
listenForDetails();
