/** The area of the photo that the user marks, with a pointer or with the keyboard. */

import { byId } from "./dom.js";
import { listenForDrags } from "./drag.js";
import { boxBetween, boxStyle, isLargeEnough, moveBox, resizeBox } from "./geometry.js";
import { state } from "./state.js";

/** Share of the photo's side by which an arrow key moves an edge. */
const STEP = 0.02;
/** Pause after which a change by keyboard is searched for. */
const KEY_PAUSE_MS = 600;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @type {import("./state.js").Box | null} The area as shown. It becomes the state's when it is searched for. */
let shown = null;
let timer = 0;
let onChange = () => {};

/**
 * Call `onAreaChange` when the user has marked, changed or removed an area.
 * @param {() => void} onAreaChange
 */
export function initOwnBox(onAreaChange) {
  onChange = onAreaChange;
  listenForDrags(byId("photo-frame"), beginDrag);
  byId("own-box").addEventListener("keydown", handleKey);
  byId("mark-area").addEventListener("click", markCenter);
}

/** Show the area of the state. */
export function renderOwnBox() {
  show(state.ownBox);
  setDrawing(false);
}

function markCenter() {
  if (!state.size) return;
  const { width, height } = state.size;
  show(shown ?? [width / 4, height / 4, (3 * width) / 4, (3 * height) / 4]);
  setDrawing(true);
  byId("own-box").focus();
}

function show(box) {
  clearTimeout(timer);
  shown = box;
  byId("own-box").hidden = !box;
  byId("area-help").hidden = !box;
  if (!box) return;
  Object.assign(byId("own-box").style, boxStyle(box, state.size));
  byId("own-box").setAttribute("aria-label", describe(box));
}

function describe([x1, y1, x2, y2]) {
  const { width, height } = state.size;
  const percent = (pixels, total) => `${Math.round((100 * pixels) / total)}%`;
  const place = `${percent(x1, width)} from the left, ${percent(y1, height)} from the top`;
  return `Marked area: ${place}, ${percent(x2 - x1, width)} wide, ${percent(y2 - y1, height)} high`;
}

/** While drawing, a finger marks an area instead of scrolling. */
function setDrawing(isDrawing) {
  byId("photo-frame").classList.toggle("is-drawing", isDrawing);
}

function search() {
  clearTimeout(timer);
  state.ownBox = shown && shown.map((pixels) => Math.round(10 * pixels) / 10);
  onChange();
}

function handleKey(event) {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const change = event.shiftKey ? resizeBox : moveBox;
    show(change(shown, arrow[0] * STEP * state.size.width, arrow[1] * STEP * state.size.height, state.size));
    byId("area-position").textContent = describe(shown);
    timer = setTimeout(search, KEY_PAUSE_MS);
  } else if (event.key === "Enter") search();
  else if (event.key === "Escape" || event.key === "Delete") removeArea();
  else return;
  event.preventDefault();
}

function removeArea() {
  show(null);
  setDrawing(false);
  byId("mark-area").focus();
  if (state.ownBox) search();
}

function beginDrag(event) {
  const isOnArea = byId("own-box").contains(event.target);
  const isFinger = event.pointerType === "touch";
  if (!state.size || (isFinger && !isOnArea && !byId("photo-frame").classList.contains("is-drawing"))) return null;
  const before = shown;
  const boxAt = createChange(event, before, isOnArea);
  return {
    move: (moved) => show(boxAt(toPhoto(moved))),
    end: () => (isLargeEnough(shown, state.size) ? search() : show(before)),
    cancel: () => show(before),
  };
}

/** Return a function from the place of the pointer to the box: drawn anew, moved, or resized at a corner. */
function createChange(event, before, isOnArea) {
  const start = toPhoto(event);
  const corner = event.target.dataset.corner;
  if (isOnArea && !corner) return ({ x, y }) => moveBox(before, x - start.x, y - start.y, state.size);
  const fixed = corner ? oppositeCorner(before, corner) : start;
  return (point) => boxBetween(fixed, point, state.size);
}

const oppositeCorner = ([x1, y1, x2, y2], corner) => ({
  x: corner.endsWith("left") ? x2 : x1,
  y: corner.startsWith("top") ? y2 : y1,
});

function toPhoto({ clientX, clientY }) {
  const frame = byId("photo-frame").getBoundingClientRect();
  return {
    x: ((clientX - frame.left) / frame.width) * state.size.width,
    y: ((clientY - frame.top) / frame.height) * state.size.height,
  };
}
