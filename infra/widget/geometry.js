/** Calculations with boxes. All are in pixels of the photo. */

/** Shortest side of a box that the user draws, as a share of the photo's side. */
const MIN_SHARE = 0.03;

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/**
 * Return the CSS position of a box, in percent, so that it scales with the photo.
 * @param {import("./state.js").Box} box
 * @param {{width: number, height: number}} size Size of the photo.
 */
export function boxStyle([x1, y1, x2, y2], { width, height }) {
  const percent = (pixels, total) => `${(100 * pixels) / total}%`;
  return {
    left: percent(x1, width),
    top: percent(y1, height),
    width: percent(x2 - x1, width),
    height: percent(y2 - y1, height),
  };
}

/**
 * Return the CSS background that shows only a box of the photo in a square.
 * @param {import("./state.js").Box} box
 * @param {{width: number, height: number}} size Size of the photo.
 */
export function cropStyle([x1, y1, x2, y2], { width, height }) {
  // Position 0% aligns the left edges of image and element, 100% the right edges.
  const place = (start, length, total) => (total > length ? (100 * start) / (total - length) : 0);
  return {
    backgroundSize: `${(100 * width) / (x2 - x1)}% ${(100 * height) / (y2 - y1)}%`,
    backgroundPosition: `${place(x1, x2 - x1, width)}% ${place(y1, y2 - y1, height)}%`,
  };
}

/**
 * Return the box between two opposite corners, within the photo.
 * @param {{x: number, y: number}} a
 * @param {{x: number, y: number}} b
 * @param {{width: number, height: number}} size
 * @returns {import("./state.js").Box}
 */
export function boxBetween(a, b, { width, height }) {
  const sorted = (one, other, total) => [clamp(Math.min(one, other), 0, total), clamp(Math.max(one, other), 0, total)];
  const [[x1, x2], [y1, y2]] = [sorted(a.x, b.x, width), sorted(a.y, b.y, height)];
  return [x1, y1, x2, y2];
}

/**
 * Move a box as far as it stays within the photo.
 * @param {import("./state.js").Box} box
 * @param {number} x
 * @param {number} y
 * @param {{width: number, height: number}} size
 * @returns {import("./state.js").Box}
 */
export function moveBox([x1, y1, x2, y2], x, y, { width, height }) {
  const [right, down] = [clamp(x, -x1, width - x2), clamp(y, -y1, height - y2)];
  return [x1 + right, y1 + down, x2 + right, y2 + down];
}

/**
 * Move the right and the lower edge of a box within the photo. The box stays large enough to see.
 * @param {import("./state.js").Box} box
 * @param {number} x
 * @param {number} y
 * @param {{width: number, height: number}} size
 * @returns {import("./state.js").Box}
 */
export function resizeBox([x1, y1, x2, y2], x, y, { width, height }) {
  const right = clamp(x2 + x, Math.min(x1 + MIN_SHARE * width, width), width);
  return [x1, y1, right, clamp(y2 + y, Math.min(y1 + MIN_SHARE * height, height), height)];
}

/**
 * Return whether a box is large enough to be meant.
 * @param {import("./state.js").Box} box
 * @param {{width: number, height: number}} size
 */
export const isLargeEnough = ([x1, y1, x2, y2], { width, height }) =>
  x2 - x1 >= MIN_SHARE * width && y2 - y1 >= MIN_SHARE * height;
