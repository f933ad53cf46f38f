/** The status line and the error message of the page. */

import { byId } from "./dom.js";
import { asSentence } from "./format.js";
import { getToken } from "./session.js";

/**
 * Show a text in the status line below the photo.
 * @param {string} text
 */
export function showStatus(text) {
  byId("status").textContent = text;
}

/**
 * Return the message of an error, with a hint to sign in if that helps.
 * @param {Error & {status?: number, isUnauthorized?: boolean}} error
 * @returns {string}
 */
export function errorMessage(error) {
  if (!error.isUnauthorized) return error.message;
  if (error.status === 403) return `${asSentence(error.message)} Sign in with an account that has this permission.`;
  return `${asSentence(error.message)} ${getToken() ? "Sign in again" : "Sign in"} at the top of the page.`;
}

/**
 * Show an error above the photo. Errors about permissions get a sign-in button.
 * @param {Error & {status?: number, isUnauthorized?: boolean}} error
 */
export function showError(error) {
  byId("error-text").textContent = errorMessage(error);
  byId("error-sign-in").hidden = !error.isUnauthorized;
  byId("error").hidden = false;
  byId("error").scrollIntoView({ block: "nearest" });
}

/**
 * Show a notice above the photo, about something that needs attention but is no error.
 * @param {string} text
 */
export function showNotice(text) {
  byId("notice").textContent = text;
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
