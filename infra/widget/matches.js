/** The list of matches. */

import { describeMatches, describeReasons } from "./describe.js";
import { hasPositive } from "./request.js";

const PLACEHOLDER_COUNT = 8;
const LESS_WEIGHT = -0.5;

/**
 * @typedef {object} MatchActions
 * @property {(match: import("./state.js").Match, weight: number) => void} onExample More or less like this.
 * @property {(match: import("./state.js").Match, event: MouseEvent) => void} onSelect The user opens a match.
 */

/** The list of matches of a widget. */
export class MatchList {
  /**
   * @param {import("./context.js").Context} ui
   * @param {MatchActions} actions
   */
  constructor(ui, actions) {
    Object.assign(this, { ui, actions, list: ui.byId("match-list") });
  }

  /**
   * Show the matches of the state in place of the previous ones.
   * @param {string} title
   */
  render(title) {
    const isEmpty = this.ui.state.response?.index?.rows === 0;
    this.ui.byId("matches-title").textContent = isEmpty ? this.ui.text("empty-catalog") : title;
    this.ui.byId("matches-summary").textContent = isEmpty ? "" : describeMatches(this.ui);
    this.ui.byId("empty-catalog").hidden = !isEmpty;
    this.list.replaceChildren(...this.ui.state.matches.map((match) => this.#createItem(match)));
  }

  /**
   * Add matches that the state already has, and move the focus to the first of them.
   * @param {import("./state.js").Match[]} matches
   */
  append(matches) {
    const items = matches.map((match) => this.#createItem(match));
    this.list.append(...items);
    this.ui.byId("matches-summary").textContent = describeMatches(this.ui);
    items[0]?.querySelector(".card, button").focus();
  }

  /**
   * Replace the matches with placeholders while a search runs.
   * @param {string} title
   */
  showPlaceholders(title) {
    this.ui.byId("matches-title").textContent = title;
    for (const id of ["matches-summary", "understood"]) this.ui.byId(id).textContent = "";
    for (const id of ["empty-catalog", "show-more"]) this.ui.byId(id).hidden = true;
    this.list.replaceChildren(...Array.from({ length: PLACEHOLDER_COUNT }, createPlaceholder));
  }

  /** Remove the placeholders. */
  clearPlaceholders() {
    for (const item of this.list.querySelectorAll(".placeholder")) item.remove();
  }

  #createItem(match) {
    const item = this.ui.create("match");
    item.dataset.garment = match.splitted_image_id;
    item.prepend(this.#createCard(match));
    this.#connectExampleButton(item.querySelector(".more"), match, 1);
    this.#connectExampleButton(item.querySelector(".less"), match, LESS_WEIGHT);
    return item;
  }

  #createCard(match) {
    const url = match.details?.url;
    const card = document.createElement(isWebUrl(url) ? "a" : "button");
    if (card instanceof HTMLAnchorElement) {
      const target = this.ui.host.getAttribute("target") ?? "_blank";
      Object.assign(card, { href: url, target, rel: "noopener" });
    } else card.type = "button";
    card.className = "card";
    card.part = "card-link";
    card.append(...this.ui.create("card").childNodes);
    this.#fillCard((name) => card.querySelector(`.${name}`), match);
    card.addEventListener("click", (event) => this.actions.onSelect(match, event));
    return card;
  }

  #fillCard(find, match) {
    const { ui } = this;
    showThumbnail(find("thumbnail").firstElementChild, match);
    const kind = match.label ? ui.translator.name("label", match.label) : ui.text("garment");
    find("name").textContent = match.details?.product_name ?? kind;
    find("price").append(...this.#createPrice(match.offer));
    const owner = [match.details?.product_name && kind, match.details?.brand, match.details?.sale_status];
    find("brand").textContent = owner.filter(Boolean).join(" · ");
    find("similarity").textContent = match.similarity === undefined ? "" : ui.text("similarity", { value: match.similarity.toFixed(2) });
    find("chance").textContent = match.match === undefined ? "" : ui.text("same-garment", { chance: ui.translator.chance(match.match) });
    find("similarity-bar").hidden = match.similarity === undefined;
    find("similarity-bar").firstElementChild.style.inlineSize = `${100 * Math.max(0, match.similarity ?? 0)}%`;
    find("reasons").textContent = describeReasons(ui, match);
  }

  #createPrice(offer) {
    if (!offer) return [];
    const { price, sale_price: salePrice } = offer;
    const current = salePrice ?? price;
    if (!current) return [];
    if (current === price || !price) return [this.ui.translator.price(current)];
    const old = document.createElement("s");
    old.textContent = this.ui.translator.price(price);
    return [this.ui.translator.price(current), " ", old];
  }

  #connectExampleButton(button, match, weight) {
    button.setAttribute("aria-label", `${button.textContent}: ${match.details?.product_name ?? match.splitted_image_id}`);
    // A garment can only be avoided in a search for something else.
    button.disabled = weight < 0 && !hasPositive(this.ui.state);
    button.addEventListener("click", () => {
      this.ui.byId("matches-title").focus();
      this.actions.onExample(match, weight);
    });
  }
}

function createPlaceholder() {
  const item = document.createElement("li");
  item.className = "placeholder";
  item.setAttribute("aria-hidden", "true");
  return item;
}

function showThumbnail(image, match) {
  image.hidden = !match.thumbnail_base64;
  if (match.thumbnail_base64) image.src = `data:image/jpeg;base64,${match.thumbnail_base64}`;
}

/** Accept http and https only: a stored "javascript:" address would run as a script. */
const isWebUrl = (text) => typeof text === "string" && /^https?:\/\//i.test(text) && URL.canParse(text);
