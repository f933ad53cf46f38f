/** A form that erases everything that a user stored, searched and started. */

import { formatCount } from "../js/format.js";
import { element, field } from "./elements.js";
import { post } from "./http.js";
import { announce, confirmAction, receiptNotice, runAction } from "./messages.js";

/** Return the form. */
export function eraseUserForm() {
  const owner = element("input", { type: "text", required: true, maxlength: 255, spellcheck: "false", autocomplete: "off" });
  const submit = element("button", { type: "submit", text: "Erase…" });
  const outcome = element("div", { class: "stack", role: "status" });
  const form = element("form", { class: "panel form-grid" }, field("Id of the user", owner, "As the sign-in service and the list of running jobs show it. Everything that the user stored, searched and started is deleted."), element("div", { class: "button-row" }, submit));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void runAction(submit, outcome, () => erase(owner.value.trim(), outcome));
  });
  return element("div", { class: "stack" }, form, outcome);
}

async function erase(owner, outcome) {
  const { counts } = (await post("erase", { owner, dry_run: true })).data;
  const text = `${formatCount(counts.remaining, "garment")}, the search history and the finished requests of ${owner} are deleted. This cannot be undone. The account itself stays.`;
  if (!(await confirmAction("Erase everything of this user?", text, "Erase it"))) return;
  let receipt;
  do {
    receipt = (await post("erase", { owner })).data;
    outcome.prepend(receiptNotice(receipt));
  } while (receipt.counts.remaining && receipt.counts.garments);
  announce(`Erased ${formatCount(receipt.counts.garments, "garment")} of ${owner}`);
}
