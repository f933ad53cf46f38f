/** Places the labels of the bounding boxes so that they do not overlap. */

const GAP_PX = 2;

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Rectangle In pixels, relative to the photo frame.
 */

/**
 * Place each label on top of its box. It moves inwards at the edges of the photo, and down below labels that
 * were placed before it. The number of labels is small, so comparing all pairs is fast enough.
 * @param {import("./context.js").Context} ui
 */
export function placeLabels(ui) {
  /** @type {Rectangle[]} */
  const placed = [];
  for (const label of ui.byId("box-labels").children) {
    const box = ui.byId("bounding-boxes").children[label.dataset.group];
    const rectangle = findPosition(ui.byId("photo-frame"), label, box, placed);
    label.style.transform = `translate(${rectangle.x}px, ${rectangle.y}px)`;
    placed.push(rectangle);
  }
}

function findPosition(frame, { offsetWidth: width, offsetHeight: height }, box, placed) {
  const x = Math.max(0, Math.min(box.offsetLeft, frame.clientWidth - width));
  const label = { x, y: Math.max(0, box.offsetTop - height), width, height };
  const findOverlap = () => placed.find((other) => overlaps(label, other));
  for (let other = findOverlap(); other; other = findOverlap()) label.y = other.y + other.height + GAP_PX;
  return { ...label, y: Math.min(label.y, frame.clientHeight - height) };
}

function overlaps(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
