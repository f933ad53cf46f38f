/** The status line and the error message of a widget. */

/**
 * Show a text in the status line above the results.
 * @param {import("./context.js").Context} ui
 * @param {string} text
 */
export function showStatus(ui, text) {
  ui.byId("status").textContent = text;
}

/**
 * Show an error in the language of the widget, with its code and the message of the server.
 * The event `lookalike-error` comes first: if it is canceled, nothing is shown.
 * @param {import("./context.js").Context} ui
 * @param {import("../../shared/lookalike/web/js/client.js").ApiError} error
 */
export function showError(ui, error) {
  const { status = 0, code = "internal", retryAfter = null, message } = error;
  if (!ui.emit("error", { status, code, message, retryAfter }, true)) return;
  const text = ui.translator.strings[`error.${code}`] ?? ui.text("error.internal");
  const wait = retryAfter === null ? "" : ` ${ui.text("retry-after", { count: retryAfter })}`;
  ui.byId("error-text").textContent = `${text}${wait} (${code})`;
  ui.byId("error-server").textContent = status ? message : "";
  // Another attempt with the same request can only help where the server or the network was at fault.
  ui.byId("error-retry").hidden = code !== "unreachable" && status !== 429 && status < 500;
  ui.byId("error").hidden = false;
  ui.byId("error").scrollIntoView({ block: "nearest" });
}

/**
 * Hide the error.
 * @param {import("./context.js").Context} ui
 */
export function clearError(ui) {
  ui.byId("error").hidden = true;
}
