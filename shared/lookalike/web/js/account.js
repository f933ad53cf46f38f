/** The sign-in panel, and who is signed in. */

import { ApiError, get, post } from "./api.js";
import { byId } from "./dom.js";
import { asSentence } from "./format.js";
import { currentTranslator, onLanguage, text } from "./language.js";
import { initMenu } from "./menu.js";
import { clearError, describeError } from "./messages.js";
import { getToken, setToken, takeTokenFromUrl } from "./session.js";

let onToken = () => {};
/** @type {{email?: string, user_id?: string, is_admin?: boolean} | null} Who is signed in. */
let currentUser = null;

/**
 * Restore the session and connect the controls of the panel.
 * @param {(token: string) => void} onTokenChange Called with each new access token, "" after signing out.
 */
export function initAccount(onTokenChange) {
  onToken = onTokenChange;
  const fromUrl = takeTokenFromUrl();
  void storeToken(fromUrl ?? getToken());
  addEventListener("hashchange", () => {
    const token = takeTokenFromUrl();
    if (token !== null) void storeToken(token);
  });
  listen("account-form", "submit", () => sendCredentials("api/auth/login"));
  listen("register", "click", () => sendCredentials("api/auth/register"));
  listen("token-form", "submit", () => storeToken(byId("token").value));
  listen("sign-out", "click", signOut);
  listen("error-sign-in", "click", openPanel);
  initMenu("account", [byId("error-sign-in")]);
  onLanguage(() => renderUser(currentUser));
}

function listen(id, type, handle) {
  byId(id).addEventListener(type, (event) => {
    event.preventDefault();
    void handle();
  });
}

function openPanel() {
  byId("account").open = true;
  // Another account may have the permission that this one lacks.
  if (getToken()) byId("sign-out").focus();
  else byId("email").focus();
}

/** Store an access token, and show whose it is. */
async function storeToken(newToken) {
  const token = setToken(newToken);
  onToken(token);
  byId("token").value = "";
  byId("sign-in-message").textContent = "";
  renderUser(token ? { email: "" } : null);
  if (!token) return;
  clearError();
  try {
    const { data } = await get("api/auth/user");
    // The user may have signed out meanwhile.
    if (getToken() === token) renderUser(data);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.isUnauthorized) await storeToken("");
    byId("sign-in-message").textContent = error.isUnauthorized ? `${asSentence(describeError(error))} ${text("sign-in-again")}` : describeError(error);
  }
}

/** @param {{email?: string, user_id?: string, is_admin?: boolean} | null} user `null` if nobody is signed in. */
function renderUser(user) {
  currentUser = user;
  const name = user ? user.email || user.user_id || text("signed-in") : "";
  byId("account-name").textContent = name || text("sign-in");
  byId("account-email").textContent = name;
  byId("account-role").textContent = user?.is_admin ? text("administrator") : "";
  byId("administration").hidden = !user?.is_admin;
  byId("signed-in").hidden = !user;
  for (const id of ["account-form", "token-form"]) byId(id).hidden = Boolean(user);
}

async function sendCredentials(path) {
  const output = byId("sign-in-message");
  output.textContent = "";
  try {
    const { data, message } = await post(path, { email: byId("email").value, password: byId("password").value });
    // Registration returns no token: an address may have to be confirmed first.
    if (!data.access_token) {
      output.textContent = currentTranslator().language === "en" ? message : text("registered");
      return;
    }
    byId("password").value = "";
    await storeToken(data.access_token);
    // The button that was pressed is hidden now.
    byId("sign-out").focus();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    output.textContent = describeError(error);
  }
}

async function signOut() {
  // Failures are ignored: the server rejects an expired token, and the session ends here in any case.
  if (getToken()) void post("api/auth/logout", {}).catch(() => {});
  await storeToken("");
  byId("email").focus();
}
