/** Drags on the photo, with a mouse, a pen or a finger. */

/** Shorter movements are clicks. */
const MIN_MOVEMENT_PX = 6;

/**
 * @typedef {object} Drag
 * @property {(event: PointerEvent) => void} move The pointer has moved.
 * @property {(event: PointerEvent) => void} end The pointer was released.
 * @property {() => void} cancel The browser has taken over the gesture, for example to scroll.
 */

/**
 * Report drags that start on an element. A click that only ends a drag is not delivered.
 * @param {HTMLElement} element
 * @param {(event: PointerEvent) => Drag | null} begin Returns `null` to ignore the pointer.
 */
export function listenForDrags(element, begin) {
  element.addEventListener("pointerdown", (start) => {
    const drag = start.isPrimary && start.button === 0 ? begin(start) : null;
    if (drag) follow(element, start, drag);
  });
}

function follow(element, start, drag) {
  const listeners = new AbortController();
  let isDragging = false;
  const listen = (type, handle) => {
    const handleOwn = (event) => event.pointerId === start.pointerId && handle(event);
    // On the window, because a drag may end outside of the element.
    window.addEventListener(type, handleOwn, { signal: listeners.signal });
  };
  listen("pointermove", (event) => {
    isDragging ||= Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) >= MIN_MOVEMENT_PX;
    if (isDragging) drag.move(event);
  });
  listen("pointerup", (event) => {
    listeners.abort();
    if (!isDragging) return;
    suppressNextClick();
    drag.end(event);
  });
  listen("pointercancel", () => {
    listeners.abort();
    drag.cancel();
  });
}

/** The click follows the release at once, if there is one. */
function suppressNextClick() {
  const listeners = new AbortController();
  const suppress = (event) => event.stopPropagation();
  window.addEventListener("click", suppress, { capture: true, signal: listeners.signal });
  setTimeout(() => listeners.abort());
}
