/** The language of a page: its texts, and the list to choose another language from. */

import STRINGS from "../strings.json" with { type: "json" };
import { byId } from "./dom.js";
import { Translator } from "./translator.js";

const STORAGE_KEY = "lookalike-language";
const DEFAULT_LANGUAGE = "en";
const listeners = [];
/** @type {Translator} */
let translator;

/** Return the language that the user chose, else the first one of the browser that has texts, else English. */
function findLanguage() {
  const wanted = [readChoice(), ...navigator.languages].map((one) => one.toLowerCase().split("-")[0]);
  return wanted.find((one) => Object.hasOwn(STRINGS, one)) ?? DEFAULT_LANGUAGE;
}

function readChoice() {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    // The browser blocks the storage.
    return "";
  }
}

function storeChoice(language) {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // The choice lasts until the page is left.
  }
}

/**
 * Return a text of strings.json in the language of the page, see `Translator.text`.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export const text = (key, values) => translator.text(key, values);

/** Return the texts and formats of the language of the page. */
export const currentTranslator = () => translator;

/**
 * Call a function whenever another language is chosen.
 * @param {() => void} listener
 */
export const onLanguage = (listener) => listeners.push(listener);

function show(language) {
  translator = new Translator(language, STRINGS[language]);
  Object.assign(document.documentElement, { lang: language, dir: text("direction") });
  for (const widget of document.querySelectorAll("lookalike-search")) widget.lang = language;
  translator.apply(document);
  for (const template of document.querySelectorAll("template")) translator.apply(template.content);
  for (const listener of listeners) listener();
}

function initList() {
  const list = byId("language");
  const options = Object.entries(STRINGS).map(([language, strings]) => {
    const option = Object.assign(document.createElement("option"), { value: language, lang: language });
    option.textContent = strings["language-name"];
    return option;
  });
  list.replaceChildren(...options);
  list.value = translator.language;
  list.addEventListener("change", () => {
    storeChoice(list.value);
    show(list.value);
  });
}

show(findLanguage());
initList();
