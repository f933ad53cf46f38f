/** Section: the requests of all users that run now. */

import { button, element, sectionHeader, table } from "./elements.js";
import { get, post } from "./http.js";
import { announce, errorNotice, runAction } from "./messages.js";

const REFRESH_MILLISECONDS = 2000;

/** @param {HTMLElement} view */
export function showJobs(view) {
  const list = element("div", { class: "stack", "aria-live": "off" });
  let timer = 0;
  let isLeft = false;

  async function refresh() {
    clearTimeout(timer);
    try {
      const { data } = await get("jobs");
      if (!hasFocusIn(list)) list.replaceChildren(jobTable(data, list));
    } catch (error) {
      list.replaceChildren(errorNotice(error));
    }
    if (!isLeft) timer = setTimeout(refresh, REFRESH_MILLISECONDS);
  }

  view.append(
    sectionHeader("Running jobs", "Uploads, searches and ingestions of all users, newest first. The list is read every two seconds.", button("Refresh", refresh)),
    list,
  );
  void refresh();
  return () => {
    isLeft = true;
    clearTimeout(timer);
  };
}

// Replacing a focused button would lose the place of a keyboard user.
const hasFocusIn = (list) => list.contains(document.activeElement);

function jobTable(jobs, list) {
  if (!jobs.length) return element("p", { class: "empty", text: "Nothing is running." });
  const rows = jobs.map((job) => [
    job.kind,
    job.stage || "starting",
    `${job.age.toFixed(1)} s`,
    job.owner ?? job.address,
    element("code", { text: job.id }),
    job.cancel_requested ? "Canceling…" : cancelButton(job, list),
  ]);
  return table("Running jobs", ["Kind", "Step", "Time", "Who", "Request", ""], rows);
}

function cancelButton(job, list) {
  const control = button("Cancel", () =>
    runAction(control, list, async () => {
      await post(`cancel_request/${encodeURIComponent(job.id)}`);
      announce(`Canceling the ${job.kind}`);
      control.replaceWith("Canceling…");
    }),
  );
  control.setAttribute("aria-label", `Cancel the ${job.kind} ${job.id}`);
  return control;
}
