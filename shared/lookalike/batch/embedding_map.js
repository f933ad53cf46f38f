"use strict";
// Map of garments on a canvas: drag or arrow keys move it, the wheel, two fingers or + and - zoom it. A garment under the
// pointer is shown with its name. `MAP_DATA` has columns, cell (pixels of the atlas), x, y (0 to 1), names and labels.
(() => {
  const canvas = document.getElementById("map");
  const note = document.getElementById("map-note");
  const atlas = document.getElementById("atlas");
  const context = canvas.getContext("2d");
  const { cell, columns, x, y, names, labels, present } = MAP_DATA;
  const view = { x: 0.5, y: 0.5, zoom: 1 };
  const pointers = new Map();
  let hovered = -1;

  const side = () => Math.min(canvas.clientWidth, canvas.clientHeight) * 0.9 * view.zoom;
  const size = () => Math.min(120, Math.max(10, (side() / Math.sqrt(x.length + 1)) * 0.75));
  const toScreen = (i) => [
    (x[i] - view.x) * side() + canvas.clientWidth / 2,
    (y[i] - view.y) * side() + canvas.clientHeight / 2,
  ];

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (let i = 0; i < x.length; i += 1) if (i !== hovered) drawGarment(i, size());
    if (hovered >= 0) drawGarment(hovered, Math.max(size(), 96));
    note.textContent = hovered >= 0 ? `${names[hovered]} (${labels[hovered] || "whole photo"})` : note.dataset.help;
  }

  function drawGarment(i, width) {
    const [left, top] = toScreen(i).map((value) => value - width / 2);
    if (left < -width || top < -width || left > canvas.clientWidth || top > canvas.clientHeight) return;
    if (present[i]) {
      const [column, row] = [i % columns, Math.floor(i / columns)];
      context.drawImage(atlas, column * cell, row * cell, cell, cell, left, top, width, width);
    } else {
      context.fillStyle = "#b9aea2";
      context.fillRect(left + width / 4, top + width / 4, width / 2, width / 2);
    }
    context.strokeStyle = i === hovered ? "#c2410c" : "#e4dcd0";
    context.lineWidth = i === hovered ? 3 : 1;
    context.strokeRect(left, top, width, width);
  }

  function nearest(left, top) {
    let best = -1;
    let distance = (size() * 0.7) ** 2;
    for (let i = 0; i < x.length; i += 1) {
      const [px, py] = toScreen(i);
      const squared = (px - left) ** 2 + (py - top) ** 2;
      if (squared < distance) [best, distance] = [i, squared];
    }
    return best;
  }

  // The point of the map under (left, top) stays there.
  function zoom(factor, left = canvas.clientWidth / 2, top = canvas.clientHeight / 2) {
    const before = side();
    view.zoom = Math.min(60, Math.max(0.5, view.zoom * factor));
    const change = 1 / before - 1 / side();
    view.x += (left - canvas.clientWidth / 2) * change;
    view.y += (top - canvas.clientHeight / 2) * change;
    draw();
  }

  function move(dx, dy) {
    view.x -= dx / side();
    view.y -= dy / side();
  }

  const position = (event) => [event.offsetX, event.offsetY];
  const spread = () => {
    const [[ax, ay], [bx, by]] = [...pointers.values()];
    return { distance: Math.hypot(ax - bx, ay - by), left: (ax + bx) / 2, top: (ay + by) / 2 };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, position(event));
    hovered = nearest(...position(event));
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    const known = pointers.get(event.pointerId);
    if (!known) {
      const found = nearest(...position(event));
      if (found !== hovered) {
        hovered = found;
        draw();
      }
      return;
    }
    const before = pointers.size === 2 ? spread() : null;
    const [left, top] = position(event);
    pointers.set(event.pointerId, [left, top]);
    if (before) {
      const after = spread();
      move(after.left - before.left, after.top - before.top);
      if (before.distance > 0) zoom(after.distance / before.distance, after.left, after.top);
    } else {
      move(left - known[0], top - known[1]);
    }
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (steps[event.key]) move(...steps[event.key]);
    else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.3 : 1 / 1.3);
    else return;
    event.preventDefault();
    draw();
  });
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1.5));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  window.addEventListener("resize", draw);
  if (atlas.complete) draw();
  else atlas.addEventListener("load", draw);
})();
