/** Runs one cancellable request at a time and shows its progress. */

import { CancelledError, createRequestId } from "../../shared/lookalike/web/js/client.js";
import { clearError, showError, showStatus } from "./messages.js";

const CANCEL_TIMEOUT_MS = 4000;

/**
 * @typedef {object} Task
 * @property {string} id Request id; the API cancels a request by it.
 * @property {AbortController} controller
 * @property {boolean} isCancelled Whether the user cancelled it.
 */

/** The request of a widget that is under way. */
export class Tasks {
  /** @param {import("./context.js").Context} ui */
  constructor(ui) {
    this.ui = ui;
    /** @type {Task | null} */
    this.current = null;
  }

  /**
   * Run a request. A task that is still running is cancelled first, and its response is ignored.
   * @param {string} message Status text while it runs.
   * @param {(task: Task) => Promise<any>} send Sends the request and returns its response.
   * @param {{onSuccess: (response: any) => void, onFailure?: () => void}} handlers
   */
  async run(message, send, { onSuccess, onFailure }) {
    this.abandon();
    const task = { id: createRequestId(), controller: new AbortController(), isCancelled: false };
    this.current = task;
    this.#showBusy(message);
    try {
      const response = await send(task);
      if (this.current === task) onSuccess(response);
    } catch (error) {
      if (this.current === task) {
        onFailure?.();
        this.#showFailure(task, error);
      }
    } finally {
      if (this.current === task) this.current = null;
      this.#showIdle();
    }
  }

  /** Cancel the running task and ignore its response. */
  abandon() {
    if (!this.current) return;
    void this.#cancelOnServer(this.current);
    this.current.controller.abort();
    this.current = null;
    this.#showIdle();
  }

  /** Cancel the running task on the server, and say so. */
  async cancel() {
    const task = this.current;
    if (!task) return;
    task.isCancelled = true;
    this.ui.byId("cancel").disabled = true;
    showStatus(this.ui, this.ui.text("cancelling"));
    // The response of the cancelled request normally ends the task. Stop waiting if it does not arrive.
    setTimeout(() => task.controller.abort(), CANCEL_TIMEOUT_MS);
    await this.#cancelOnServer(task);
  }

  async #cancelOnServer(task) {
    await this.ui.request(`cancel_request/${task.id}`, {}).catch(() => task.controller.abort());
  }

  #showFailure(task, error) {
    const isCancelled = error instanceof CancelledError || task.isCancelled;
    showStatus(this.ui, isCancelled ? this.ui.text("cancelled") : "");
    if (isCancelled) this.ui.emit("cancel", {});
    else showError(this.ui, error);
  }

  #showBusy(message) {
    clearError(this.ui);
    showStatus(this.ui, message);
    this.#setBusy(true);
    this.ui.byId("cancel").disabled = false;
    this.ui.byId("search-again").hidden = true;
  }

  #showIdle() {
    if (this.current) return;
    this.#setBusy(false);
    const { response, isOutdated } = this.ui.state;
    this.ui.byId("search-again").hidden = response !== null && !isOutdated;
  }

  #setBusy(isBusy) {
    this.ui.byId("result-view").setAttribute("aria-busy", isBusy);
    this.ui.byId("widget").classList.toggle("is-busy", isBusy);
    this.ui.byId("cancel").hidden = !isBusy;
  }
}
