/** The sign-in panel. */

import { ApiError, post } from "./api.js";
import { byId } from "./dom.js";
import { initMenu } from "./menu.js";
import { clearError } from "./messages.js";
import { getToken, setToken, takeTokenFromUrl } from "./session.js";

/** Restore the session and connect the controls of the panel. */
export function initAccount() {
  storeToken(getToken());
  storeTokenFromUrl();
  addEventListener("hashchange", storeTokenFromUrl);
  byId("account-form").addEventListener("submit", (event) => {
    event.preventDefault();
    storeToken(byId("token").value);
    clearError();
    closePanel();
  });
  byId("sign-in").addEventListener("click", () => sendCredentials("api/auth/login"));
  byId("register").addEventListener("click", () => sendCredentials("api/auth/register"));
  byId("sign-out").addEventListener("click", signOut);
  byId("error-sign-in").addEventListener("click", openPanel);
  listenForEnter();
  initMenu("account", [byId("error-sign-in")]);
}

function listenForEnter() {
  byId("password").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // The default would submit the form, which stores the token field.
    event.preventDefault();
    void sendCredentials("api/auth/login");
  });
}

function openPanel() {
  byId("account").open = true;
  byId("email").focus();
}

function closePanel() {
  byId("account").open = false;
}

function storeToken(text) {
  byId("token").value = setToken(text);
}

function storeTokenFromUrl() {
  const token = takeTokenFromUrl();
  if (token !== null) storeToken(token);
}

async function sendCredentials(path) {
  const output = byId("sign-in-message");
  output.textContent = "";
  try {
    const { data, message } = await post(path, { email: byId("email").value, password: byId("password").value });
    output.textContent = message || `Signed in as ${data.role === "admin" ? "an administrator" : "a user"}.`;
    // Registration returns no token: an address may have to be confirmed first.
    if (!data.access_token) return;
    byId("password").value = "";
    storeToken(data.access_token);
    clearError();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    output.textContent = error.message;
  }
}

function signOut() {
  // Failures are ignored: the server rejects an expired token, and the session ends here in any case.
  if (getToken()) void post("api/auth/logout", {}).catch(() => {});
  storeToken("");
  byId("sign-in-message").textContent = "";
}
