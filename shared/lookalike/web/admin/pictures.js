/** Thumbnails of garments that need a token, loaded when they come into view. */

import { element } from "./elements.js";
import { loadImage } from "./http.js";

/** Loads the thumbnails of one list. */
export class Pictures {
  constructor() {
    this.addresses = [];
    this.paths = new WeakMap();
    this.observer = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => void this.load(target)), { rootMargin: "200px" });
  }

  /**
   * Return a frame that shows the thumbnail of a garment.
   * @param {string | number} garment Name or row number.
   */
  frame(garment) {
    const frame = element("span", { class: "frame", text: "" });
    this.paths.set(frame, `thumbnails/${encodeURIComponent(garment)}`);
    this.observer.observe(frame);
    return frame;
  }

  async load(frame) {
    this.observer.unobserve(frame);
    try {
      const address = await loadImage(this.paths.get(frame));
      this.addresses.push(address);
      frame.replaceChildren(element("img", { src: address, alt: "" }));
    } catch {
      frame.textContent = "no image";
    }
  }

  /** Free the images. */
  close() {
    this.observer.disconnect();
    this.addresses.forEach((address) => URL.revokeObjectURL(address));
  }
}
