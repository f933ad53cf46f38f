/** Messages about what was done, and questions before it is done. */

import { CancelledError } from "../js/api.js";
import { byId } from "../js/dom.js";
import { formatCount, formatTime } from "../js/format.js";
import { button, element } from "./elements.js";

const SHOWN_MILLISECONDS = 8000;
let hideTimer = 0;

/**
 * Say what was done, at the lower edge of the window.
 * @param {string} text
 */
export function announce(text) {
  clearTimeout(hideTimer);
  byId("announcement").textContent = text;
  hideTimer = setTimeout(() => byId("announcement").replaceChildren(), SHOWN_MILLISECONDS);
}

/**
 * Return a notice about an error.
 * @param {Error} error
 * @param {() => unknown} [retry] Adds a button that tries again.
 */
export const errorNotice = (error, retry) =>
  element(
    "div",
    { class: "notice error", role: "alert" },
    element("p", { text: error.message }),
    retry && button("Try again", retry),
  );

/**
 * Run the action of a button. The button is disabled meanwhile, and an error is shown in `place`.
 * @param {HTMLButtonElement} control
 * @param {HTMLElement} place
 * @param {() => Promise<unknown>} action
 */
export async function runAction(control, place, action) {
  control.disabled = true;
  place.querySelector(":scope > .notice.error")?.remove();
  try {
    await action();
  } catch (error) {
    place.prepend(errorNotice(error instanceof CancelledError ? new Error("Canceled. Nothing was changed.") : error));
  } finally {
    control.disabled = false;
    // A disabled control loses the focus.
    if (document.activeElement === document.body) control.focus();
  }
}

/**
 * Show what `load` returns, a message while it loads, and its error with a button to try again.
 * @param {HTMLElement} place
 * @param {() => Promise<Node | Node[]>} load
 */
export async function showLoaded(place, load) {
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) place.replaceChildren(element("p", { class: "hint", text: "Loading…" }));
  try {
    place.replaceChildren(...[await load()].flat());
  } catch (error) {
    place.replaceChildren(errorNotice(error, () => showLoaded(place, load)));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/**
 * Ask before something is done.
 * @param {string} title
 * @param {string} text
 * @param {string} action Text of the button that agrees.
 * @returns {Promise<boolean>}
 */
export function confirmAction(title, text, action) {
  const dialog = element(
    "dialog",
    { "aria-labelledby": "question" },
    element("h2", { id: "question", text: title }),
    element("p", { text }),
    element(
      "div",
      { class: "button-row end" },
      button("Keep it as it is", () => dialog.close(""), { autofocus: true }),
      button(action, () => dialog.close("yes"), { class: "danger" }),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

const COUNTED = {
  garments: ["garment", "garments"],
  photos: ["photo", "photos"],
  objects: ["file", "files"],
  left: ["file left to the next clean-up", "files left to the next clean-up"],
  searches: ["search of the history", "searches of the history"],
  jobs: ["request", "requests"],
  remaining: ["garment remains", "garments remain"],
};

/**
 * Return what a receipt of a deletion says.
 * @param {any} receipt
 */
export function receiptNotice(receipt) {
  const counts = Object.entries(receipt.counts).filter(([, count]) => count > 0);
  const text = counts.map(([name, count]) => formatCount(count, ...COUNTED[name])).join(", ") || "nothing";
  return element(
    "div",
    { class: "notice done", role: "status" },
    element("p", {}, element("strong", { text: "Deleted: " }), `${text}.`),
    element("p", { class: "hint", text: `Receipt ${receipt.receipt_id}, ${formatTime(receipt.at)}` }),
  );
}
