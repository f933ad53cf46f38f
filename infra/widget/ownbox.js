/** The area of the photo that the user marks, with a pointer or with the keyboard. */

import { listenForDrags } from "./drag.js";
import { boxBetween, boxStyle, isLargeEnough, moveBox, resizeBox } from "./geometry.js";

/** Share of the photo's side by which an arrow key moves an edge. */
const STEP = 0.02;
/** Pause after which a change by keyboard is searched for. */
const KEY_PAUSE_MS = 600;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Lets the user mark an area of the photo of a widget. */
export class OwnBox {
  /** @type {import("./state.js").Box | null} The area as shown. It becomes the state's when it is searched for. */
  #shown = null;
  #timer = 0;

  /**
   * @param {import("./context.js").Context} ui
   * @param {() => void} onChange Called when the user has marked, changed or removed an area.
   */
  constructor(ui, onChange) {
    Object.assign(this, { ui, onChange, frame: ui.byId("photo-frame"), element: ui.byId("own-box") });
    listenForDrags(this.frame, (event) => this.#beginDrag(event));
    this.element.addEventListener("keydown", (event) => this.#handleKey(event));
    ui.byId("mark-area").addEventListener("click", () => this.#markCenter());
  }

  /** Show the area of the state. */
  render() {
    this.#show(this.ui.state.ownBox);
    this.#setDrawing(false);
  }

  #markCenter() {
    if (!this.ui.state.size) return;
    const { width, height } = this.ui.state.size;
    this.#show(this.#shown ?? [width / 4, height / 4, (3 * width) / 4, (3 * height) / 4]);
    this.#setDrawing(true);
    this.element.focus();
  }

  #show(box) {
    clearTimeout(this.#timer);
    this.#shown = box;
    this.element.hidden = !box;
    this.ui.byId("area-help").hidden = !box;
    if (!box) return;
    Object.assign(this.element.style, boxStyle(box, this.ui.state.size));
    this.element.setAttribute("aria-label", this.#describe(box));
  }

  #describe([x1, y1, x2, y2]) {
    const { width, height } = this.ui.state.size;
    const percent = (pixels, total) => this.ui.translator.percent(Math.round((100 * pixels) / total) / 100);
    const values = { left: percent(x1, width), top: percent(y1, height), width: percent(x2 - x1, width), height: percent(y2 - y1, height) };
    return this.ui.text("area", values);
  }

  /** While drawing, a finger marks an area instead of scrolling. */
  #setDrawing(isDrawing) {
    this.frame.classList.toggle("is-drawing", isDrawing);
  }

  #search() {
    clearTimeout(this.#timer);
    this.ui.state.ownBox = this.#shown && this.#shown.map((pixels) => Math.round(10 * pixels) / 10);
    this.onChange();
  }

  #handleKey(event) {
    const arrow = ARROWS[event.key];
    if (arrow) this.#moveByKey(arrow, event.shiftKey ? resizeBox : moveBox);
    else if (event.key === "Enter") this.#search();
    else if (event.key === "Escape" || event.key === "Delete") this.#remove();
    else return;
    event.preventDefault();
    // Escape would also close the dialog that the widget may be in.
    event.stopPropagation();
  }

  #moveByKey([x, y], change) {
    const { size } = this.ui.state;
    this.#show(change(this.#shown, x * STEP * size.width, y * STEP * size.height, size));
    this.ui.byId("area-position").textContent = this.#describe(this.#shown);
    this.#timer = setTimeout(() => this.#search(), KEY_PAUSE_MS);
  }

  #remove() {
    this.#show(null);
    this.#setDrawing(false);
    this.ui.byId("mark-area").focus();
    if (this.ui.state.ownBox) this.#search();
  }

  #beginDrag(event) {
    const isOnArea = this.element.contains(event.target);
    const isScrolling = event.pointerType === "touch" && !isOnArea && !this.frame.classList.contains("is-drawing");
    if (!this.ui.state.size || isScrolling) return null;
    const before = this.#shown;
    const boxAt = this.#createChange(event, before, isOnArea);
    return {
      move: (moved) => this.#show(boxAt(this.#toPhoto(moved))),
      end: () => (isLargeEnough(this.#shown, this.ui.state.size) ? this.#search() : this.#show(before)),
      cancel: () => this.#show(before),
    };
  }

  /** Return a function from the place of the pointer to the box: drawn anew, moved, or resized at a corner. */
  #createChange(event, before, isOnArea) {
    const { size } = this.ui.state;
    const start = this.#toPhoto(event);
    const corner = event.target.dataset.corner;
    if (isOnArea && !corner) return ({ x, y }) => moveBox(before, x - start.x, y - start.y, size);
    const fixed = corner ? oppositeCorner(before, corner) : start;
    return (point) => boxBetween(fixed, point, size);
  }

  #toPhoto({ clientX, clientY }) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    const { size } = this.ui.state;
    return { x: ((clientX - left) / width) * size.width, y: ((clientY - top) / height) * size.height };
  }
}

const oppositeCorner = ([x1, y1, x2, y2], corner) => ({
  x: corner.endsWith("left") ? x2 : x1,
  y: corner.startsWith("top") ? y2 : y1,
});
