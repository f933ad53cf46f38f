/** What the modules of one widget share: its elements, its state, its texts and the server. */

import LAYOUT from "./widget.html" with { type: "text" };
import { ApiError, send } from "../../shared/lookalike/web/js/client.js";
import { createState } from "./state.js";
import { createTranslator } from "./translate.js";

const SVG = "http://www.w3.org/2000/svg";
const SVG_ELEMENTS = ["svg", "path", "circle"];

/** The context of one widget. */
export class Context {
  /**
   * @param {HTMLElement} host The `<lookalike-search>` element.
   * @param {string} defaultEndpoint Address of the API if the element names none.
   */
  constructor(host, defaultEndpoint) {
    this.host = host;
    this.defaultEndpoint = defaultEndpoint;
    this.root = host.attachShadow({ mode: "open" });
    this.state = createState();
    this.token = "";
    this.translator = createTranslator(host);
  }

  /**
   * Return the element with this id.
   * @param {string} id
   * @returns {HTMLElement}
   */
  byId(id) {
    return this.root.getElementById(id);
  }

  /**
   * Return new elements, as the layout describes them under this name.
   * @param {string} name Id of a `<template>` in widget.html, or "main".
   * @returns {HTMLElement}
   */
  create(name) {
    const element = build(LAYOUT[name]);
    const fragment = document.createDocumentFragment();
    fragment.append(element);
    this.translator.apply(fragment);
    return element;
  }

  /** Return a text in the language of the widget, see `Translator.text`. */
  text(key, values) {
    return this.translator.text(key, values);
  }

  /** Use the language of the element. */
  updateLanguage() {
    this.translator = createTranslator(this.host);
  }

  /**
   * Send a request to a path of the API.
   * @param {string} path
   * @param {object} options See `send`.
   */
  request(path, options) {
    const other = path.startsWith("cancel_") && this.host.getAttribute("cancel-endpoint");
    const endpoint = other || this.host.getAttribute("endpoint") || this.defaultEndpoint;
    // Without the slash, the last part of the endpoint's path would be replaced.
    const base = new URL(endpoint.endsWith("/") ? endpoint : `${endpoint}/`, document.baseURI);
    if (!/^https?:$/.test(base.protocol)) throw new ApiError(`The endpoint ${endpoint} is not an http address.`);
    return send(new URL(path, base), { token: this.token || this.host.getAttribute("key") || "", ...options });
  }

  /**
   * Dispatch an event on the host element.
   * @param {string} name Without the prefix "lookalike-".
   * @param {object} detail
   * @param {boolean} [cancelable]
   * @returns {boolean} Whether nobody has called `preventDefault`.
   */
  emit(name, detail, cancelable = false) {
    return this.host.dispatchEvent(new CustomEvent(`lookalike-${name}`, { detail, cancelable, bubbles: true, composed: true }));
  }
}

/** Create the elements that `[tag, attributes, ...children]` describes. Strings are text. */
function build([tag, attributes, ...children]) {
  const element = SVG_ELEMENTS.includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map((child) => (typeof child === "string" ? child : build(child))));
  return element;
}
