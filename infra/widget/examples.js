/** The examples in use, as a row of small images that can be removed: the photo, and stored garments. */

import { describeSelection } from "./describe.js";
import { cropStyle } from "./geometry.js";
import { clearGarments } from "./garments.js";
import { clearPhoto } from "./photo.js";

/** Shows the examples of a widget, and adds and removes them. */
export class Examples {
  /**
   * @param {import("./context.js").Context} ui
   * @param {() => void} onChange Called when the user adds or removes an example.
   */
  constructor(ui, onChange) {
    Object.assign(this, { ui, onChange, list: ui.byId("example-list") });
    ui.byId("remove-photo").addEventListener("click", () => {
      this.#removePhoto();
      ui.byId("matches-title").focus();
    });
  }

  /**
   * Search for garments that are more, or less, like a match.
   * @param {import("./state.js").Match} match
   * @param {number} weight Negative for less.
   */
  add(match, weight) {
    const { state } = this.ui;
    state.examples = [...state.examples.filter((one) => one.match.id !== match.id), { match, weight }];
    this.onChange();
  }

  /** Show the examples of the state. A photo on its own is visible already. */
  render() {
    const chips = this.ui.state.examples.map((example) => this.#createGarmentChip(example));
    if (this.ui.state.photo && chips.length) chips.unshift(this.#createPhotoChip());
    this.list.replaceChildren(...chips);
    this.ui.byId("examples").hidden = chips.length === 0;
  }

  #createPhotoChip() {
    const { ownBox, groups, selected, size, photoUrl } = this.ui.state;
    const box = ownBox ?? groups?.[selected]?.bounding_box;
    const style = box && size ? cropStyle(box, size) : {};
    return this.#createChip(`url("${photoUrl}")`, describeSelection(this.ui), 1, () => this.#removePhoto(), style);
  }

  #createGarmentChip({ match, weight }) {
    const image = match.thumbnail_base64 ? `url("data:image/jpeg;base64,${match.thumbnail_base64}")` : "none";
    const name = match.label ? this.ui.translator.name("label", match.label) : this.ui.text("garment");
    return this.#createChip(image, name, weight, () => this.#remove(match.id));
  }

  #createChip(image, name, weight, remove, style = {}) {
    const chip = this.ui.create("chip");
    const find = (part) => chip.querySelector(`.${part}`);
    Object.assign(find("chip-image").style, { backgroundImage: image, ...style });
    find("chip-sign").textContent = weight > 0 ? "+" : "−";
    find("chip-meaning").textContent = this.ui.text(weight > 0 ? "more-like-this" : "less-like-this");
    find("chip-name").textContent = name;
    chip.classList.toggle("is-negative", weight < 0);
    const button = chip.querySelector("button");
    button.setAttribute("aria-label", this.ui.text("remove-example", { name }));
    button.addEventListener("click", () => this.#removeAndKeepFocus(chip, remove));
    return chip;
  }

  #removeAndKeepFocus(chip, remove) {
    const index = Array.from(this.list.children).indexOf(chip);
    remove();
    const buttons = this.list.querySelectorAll("button");
    (buttons[Math.min(index, buttons.length - 1)] ?? this.ui.byId("matches-title")).focus();
  }

  #remove(id) {
    this.ui.state.examples = this.ui.state.examples.filter(({ match }) => match.id !== id);
    this.onChange();
  }

  #removePhoto() {
    clearPhoto(this.ui);
    clearGarments(this.ui);
    this.onChange();
  }
}
