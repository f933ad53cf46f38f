/** The list of accounts, page by page. */

import { formatCount, formatTime } from "../js/format.js";
import { button, element, table } from "./elements.js";
import { get } from "./http.js";
import { runAction, showLoaded } from "./messages.js";

const PAGE_SIZE = 100;

/** Return the list. It loads itself. */
export function accountList() {
  const list = element("div", { class: "stack" });
  void showLoaded(list, loadList);
  return list;
}

async function loadList() {
  const first = await get("accounts", { limit: PAGE_SIZE });
  const accounts = [...first.data];
  const content = element("div", { class: "stack" });
  let { cursor } = first;
  const more = button("Show more accounts", () => runAction(more, content, addPage));
  const show = () => {
    more.hidden = !cursor;
    const count = element("p", { role: "status", text: `${formatCount(accounts.length, "account")}${cursor ? " so far" : ""}` });
    content.replaceChildren(count, accountTable(accounts), more);
  };

  async function addPage() {
    const page = await get("accounts", { limit: PAGE_SIZE, cursor });
    accounts.push(...page.data);
    cursor = page.cursor;
    show();
  }

  show();
  return content;
}

function accountTable(accounts) {
  if (!accounts.length) return element("p", { class: "empty", text: "Nobody has registered yet." });
  const rows = accounts.map((one) => [
    [element("strong", { text: one.email }), element("br"), element("code", { text: one.id })],
    one.role === "admin" ? element("strong", { text: "administrator" }) : one.role,
    one.created ? formatTime(one.created) : "unknown",
    one.last_sign_in ? formatTime(one.last_sign_in) : "none known",
  ]);
  return table("Accounts", ["Account", "Role", "Registered", "Last sign-in"], rows);
}
