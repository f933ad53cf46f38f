/** Section: add many photos at once. */

import { formatCount } from "../js/format.js";
import { button, checkbox, element, field, sectionHeader } from "./elements.js";
import { announce } from "./messages.js";
import { CONCURRENCY, UploadQueue } from "./upload-queue.js";

// The queue outlives the section, so that uploads go on while another section is shown.
let show = () => {};
const queue = new UploadQueue((photo) => show(photo));
addEventListener("beforeunload", (event) => {
  if (queue.count("waiting", "running")) event.preventDefault();
});

/** @param {HTMLElement} view */
export function showUploads(view) {
  const rows = new Map();
  const input = element("input", { type: "file", multiple: true, accept: "image/jpeg,image/png,image/webp,image/avif" });
  const whole = element("input", { type: "checkbox", checked: queue.keepsWholePhotos });
  const progress = element("progress", { max: 1, "aria-label": "Progress of all photos" });
  const summary = element("p", { role: "status" });
  const body = element("tbody");
  const cancel = button("Cancel all", () => queue.cancel());
  const retry = button("Try failed ones again", () => queue.retry());
  const result = element("div", { class: "stack", hidden: true }, progress, summary, element("div", { class: "button-row" }, cancel, retry), uploadTable(body));
  const drop = dropZone(input, whole);

  show = (photo) => {
    if (!rows.has(photo)) rows.set(photo, body.appendChild(element("tr")));
    fillRow(rows.get(photo), photo);
    showTotals(progress, summary, cancel, retry);
    result.hidden = false;
  };
  input.addEventListener("change", () => {
    queue.add(input.files);
    input.value = "";
  });
  whole.addEventListener("change", () => (queue.keepsWholePhotos = whole.checked));
  view.append(sectionHeader("Add photos", "JPEG, PNG, WebP or AVIF, up to 16 MB each. The name in the catalog is that of the file."), drop, result);
  queue.photos.forEach(show);
  return () => (show = () => {});
}

function dropZone(input, whole) {
  const zone = element(
    "div",
    { class: "drop-zone panel stack" },
    field("Photos", input, `Or drop them here. ${CONCURRENCY} are uploaded at a time.`),
    checkbox("Store the whole photo if no garment is found in it", whole),
  );
  for (const kind of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("is-dragging", kind === "dragover");
    });
  }
  zone.addEventListener("drop", ({ dataTransfer }) => queue.add(dataTransfer.files));
  return zone;
}

const uploadTable = (body) =>
  element(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Photos" },
    element(
      "table",
      { class: "uploads" },
      element("caption", { class: "visually-hidden", text: "Photos" }),
      element("thead", {}, element("tr", {}, ["File", "Name in the catalog", "Result"].map((text) => element("th", { scope: "col", text })))),
      body,
    ),
  );

function fillRow(row, photo) {
  row.className = `upload ${photo.state}`;
  row.replaceChildren(
    element("td", { text: photo.file.name }),
    element("td", {}, photo.state === "stored" ? element("a", { href: `#garments/photo/${encodeURIComponent(photo.name)}`, text: photo.name }) : photo.name),
    element("td", {}, element("span", { class: `state ${photo.state}`, text: photo.text })),
  );
}

function showTotals(progress, summary, cancel, retry) {
  const open = queue.count("waiting", "running");
  const total = queue.photos.length;
  progress.value = (total - open) / total;
  const stored = queue.count("stored");
  const failed = queue.count("failed");
  const others = [
    [failed, "failed"],
    [queue.count("empty"), "without a garment"],
    [queue.count("canceled"), "canceled"],
  ].filter(([count]) => count);
  summary.textContent = [`${stored} of ${formatCount(total, "photo")} stored`, ...others.map(([count, text]) => `${count} ${text}`)].join(", ");
  cancel.hidden = !open;
  retry.hidden = !failed && !queue.count("canceled");
  if (!open) announce(summary.textContent);
}
