/**
 * Entry point of the administration at `/admin`: sign-in, navigation and the section that is shown.
 * A section is a module with a function that fills an element, and returns a function to call when it is left, or nothing.
 */

import { byId } from "../js/dom.js";
import { getToken, setToken, takeTokenFromUrl } from "../js/session.js";
import { showAccess } from "./access.js";
import { showDuplicates } from "./duplicates.js";
import { element } from "./elements.js";
import { showFigures } from "./figures.js";
import { showGarments } from "./garments.js";
import { get, onUnauthorized, post } from "./http.js";
import { showIndex } from "./index-state.js";
import { showIngestions } from "./ingestions.js";
import { showJobs } from "./jobs.js";
import { errorNotice } from "./messages.js";
import { showModels } from "./models.js";
import { showProducts } from "./products.js";
import { showUploads } from "./uploads.js";

const SECTIONS = [
  ["figures", "Last day", showFigures],
  ["add", "Add photos", showUploads],
  ["garments", "Garments", showGarments],
  ["products", "Products", showProducts],
  ["duplicates", "Duplicates", showDuplicates],
  ["ingestions", "Ingestions", showIngestions],
  ["jobs", "Running jobs", showJobs],
  ["index", "Index", showIndex],
  ["models", "Models", showModels],
  ["access", "Keys and accounts", showAccess],
];

let leave = () => {};

function showSection() {
  leave();
  const [id, ...rest] = location.hash.slice(1).split("/");
  const [shownId, title, show] = SECTIONS.find(([known]) => known === id) ?? SECTIONS[0];
  for (const item of byId("navigation").querySelectorAll("a")) {
    if (item.hash === `#${shownId}`) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  // in narrow windows, the navigation scrolls sideways
  byId("navigation").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
  document.title = `${title} – lookalike administration`;
  const view = element("div", { class: `section ${shownId}` });
  byId("view").replaceChildren(view);
  leave = show(view, rest.map(decodeURIComponent)) ?? (() => {});
}

function showSignIn(message = "") {
  leave();
  leave = () => {};
  byId("view").replaceChildren();
  byId("navigation").hidden = byId("account").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = message;
  byId("sign-in-error").hidden = message === "";
}

/** Show the sections if the token is that of an administrator, else the sign-in form. */
async function start(message = "") {
  if (!getToken()) {
    showSignIn(message);
    return;
  }
  try {
    byId("account-name").textContent = await describeAccount();
  } catch (error) {
    if (error.isUnauthorized) showSignIn(error.message);
    else byId("view").replaceChildren(errorNotice(error, () => start()));
    return;
  }
  byId("sign-in").hidden = true;
  byId("navigation").hidden = byId("account").hidden = false;
  showSection();
}

async function describeAccount() {
  if (getToken().startsWith("lk_")) {
    // An API key has no account. This fails if it is not one of an administrator.
    await get("api_keys");
    return "API key of an administrator";
  }
  const { data } = await get("api/auth/user");
  if (!data.is_admin) await get("api_keys");
  return `${data.email || data.user_id} · administrator`;
}

async function signIn(event) {
  event.preventDefault();
  try {
    const { data } = await post("api/auth/login", { email: byId("email").value, password: byId("password").value });
    byId("password").value = "";
    setToken(data.access_token);
    await start();
  } catch (error) {
    showSignIn(error.message);
  }
}

function useToken(event) {
  event.preventDefault();
  setToken(byId("token").value);
  byId("token").value = "";
  void start();
}

function signOut() {
  // Failures are ignored: the server rejects an expired token, and the session ends here in any case.
  void post("api/auth/logout").catch(() => {});
  setToken("");
  showSignIn();
  byId("sign-in-title").focus();
}

function onHashChange() {
  const token = takeTokenFromUrl();
  if (token !== null) {
    setToken(token);
    void start();
  } else if (!byId("navigation").hidden) {
    showSection();
    byId("view").querySelector("h2")?.focus();
  }
}

byId("navigation").append(
  element("ul", {}, SECTIONS.map(([id, title]) => element("li", {}, element("a", { href: `#${id}`, text: title })))),
);
document.querySelector(".skip-link").addEventListener("click", (event) => {
  // The fragment of the address names the section.
  event.preventDefault();
  byId("content").focus();
});
byId("sign-in-form").addEventListener("submit", signIn);
byId("token-form").addEventListener("submit", useToken);
byId("sign-out").addEventListener("click", signOut);
addEventListener("hashchange", onHashChange);
onUnauthorized.call = (message) => showSignIn(message);
setToken(takeTokenFromUrl() ?? getToken());
void start();
