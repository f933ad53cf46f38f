/** Requests to the lookalike API. Addresses are relative, so the page also works below a path prefix. */

import { getToken } from "./session.js";

const UNREACHABLE_MESSAGE = "The server did not respond. Check that “lookalike serve” is running.";

/** The API rejected a request, or could not be reached. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] HTTP status; 0 without a response.
   */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the request needs other credentials. */
  get isUnauthorized() {
    return this.status === 401 || this.status === 403;
  }
}

/** The request was cancelled through the API. */
export class CancelledError extends Error {}

/**
 * Send a POST request and return its parsed JSON response.
 * @param {string} path
 * @param {object | FormData | null} body An object is sent as JSON.
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {ApiError} If the response has an error status or is not valid.
 * @throws {CancelledError} If the request was cancelled on the server.
 */
export async function post(path, body, signal) {
  const headers = getToken() ? { Authorization: `Bearer ${getToken()}` } : {};
  const isJson = body !== null && !(body instanceof FormData);
  if (isJson) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(path, { method: "POST", headers, body: isJson ? JSON.stringify(body) : body, signal });
    return checkResponse(response, await response.text());
  } catch (error) {
    // fetch reports every network failure as a TypeError.
    if (error instanceof TypeError) throw new ApiError(UNREACHABLE_MESSAGE);
    throw error;
  }
}

function checkResponse(response, text) {
  const body = parseJson(text);
  if (body?.status === "cancelled") throw new CancelledError();
  if (response.ok && body?.success) return body;
  const message = typeof body?.message === "string" ? body.message : `The server returned status ${response.status}.`;
  throw new ApiError(message, response.status);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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

/**
 * Return a random UUID (version 4).
 * @returns {string}
 */
export function createRequestId() {
  // crypto.randomUUID exists in secure contexts only, not over plain HTTP from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
