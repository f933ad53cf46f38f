/** Texts of one language, for the widget and for the pages of the server. */

/** Attributes of elements that hold a key of strings.json, and the attribute that gets its text. */
const TRANSLATED = { label: "aria-label", title: "title", placeholder: "placeholder", alt: "alt" };

/** The strings of one language. */
export class Translator {
  /**
   * @param {string} language Code of the language.
   * @param {Record<string, string>} strings Texts by key.
   */
  constructor(language, strings) {
    this.language = language;
    this.strings = strings;
    this.plurals = new Intl.PluralRules(language);
  }

  /**
   * Return a text with its values filled in. `count` also selects between singular and plural.
   * @param {string} key
   * @param {Record<string, string | number>} [values]
   */
  text(key, values = {}) {
    const isSingular = this.plurals.select(values.count ?? 0) === "one";
    const text = this.strings[key] ?? this.strings[`${key}.${isSingular ? "one" : "other"}`] ?? key;
    const format = (value) => (typeof value === "number" ? value.toLocaleString(this.language) : value);
    return text.replace(/\{(\w+)\}/g, (_, name) => format(values[name]));
  }

  /**
   * Return the name of a value that the server knows, such as a garment kind; other values are returned unchanged.
   * @param {"label" | "color" | "field"} kind
   * @param {string | number} value
   */
  name(kind, value) {
    return this.strings[`${kind}.${value}`] ?? String(value).replaceAll("_", " ");
  }

  /**
   * Return a share of 1 as a percentage, or "" if there is none.
   * @param {number | null | undefined} share
   */
  percent(share) {
    return share === null || share === undefined ? "" : share.toLocaleString(this.language, { style: "percent" });
  }

  /**
   * Return a probability as a percentage, which is never 0.
   * @param {number} probability
   */
  chance(probability) {
    return probability < 0.01 ? `< ${this.percent(0.01)}` : this.percent(probability);
  }

  /**
   * Return an amount of money.
   * @param {{amount: string, currency: string}} price
   */
  price({ amount, currency }) {
    try {
      return Number(amount).toLocaleString(this.language, { style: "currency", currency });
    } catch {
      // An unknown currency.
      return `${amount} ${currency}`;
    }
  }

  /**
   * Set the texts of elements whose `data-…` attributes name them.
   * @param {ParentNode} root
   */
  apply(root) {
    for (const element of root.querySelectorAll("[data-text]")) element.textContent = this.text(element.dataset.text);
    for (const [name, attribute] of Object.entries(TRANSLATED)) {
      const elements = root.querySelectorAll(`[data-${name}]`);
      for (const element of elements) element.setAttribute(attribute, this.text(element.dataset[name]));
    }
  }
}
