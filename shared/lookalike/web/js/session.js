/** The access token. It is kept in the session storage, so it is lost when the tab is closed. */

const STORAGE_KEY = "lookalike-token";

// Used where the browser blocks the session storage.
let fallbackToken = "";

/**
 * Return the stored access token, or "" if there is none.
 * @returns {string}
 */
export function getToken() {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return fallbackToken;
  }
}

/**
 * Store an access token and mark the page as signed in. An empty token signs out.
 * @param {string} text Token, with or without the "Bearer" prefix.
 * @returns {string} The stored token.
 */
export function setToken(text) {
  // A header takes printable ASCII only.
  const token = text.trim().replace(/^Bearer\s+/i, "").replace(/[^\x21-\x7e]/g, "");
  fallbackToken = token;
  try {
    sessionStorage.setItem(STORAGE_KEY, token);
  } catch {
    // The fallback holds the token.
  }
  document.body.classList.toggle("is-signed-in", token !== "");
  return token;
}

/**
 * Remove a `#token=…` parameter from the address and return its value, or `null` if there is none.
 * `lookalike serve` prints an address with this parameter.
 * @returns {string | null}
 */
export function takeTokenFromUrl() {
  const parameter = /^#(?:.*&)?token=([^&]*)/.exec(location.hash);
  if (!parameter) return null;
  // The token must not stay in the browser history.
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(parameter[1]);
  } catch {
    return parameter[1];
  }
}
