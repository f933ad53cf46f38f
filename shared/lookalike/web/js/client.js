/** Requests to the lookalike API, for the widget and for the pages of the server. */

/** The API rejected a request, or could not be reached. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] HTTP status; 0 without a response.
   * @param {string} [code] Error code of the API, or one of the client's own: `unreachable`, `not_image`.
   * @param {number | null} [retryAfter] Seconds after which a retry can succeed.
   */
  constructor(message, status = 0, code = "unreachable", retryAfter = null) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }

  /** Whether the request needs other credentials. */
  get isUnauthorized() {
    return this.status === 401 || this.status === 403;
  }
}

/** The request was cancelled through the API. */
export class CancelledError extends Error {}

/**
 * Send a request and return its parsed JSON response.
 * @param {string | URL} url
 * @param {{method?: string, body?: object | FormData | null, token?: string, signal?: AbortSignal, keepalive?: boolean}} [options]
 *   A body that is no form is sent as JSON. The token is an access token or an API key.
 * @returns {Promise<any>}
 * @throws {ApiError} If the response has an error status or is not valid.
 * @throws {CancelledError} If the request was cancelled on the server.
 */
export async function send(url, { method = "POST", body = null, token = "", ...options } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const isJson = body !== null && !(body instanceof FormData);
  if (isJson) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(url, { method, headers, body: isJson ? JSON.stringify(body) : body, ...options });
    return checkResponse(response, await response.text());
  } catch (error) {
    // fetch reports every network failure as a TypeError.
    if (error instanceof TypeError) throw new ApiError("The server did not respond.");
    throw error;
  }
}

function checkResponse(response, text) {
  const body = parseJson(text);
  if (body?.status === "cancelled") throw new CancelledError();
  if (response.ok && body?.success) return body;
  const message = typeof body?.message === "string" ? body.message : `The server returned status ${response.status}.`;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new ApiError(message, response.status, body?.error?.code ?? "internal", Number.isNaN(seconds) ? null : seconds);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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
