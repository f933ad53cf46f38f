/** Runs one cancellable request at a time and shows its progress. */

import { CancelledError, createRequestId, post } from "./api.js";
import { byId } from "./dom.js";
import { clearError, showError, showStatus } from "./messages.js";
import { state } from "./state.js";

const CANCEL_TIMEOUT_MS = 4000;

/**
 * @typedef {object} Task
 * @property {string} id Request id; the API cancels a request by it.
 * @property {AbortController} controller
 * @property {boolean} isCancelled Whether the user cancelled it.
 */

/** @type {Task | null} */
let currentTask = null;

/**
 * Run a request. A task that is still running is cancelled first, and its response is ignored.
 * @param {string} message Status text while it runs.
 * @param {(task: Task) => Promise<any>} send Sends the request and returns its response.
 * @param {{onSuccess: (response: any) => void, onFailure?: () => void}} handlers
 */
export async function runTask(message, send, { onSuccess, onFailure }) {
  abandonTask();
  const task = { id: createRequestId(), controller: new AbortController(), isCancelled: false };
  currentTask = task;
  showBusy(message);
  try {
    const response = await send(task);
    if (currentTask === task) onSuccess(response);
  } catch (error) {
    if (currentTask === task) {
      onFailure?.();
      showFailure(task, error);
    }
  } finally {
    if (currentTask === task) currentTask = null;
    showIdle();
  }
}

/** Cancel the running task and ignore its response. */
export function abandonTask() {
  if (!currentTask) return;
  void cancelOnServer(currentTask);
  currentTask.controller.abort();
  currentTask = null;
  showIdle();
}

/** Cancel the running task on the server, and say so. */
export async function cancelTask() {
  const task = currentTask;
  if (!task) return;
  task.isCancelled = true;
  byId("cancel").disabled = true;
  showStatus("Cancelling…");
  // The response of the cancelled request normally ends the task. Stop waiting if it does not arrive.
  setTimeout(() => task.controller.abort(), CANCEL_TIMEOUT_MS);
  await cancelOnServer(task);
}

async function cancelOnServer(task) {
  await post(`cancel_request/${task.id}`, null).catch(() => task.controller.abort());
}

function showFailure(task, error) {
  const isCancelled = error instanceof CancelledError || task.isCancelled;
  showStatus(isCancelled ? "Cancelled." : "");
  if (!isCancelled) showError(error);
}

function showBusy(message) {
  clearError();
  showStatus(message);
  document.body.classList.add("is-busy");
  byId("cancel").hidden = false;
  byId("cancel").disabled = false;
  byId("search-again").hidden = true;
  byId("upload-button").disabled = true;
}

function showIdle() {
  if (currentTask) return;
  document.body.classList.remove("is-busy");
  byId("cancel").hidden = true;
  byId("search-again").hidden = state.response !== null && !state.isOutdated;
  byId("upload-button").disabled = false;
}
