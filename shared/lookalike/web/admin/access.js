/** Section: API keys, and what can be done with accounts. */

import { formatTime } from "../js/format.js";
import { accountList } from "./accounts.js";
import { button, element, field, sectionHeader, select, table } from "./elements.js";
import { eraseUserForm } from "./erase-user.js";
import { get, post, remove } from "./http.js";
import { announce, confirmAction, runAction, showLoaded } from "./messages.js";

const ROLES = [
  ["search", "search – for web pages: searches only"],
  ["admin", "admin – for programs: everything"],
];

/** @param {HTMLElement} view */
export function showAccess(view) {
  const list = element("div", { class: "stack" });
  const load = () => showLoaded(list, async () => keyTable((await get("api_keys")).data, list, load));
  view.append(
    sectionHeader("Keys and accounts", "API keys are for web pages and programs; people sign in with accounts."),
    element("h3", { text: "API keys" }),
    list,
    keyForm(load),
    element("h3", { text: "Accounts" }),
    element(
      "p",
      {},
      "To make a user an administrator, run ",
      element("code", { text: "lookalike users grant EMAIL admin" }),
      ", or change the role in the sign-in service. This page cannot, so that a stolen session cannot either.",
    ),
    accountList(),
    element("h3", { text: "Erase what a user left" }),
    eraseUserForm(),
  );
  void load();
}

function keyTable(keys, list, load) {
  if (!keys.length) return element("p", { class: "empty", text: "There are no API keys yet." });
  const rows = keys.map((key) => [
    [element("strong", { text: key.name || "Without a name" }), element("br"), element("code", { text: key.id })],
    key.role,
    limits(key),
    restrictions(key),
    key.last_used ? formatTime(key.last_used) : "never",
    keyState(key),
    key.revoked ? "" : revokeButton(key, list, load),
  ]);
  return table("API keys", ["Key", "Role", "Requests a minute", "Restricted to", "Last use", "State", ""], rows);
}

function limits({ requests_per_minute: total, requests_per_address: each }) {
  const texts = [total && `${total.toLocaleString("en")} in all`, each && `${each.toLocaleString("en")} for each address`];
  return texts.filter(Boolean).join(", ") || "no limit";
}

function restrictions({ filter, origins }) {
  const parts = origins.map((origin) => element("code", { text: origin }));
  if (Object.keys(filter).length) parts.push(element("code", { text: JSON.stringify(filter) }));
  return parts.length ? parts.flatMap((part, index) => (index ? [" ", part] : [part])) : "–";
}

function keyState({ revoked, expires }) {
  if (revoked) return element("span", { class: "state failed", text: `Revoked ${formatTime(revoked)}` });
  if (!expires) return "No end";
  const isOver = new Date(expires) < new Date();
  return element("span", { class: `state ${isOver ? "failed" : ""}`, text: `${isOver ? "Expired" : "Until"} ${formatTime(expires)}` });
}

function revokeButton({ id, name }, list, load) {
  const control = button("Revoke", () => runAction(control, list, revoke), { "aria-label": `Revoke the key ${name || id}` });

  async function revoke() {
    const text = "The next request with it is refused. This cannot be undone.";
    if (!(await confirmAction(`Revoke the key ${name || id}?`, text, "Revoke it"))) return;
    announce((await remove(`api_keys/${id}`)).message);
    await load();
  }

  return control;
}

function keyForm(load) {
  const controls = {
    name: element("input", { type: "text", maxlength: 200, required: true, placeholder: "Shop page" }),
    role: select(ROLES, "search"),
    requests_per_minute: element("input", { type: "number", min: 0, max: 1_000_000, value: "600", required: true }),
    requests_per_address: element("input", { type: "number", min: 0, max: 1_000_000, value: "0", required: true }),
    origins: element("input", { type: "text", placeholder: "https://shop.example", spellcheck: "false" }),
    filter: element("input", { type: "text", placeholder: '{"brand": "Ost"}', spellcheck: "false" }),
    valid_days: element("input", { type: "number", min: 1, max: 36_500, value: "365" }),
  };
  const outcome = element("div", { role: "status" });
  const submit = element("button", { type: "submit", class: "primary", text: "Create the key" });
  const form = element(
    "form",
    { class: "panel form-grid" },
    field("Name", controls.name),
    field("Role", controls.role),
    field("Requests a minute", controls.requests_per_minute, "0: no limit"),
    field("Of these from one address", controls.requests_per_address, "0: no limit"),
    field("Web pages that may use it", controls.origins, "Separated by spaces. Empty: all"),
    field("Only garments that match", controls.filter, "As JSON. Empty: all"),
    field("Valid for days", controls.valid_days, "Empty: it does not expire"),
    element("div", { class: "button-row" }, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void runAction(submit, outcome, () => createKey(form, controls, outcome, load));
  });
  return element("details", { class: "disclosure" }, element("summary", { text: "Create a key" }), form, outcome);
}

async function createKey(form, controls, outcome, load) {
  const { data } = await post("api_keys", {
    name: controls.name.value.trim(),
    role: controls.role.value,
    requests_per_minute: controls.requests_per_minute.valueAsNumber,
    requests_per_address: controls.requests_per_address.valueAsNumber,
    origins: controls.origins.value.split(/\s+/).filter(Boolean),
    filter: controls.filter.value.trim() || "{}",
    valid_days: controls.valid_days.value ? controls.valid_days.valueAsNumber : null,
  });
  form.reset();
  outcome.replaceChildren(newKeyNotice(data));
  await load();
}

function newKeyNotice({ key, id }) {
  const shown = element("code", { class: "secret", text: key });
  const copy = button("Copy", () => navigator.clipboard?.writeText(key).then(() => announce("Copied")), { hidden: !navigator.clipboard });
  return element("div", { class: "notice done" }, element("p", { text: `The key ${id} was created. Copy it now: it cannot be shown again.` }), shown, copy);
}
