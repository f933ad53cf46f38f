/** Section: stored garments, a list with filters, the garments of one photo, or one garment. */

import { formatCount } from "../js/format.js";
import { button, element, field, sectionHeader, select } from "./elements.js";
import { facetButtons } from "./facets.js";
import { showGarment } from "./garment-editor.js";
import { get } from "./http.js";
import { runAction, showLoaded } from "./messages.js";
import { Pictures } from "./pictures.js";

const PAGE_SIZE = 48;
const SORTS = [
  ["-created", "Newest first"],
  ["created", "Oldest first"],
  ["score", "Least certain detection first"],
  ["-score", "Most certain detection first"],
];
const FACETS = ["label", "brand", "season"];

/**
 * @param {HTMLElement} view
 * @param {string[]} path `photo` or `garment` and a name, or nothing for the list.
 */
export function showGarments(view, [kind, name]) {
  if (kind === "garment") return showGarment(view, name);
  const pictures = new Pictures();
  if (kind === "photo") showPhoto(view, name, pictures);
  else showList(view, pictures);
  return () => pictures.close();
}

function showPhoto(view, name, pictures) {
  void showLoaded(view, async () => {
    const { data } = await get(`splitted_images/by_original/${encodeURIComponent(name)}`);
    const back = element("a", { href: "#garments", text: "All garments" });
    const garments = data.map((one) => ({ ...one, name: one.splitted_image_id }));
    return [sectionHeader(name, formatCount(data.length, "garment"), back), garmentCards(garments, pictures)];
  });
}

function showList(view, pictures) {
  const sort = select(SORTS, "-created");
  const words = element("input", { type: "search", maxlength: 500, placeholder: "red dress" });
  const name = element("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  const list = element("div", { class: "stack" });
  const filter = {};
  const load = () => showLoaded(list, () => loadList({ sort: sort.value, text: words.value.trim() }, filter, pictures, load));
  const find = element("form", { class: "filters" }, field("Order", sort), field("Words", words), button("Show", null, { type: "submit" }));
  const open = element("form", { class: "filters" }, field("Name or number", name), button("Open", null, { type: "submit" }));
  onSubmit(find, load);
  onSubmit(open, () => {
    if (name.value.trim()) location.hash = `#garments/garment/${encodeURIComponent(name.value.trim())}`;
  });
  sort.addEventListener("change", load);
  const help = "Choose one to correct its label, its box or its product details, or to delete it.";
  view.append(sectionHeader("Garments", help), element("div", { class: "filters" }, find, open), list);
  void load();
}

function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void action();
  });
}

async function loadList(order, filter, pictures, reload) {
  const query = { ...order, ...filter, limit: PAGE_SIZE };
  const { data } = await get("garments", { ...query, facets: FACETS.join(",") });
  const ignored = data.ignored?.length ? `. Not understood: ${data.ignored.join(", ")}` : "";
  const total = element("p", { role: "status", text: `${formatCount(data.total, "garment")}${ignored}` });
  const facets = facetButtons(data.facets, filter, reload);
  if (!data.garments.length) return [facets, total, element("p", { class: "empty", text: "There are no such garments." })];
  const cards = garmentCards(data.garments, pictures);
  const more = button("Show more", () => runAction(more, cards.parentElement, addPage), { hidden: !data.cursor });
  let { cursor } = data;

  async function addPage() {
    const page = (await get("garments", { ...query, cursor })).data;
    cards.append(...garmentCards(page.garments, pictures).children);
    cursor = page.cursor;
    more.hidden = !cursor;
  }

  return [facets, total, cards, more];
}

function garmentCards(garments, pictures) {
  const card = ({ id, name, label }) =>
    element(
      "li",
      {},
      element(
        "a",
        { href: `#garments/garment/${encodeURIComponent(name)}` },
        pictures.frame(id),
        element("span", { class: "card-text" }, element("strong", { text: label ?? "whole photo" }), element("span", { text: name })),
      ),
    );
  return element("ul", { class: "cards" }, garments.map(card));
}

