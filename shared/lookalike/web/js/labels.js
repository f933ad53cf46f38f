/** Places the labels of the bounding boxes so that they do not overlap. */

import { byId } from "./dom.js";

const GAP_PX = 2;

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Rectangle In pixels, relative to the photo frame.
 */

/**
 * Place each label on top of its box. It moves inwards at the edges of the photo, and down below labels that
 * were placed before it. The number of labels is small, so comparing all pairs is fast enough.
 */
export function placeLabels() {
  /** @type {Rectangle[]} */
  const placed = [];
  for (const label of byId("box-labels").children) {
    const rectangle = findPosition(label, byId("bounding-boxes").children[label.dataset.group], placed);
    label.style.transform = `translate(${rectangle.x}px, ${rectangle.y}px)`;
    placed.push(rectangle);
  }
}

function findPosition({ offsetWidth: width, offsetHeight: height }, box, placed) {
  const frame = byId("photo-frame");
  const x = Math.max(0, Math.min(box.offsetLeft, frame.clientWidth - width));
  const label = { x, y: Math.max(0, box.offsetTop - height), width, height };
  const findOverlap = () => placed.find((other) => overlaps(label, other));
  for (let other = findOverlap(); other; other = findOverlap()) label.y = other.y + other.height + GAP_PX;
  return { ...label, y: Math.min(label.y, frame.clientHeight - height) };
}

function overlaps(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
