/** Section: products of feeds, a list or one product. */

import { formatCount, formatTime } from "../js/format.js";
import { button, definitions, element, field, sectionHeader, select, table } from "./elements.js";
import { facetButtons } from "./facets.js";
import { get } from "./http.js";
import { runAction, showLoaded } from "./messages.js";
import { Pictures } from "./pictures.js";
import { productForm, valueText } from "./product-form.js";

const PAGE_SIZE = 48;
const SORTS = [
  ["-updated", "Changed last"],
  ["-created", "Newest first"],
  ["price", "Lowest price first"],
  ["-price", "Highest price first"],
];
const FACETS = ["brand", "product_type", "availability", "feed"];

/**
 * @param {HTMLElement} view
 * @param {string[]} path The id of a product, or nothing for the list.
 */
export function showProducts(view, [id]) {
  const pictures = new Pictures();
  const load = () => showLoaded(view, () => productParts(id, pictures, load));
  if (id) void load();
  else showList(view, pictures);
  return () => pictures.close();
}

function showList(view, pictures) {
  const sort = select(SORTS, "-updated");
  const list = element("div", { class: "stack" });
  const filter = {};
  const load = () => showLoaded(list, () => loadList(sort.value, filter, pictures, load));
  sort.addEventListener("change", load);
  view.append(
    sectionHeader("Products", "Products come from feeds. A field that you change here is kept over the feed’s value."),
    element("div", { class: "filters" }, field("Order", sort)),
    list,
  );
  void load();
}

async function loadList(sort, filter, pictures, reload) {
  const query = { sort, ...filter, limit: PAGE_SIZE };
  const { data } = await get("products", { ...query, facets: FACETS.join(",") });
  const total = element("p", { role: "status", text: formatCount(data.total, "product") });
  const facets = facetButtons(data.facets, filter, reload);
  if (!data.products.length) return [facets, total, element("p", { class: "empty" }, "There are no products. Synchronize a feed with ", element("code", { text: "lookalike catalog sync" }), ".")];
  const cards = element("ul", { class: "cards" }, data.products.map((one) => productCard(one, pictures)));
  const more = button("Show more", () => runAction(more, cards.parentElement, addPage), { hidden: !data.cursor });
  let { cursor } = data;

  async function addPage() {
    const page = (await get("products", { ...query, cursor })).data;
    cards.append(...page.products.map((one) => productCard(one, pictures)));
    cursor = page.cursor;
    more.hidden = !cursor;
  }

  return [facets, total, cards, more];
}

function productCard({ id, title, brand, price, gone, views }, pictures) {
  const shown = views.find(({ garment }) => garment)?.garment;
  const text = [brand, valueText(price), gone && "not in the feed any more"].filter(Boolean).join(" · ");
  return element(
    "li",
    {},
    element(
      "a",
      { href: `#products/${encodeURIComponent(id)}` },
      shown ? pictures.frame(shown.id) : element("span", { class: "frame", text: "no image" }),
      element("span", { class: "card-text" }, element("strong", { text: title ?? id }), element("span", { text })),
    ),
  );
}

async function productParts(id, pictures, reload) {
  const { data: product } = await get(`products/${encodeURIComponent(id)}`);
  const back = element("a", { href: "#products", text: "All products" });
  const fields = [
    ["Feed", product.feed],
    ["Page in the shop", safeLink(product.link)],
    ["Stored", formatTime(product.created)],
    ["Changed", formatTime(product.updated)],
    ["Missing in the feed since", product.gone && formatTime(product.gone)],
    ["Edited fields", product.edits.map(({ field: name }) => name).join(", ")],
  ].filter(([, value]) => value);
  return [
    sectionHeader(product.title ?? product.id, `Product ${product.id}`, back),
    definitions(fields),
    element("h3", { text: "Fields" }),
    element("p", { class: "hint", text: "A value that you save is kept over the feed’s, until you use the feed’s value again. Empty: the product has none." }),
    productForm(product, reload),
    element("h3", { text: "Pictures" }),
    table("Pictures", ["Garment", "Worn with it", "Address", "Problem"], product.views.map((view) => viewRow(view, pictures))),
  ];
}

function viewRow({ garment, worn_with: others, address, reason }, pictures) {
  const shown = (one) => element("a", { class: "thumbnail-link", href: `#garments/garment/${encodeURIComponent(one.name)}` }, pictures.frame(one.id), one.label ?? one.name);
  return [garment && shown(garment), others.length ? others.map(shown) : null, element("code", { text: address }), reason && element("span", { class: "state failed", text: reason })];
}

/** Only addresses on the web become links: a feed could have one that runs a script. */
function safeLink(address) {
  if (!address) return null;
  return /^https?:\/\//i.test(address) ? element("a", { href: address, rel: "noopener noreferrer", text: address }) : address;
}
