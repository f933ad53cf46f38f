/** Requests of the pages to the API. Addresses are relative, so the pages also work below a path prefix. */

import { ApiError, CancelledError, createRequestId, send } from "./client.js";
import { getToken } from "./session.js";

export { ApiError, CancelledError, createRequestId };

/**
 * Send a POST request and return its parsed JSON response.
 * @param {string} path
 * @param {object | FormData | null} body An object is sent as JSON.
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {ApiError} If the response has an error status or is not valid.
 * @throws {CancelledError} If the request was cancelled on the server.
 */
export const post = (path, body, signal) => send(path, { body, signal, token: getToken() });

/**
 * Send a GET request and return its parsed JSON response. Throws like `post`.
 * @param {string} path
 * @returns {Promise<any>}
 */
export const get = (path) => send(path, { method: "GET", token: getToken() });

/**
 * Send a DELETE request and return its parsed JSON response. Throws like `post`.
 * @param {string} path
 * @returns {Promise<any>}
 */
export const remove = (path) => send(path, { method: "DELETE", token: getToken() });

/**
 * Return the address of an image in this browser, or "" if the server does not send it.
 * An image element cannot send the token. Call `URL.revokeObjectURL` when the image is not shown any more.
 * @param {string} path
 * @returns {Promise<string>}
 */
export async function loadImage(path) {
  const headers = getToken() ? { Authorization: `Bearer ${getToken()}` } : {};
  const response = await fetch(path, { headers }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : "";
}

/**
 * Return form data with these fields.
 * @param {Record<string, string | number | Blob>} fields
 */
export function createForm(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}
