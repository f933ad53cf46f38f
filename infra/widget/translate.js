/** Texts in the language of the widget. */

import STRINGS from "./strings.json" with { type: "text" };
import { Translator } from "../../shared/lookalike/web/js/translator.js";

const DEFAULT_LANGUAGE = "en";

/**
 * Return the code of the language for an element: that of its own or inherited `lang`, else that of the browser.
 * English stands in for languages without strings.
 * @param {HTMLElement} element
 * @returns {string}
 */
function languageOf(element) {
  const wanted = element.closest("[lang]")?.lang || document.documentElement.lang || navigator.language || "";
  const language = wanted.toLowerCase().split("-")[0];
  return language in STRINGS ? language : DEFAULT_LANGUAGE;
}

/**
 * Return the texts for an element, in its language.
 * @param {HTMLElement} element
 */
export function createTranslator(element) {
  const language = languageOf(element);
  return new Translator(language, STRINGS[language]);
}
