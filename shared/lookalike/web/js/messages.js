/** The status line and the error message of the page. */

import { byId } from "./dom.js";
import { asSentence } from "./format.js";
import { currentTranslator, text } from "./language.js";
import { getToken } from "./session.js";

/**
 * Show a text in the status line below the photo.
 * @param {string} message
 */
export function showStatus(message) {
  byId("status").textContent = message;
}

/**
 * Return what an error means. In English, that is the message of the server, which is more precise.
 * @param {Error & {code?: string, retryAfter?: number | null}} error
 * @returns {string}
 */
export function describeError({ message, code, retryAfter }) {
  const { language, strings } = currentTranslator();
  if (language === "en" || !(`error.${code}` in strings)) return message;
  const wait = retryAfter ? ` ${text("retry-after", { count: retryAfter })}` : "";
  return `${strings[`error.${code}`]}${wait} (${code})`;
}

/**
 * Return the message of an error, with a hint to sign in if that helps.
 * @param {Error & {status?: number, code?: string, isUnauthorized?: boolean}} error
 * @returns {string}
 */
export function errorMessage(error) {
  const message = describeError(error);
  if (!error.isUnauthorized) return message;
  const hint = error.status === 403 ? "hint-permission" : getToken() ? "hint-again" : "hint-sign-in";
  return `${asSentence(message)} ${text(hint)}`;
}

/**
 * Show an error above the photo. Errors about permissions get a sign-in button.
 * @param {Error & {status?: number, code?: string, isUnauthorized?: boolean}} error
 */
export function showError(error) {
  byId("error-text").textContent = errorMessage(error);
  byId("error-server").textContent = error.status && describeError(error) !== error.message ? error.message : "";
  byId("error-sign-in").hidden = !error.isUnauthorized;
  byId("error").hidden = false;
  byId("error").scrollIntoView({ block: "nearest" });
}

/**
 * Show a notice above the photo, about something that needs attention but is no error.
 * @param {string} message
 */
export function showNotice(message) {
  byId("notice").textContent = message;
  byId("notice").hidden = false;
}

/** Hide the notice. */
export function clearNotice() {
  byId("notice").hidden = true;
}

/** Hide the error. */
export function clearError() {
  byId("error").hidden = true;
  byId("error-sign-in").hidden = true;
}
