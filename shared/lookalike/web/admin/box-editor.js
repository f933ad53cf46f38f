/**
 * A photo with a box that can be moved and resized: with the mouse or a finger on the photo, or in the number fields below.
 * Boxes are x1, y1, x2, y2 in pixels of the photo; x2 and y2 are exclusive.
 */

import { element, field } from "./elements.js";

const SIDES = ["x1", "y1", "x2", "y2"];
const NAMES = { x1: "Left", y1: "Top", x2: "Right", y2: "Bottom" };
const MIN_SIZE = 8;

/** The photo, the box on it, and the number fields. `box` is the current box. */
export class BoxEditor {
  /**
   * @param {string} source Address of the photo.
   * @param {number[] | null} box The whole photo if it is unknown.
   * @param {number[][]} others Boxes of the other garments, which are only shown.
   * @param {() => void} onChange Called after the box has changed.
   */
  constructor(source, box, others, onChange) {
    this.onChange = onChange;
    this.box = box;
    this.image = element("img", { src: source, alt: "The photo", draggable: "false" });
    const corners = ["x1", "x2"].flatMap((x) => ["y1", "y2"].map((y) => element("span", { "data-x": x, "data-y": y })));
    this.frame = element("div", { class: "edited-box", "aria-hidden": "true" }, corners);
    this.others = others.map((one) => [one, element("div", { class: "other-box", "aria-hidden": "true" })]);
    this.inputs = Object.fromEntries(SIDES.map((side) => [side, element("input", { type: "number", step: 1 })]));
    const numbers = element(
      "fieldset",
      { class: "box-inputs" },
      element("legend", { text: "Box in pixels of the photo" }),
      SIDES.map((side) => field(NAMES[side], this.inputs[side])),
    );
    const photo = element("div", { class: "photo-frame" }, this.image, this.others.map(([, shown]) => shown), this.frame);
    this.element = element("div", { class: "stack" }, photo, numbers);
    this.image.addEventListener("load", () => this.start(), { once: true });
    this.frame.addEventListener("pointerdown", (event) => this.drag(event));
    for (const side of SIDES) this.inputs[side].addEventListener("change", () => this.readInputs());
  }

  /** The photo is loaded, so its size is known. */
  start() {
    const { naturalWidth, naturalHeight } = this.image;
    this.size = [naturalWidth, naturalHeight];
    this.image.parentElement.style.setProperty("--aspect-ratio", naturalWidth / naturalHeight);
    this.box ??= [0, 0, naturalWidth, naturalHeight];
    for (const [index, side] of SIDES.entries()) {
      this.inputs[side].min = 0;
      this.inputs[side].max = this.size[index % 2];
    }
    for (const [box, shown] of this.others) this.place(shown, box);
    this.show();
  }

  show() {
    this.place(this.frame, this.box);
    for (const [index, side] of SIDES.entries()) this.inputs[side].value = Math.round(this.box[index]);
  }

  place(shown, [x1, y1, x2, y2]) {
    const [width, height] = this.size;
    const share = (pixels, whole) => `${(100 * pixels) / whole}%`;
    const place = { left: share(x1, width), top: share(y1, height), width: share(x2 - x1, width), height: share(y2 - y1, height) };
    Object.assign(shown.style, place);
  }

  change(box) {
    this.box = box;
    this.show();
    this.onChange();
  }

  readInputs() {
    const [x1, y1, x2, y2] = SIDES.map((side, index) => clamp(this.inputs[side].valueAsNumber || 0, 0, this.size[index % 2]));
    const [width, height] = this.size;
    const left = Math.min(x1, width - MIN_SIZE);
    const top = Math.min(y1, height - MIN_SIZE);
    this.change([left, top, Math.max(x2, left + MIN_SIZE), Math.max(y2, top + MIN_SIZE)]);
  }

  drag(event) {
    event.preventDefault();
    const { x: xSide, y: ySide } = event.target.dataset;
    const scale = this.size[0] / this.image.clientWidth;
    const [startX, startY, start] = [event.clientX, event.clientY, this.box];
    this.frame.setPointerCapture(event.pointerId);
    const move = ({ clientX, clientY }) => {
      const delta = [(clientX - startX) * scale, (clientY - startY) * scale];
      this.change(xSide ? this.resized(start, xSide, ySide, delta) : this.moved(start, delta));
    };
    this.frame.addEventListener("pointermove", move);
    const end = () => this.frame.removeEventListener("pointermove", move);
    this.frame.addEventListener("lostpointercapture", end, { once: true });
  }

  moved([x1, y1, x2, y2], [deltaX, deltaY]) {
    const left = clamp(x1 + deltaX, 0, this.size[0] - (x2 - x1));
    const top = clamp(y1 + deltaY, 0, this.size[1] - (y2 - y1));
    return [left, top, left + x2 - x1, top + y2 - y1];
  }

  resized([x1, y1, x2, y2], xSide, ySide, [deltaX, deltaY]) {
    const [width, height] = this.size;
    if (xSide === "x1") x1 = clamp(x1 + deltaX, 0, x2 - MIN_SIZE);
    else x2 = clamp(x2 + deltaX, x1 + MIN_SIZE, width);
    if (ySide === "y1") y1 = clamp(y1 + deltaY, 0, y2 - MIN_SIZE);
    else y2 = clamp(y2 + deltaY, y1 + MIN_SIZE, height);
    return [x1, y1, x2, y2];
  }
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
