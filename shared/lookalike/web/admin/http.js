/** Requests of the administration to the API. Addresses are relative, so the page also works below a path prefix. */

import { ApiError, send } from "../js/client.js";
import { getToken } from "../js/session.js";

/** Called when the server refuses the credentials. `main.js` sets it. */
export const onUnauthorized = { call: () => {} };

async function request(method, path, body) {
  try {
    return await send(path, { method, body, token: getToken() });
  } catch (error) {
    if (error.status === 401) onUnauthorized.call(error.message);
    throw error;
  }
}

/**
 * Return the response of a GET request.
 * @param {string} path
 * @param {Record<string, unknown>} [parameters] Those without a value are left out.
 * @returns {Promise<any>}
 * @throws {ApiError} As the other functions here.
 */
export function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given).toString();
  return request("GET", query ? `${path}?${query}` : path);
}

/** Return the response of a POST request. */
export const post = (path, body) => request("POST", path, body);
/** Return the response of a PUT request. */
export const put = (path, body) => request("PUT", path, body);
/** Return the response of a PATCH request. */
export const patch = (path, body) => request("PATCH", path, body);
/** Return the response of a DELETE request. */
export const remove = (path) => request("DELETE", path);

/**
 * Return the address of an image that needs a token. Call `URL.revokeObjectURL` when it is not shown any more.
 * @param {string} path
 * @returns {Promise<string>}
 * @throws {ApiError}
 */
export async function loadImage(path) {
  const token = getToken();
  const response = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (response.ok) return URL.createObjectURL(await response.blob());
  const content = await response.json().catch(() => null);
  throw new ApiError(content?.message ?? `The server returned status ${response.status}`, response.status);
}
