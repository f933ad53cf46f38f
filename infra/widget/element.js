/** The custom element `<lookalike-search>`. */

import STYLE from "./widget.css" with { type: "text" };
import { Context } from "./context.js";
import { placeLabels } from "./labels.js";
import { clearPhoto, initPhotoInput, showPhoto } from "./photo.js";
import { Search } from "./search.js";
import { createState } from "./state.js";

/** Keys of programs and pages begin with it. Their searches are in no history, so choices cannot be recorded. */
const KEY_PREFIX = "lk_";
/** The script is served as <endpoint>/widget/lookalike-search.js. A module script has no `currentScript`. */
const SCRIPT_ADDRESS = document.currentScript?.src;
const DEFAULT_ENDPOINT = SCRIPT_ADDRESS ? new URL("..", SCRIPT_ADDRESS).href : ".";
/** Properties that a page may have set before the element was defined. */
const PROPERTIES = ["token"];

/** A search for garments, as docs/widget.md describes it. */
class LookalikeSearch extends HTMLElement {
  static observedAttributes = ["lang"];
  #ui;
  #search;
  #listeners = new AbortController();

  /** Create the elements, without a parent yet. */
  constructor() {
    super();
    this.#ui = new Context(this, DEFAULT_ENDPOINT);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#ui.root.adoptedStyleSheets = [sheet];
    const widget = this.#ui.create("main");
    widget.id = "widget";
    widget.part = "widget";
    this.#ui.root.append(widget);
    this.#search = new Search(this.#ui, (match, event) => this.#select(match, event));
    initPhotoInput(this.#ui, (photo) => void this.searchPhoto(photo));
    this.#ui.byId("start-over").addEventListener("click", () => {
      this.reset();
      this.#ui.byId("start-title").focus();
    });
    new ResizeObserver(() => placeLabels(this.#ui)).observe(this.#ui.byId("photo-frame"));
  }

  /** Called by the browser when the element is added to a page. */
  connectedCallback() {
    for (const name of PROPERTIES) this.#upgradeProperty(name);
    this.#placeInDialog();
    this.#updateLanguage();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    document.addEventListener("paste", this.#ui.onPaste, { signal });
    document.addEventListener("click", this.#ui.onOutsideClick, { signal });
  }

  /** Called by the browser when the element is removed from a page. */
  disconnectedCallback() {
    this.#listeners.abort();
    this.#search.stop();
  }

  /** Called by the browser when `lang` changes. */
  attributeChangedCallback() {
    if (this.isConnected) this.#updateLanguage();
  }

  /** Access token of a signed-in user. It takes the place of the attribute `key`. */
  get token() {
    return this.#ui.token;
  }

  set token(token) {
    this.#ui.token = token ?? "";
  }

  /** The photo that is searched with, or `null`. */
  get photo() {
    return this.#ui.state.photo;
  }

  /** Whether a search is under way. */
  get isBusy() {
    return this.#search.tasks.current !== null;
  }

  /**
   * Search with a photo. Resolves when the results or an error are shown.
   * @param {File} photo
   */
  searchPhoto(photo) {
    this.open();
    showPhoto(this.#ui, photo);
    return this.#search.run();
  }

  /**
   * Search for this and nothing else.
   * @param {{words?: string, examples?: {id?: number | string, search?: string, garment?: number, weight?: number, label?: string}[], filter?: object,
   *   color?: {near: string, within: number} | null, groupProducts?: boolean}} query
   */
  search({ words = "", examples = [], filter = {}, color = null, groupProducts = false }) {
    this.open();
    this.#forget();
    this.#ui.byId("words").value = words;
    const known = examples.map(({ id, search, garment, weight = 1, label = null }) => {
      const past = search ? { search, garment } : undefined;
      const name = past ? `${search}/${garment}` : id;
      return { match: { id: name, label, splitted_image_id: String(name), past }, weight };
    });
    Object.assign(this.#ui.state, { examples: known, filter, color, isGrouped: groupProducts });
    return this.#search.run();
  }

  /** Repeat the search, for example after the catalog has changed. */
  refresh() {
    return this.#search.run();
  }

  /** Offer to search again, because the catalog has changed. */
  markOutdated() {
    this.#ui.state.isOutdated = true;
    this.#ui.byId("search-again").hidden = this.#ui.state.response === null;
  }

  /** Cancel the search under way, also on the server. */
  cancel() {
    return this.#search.tasks.cancel();
  }

  /** Forget everything and show the first view. */
  reset() {
    this.#forget();
    return this.#search.run();
  }

  /** Open the dialog, if the element has the attribute `mode="dialog"`. */
  open() {
    const dialog = this.#ui.byId("dialog");
    if (dialog && !dialog.open) dialog.showModal();
  }

  /** Close the dialog. */
  close() {
    this.#ui.byId("dialog")?.close();
  }

  #forget() {
    clearPhoto(this.#ui);
    this.#ui.byId("words").value = "";
    Object.assign(this.#ui.state, createState());
    this.#ui.byId("filters").open = false;
  }

  #upgradeProperty(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    this[name] = value;
  }

  #placeInDialog() {
    const { root } = this.#ui;
    if (this.getAttribute("mode") !== "dialog" || this.#ui.byId("dialog")) return;
    const [button, dialog] = [this.#ui.create("launcher"), this.#ui.create("dialog")];
    dialog.append(this.#ui.byId("widget"));
    root.append(button, dialog);
    button.addEventListener("click", () => this.open());
    this.#ui.byId("close").addEventListener("click", () => this.close());
    dialog.addEventListener("close", () => this.#search.stop());
  }

  #updateLanguage() {
    this.#ui.updateLanguage();
    const { translator, root } = this.#ui;
    for (const element of root.children) element.lang = translator.language;
    translator.apply(root);
    this.#search.render();
  }

  #select(match, event) {
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
    const searchId = this.#ui.state.response?.search_id;
    const url = match.details?.url ?? null;
    // A modified click opens a new tab or window, which the page must not prevent.
    if (!this.#ui.emit("select", { match, url, searchId }, isPlain)) event.preventDefault();
    const { token } = this.#ui;
    if (!searchId || !token || token.startsWith(KEY_PREFIX)) return;
    // A choice that could not be recorded is no problem of the user.
    const body = { search_id: searchId, id: match.id };
    this.#ui.request("feedback", { body, keepalive: true }).catch((error) => console.warn("lookalike:", error.message));
  }
}

if (!customElements.get("lookalike-search")) customElements.define("lookalike-search", LookalikeSearch);
