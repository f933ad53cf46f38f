/** Takes a photo: with the camera app of a phone, or in a dialog with the camera of a computer. */

import { ApiError } from "../../shared/lookalike/web/js/client.js";
import { showError } from "./messages.js";

const JPEG_QUALITY = 0.92;
/** The browser chooses the nearest size that the camera has. */
const WANTED = { video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } } };

/**
 * Connect the button that takes a photo. It is hidden where a page has no access to a camera.
 * @param {import("./context.js").Context} ui
 * @param {(photo: File) => void} onPhoto
 */
export function initCamera(ui, onPhoto) {
  const camera = new Camera(ui, onPhoto);
  const hasApp = matchMedia("(hover: none) and (pointer: coarse)").matches;
  // Browsers offer cameras to secure pages only.
  ui.byId("take-photo").hidden = !hasApp && !navigator.mediaDevices?.getUserMedia;
  ui.byId("take-photo").addEventListener("click", () => (hasApp ? ui.byId("camera-file").click() : void camera.open()));
}

/** The dialog with the picture of the camera. */
class Camera {
  #ui;
  #dialog;
  #video;
  #shutter;

  constructor(ui, onPhoto) {
    this.#ui = ui;
    [this.#dialog, this.#video, this.#shutter] = ["camera", "camera-video", "shutter"].map((id) => ui.byId(id));
    ui.byId("camera-cancel").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#stop());
    this.#video.addEventListener("playing", () => {
      this.#shutter.disabled = false;
      this.#shutter.focus();
    });
    this.#shutter.addEventListener("click", async () => {
      const photo = await this.#takePhoto();
      this.#dialog.close();
      onPhoto(photo);
    });
  }

  /** Show the picture of the camera. The browser asks the user for permission first. */
  async open() {
    this.#shutter.disabled = true;
    this.#dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia(WANTED);
      // A dialog that was canceled and opened again has asked twice: the first stream must not stay open.
      this.#stop();
      this.#video.srcObject = stream;
      // The user may have canceled meanwhile.
      if (!this.#dialog.open) this.#stop();
    } catch ({ name, message }) {
      if (!this.#dialog.open) return;
      this.#dialog.close();
      showError(this.#ui, new ApiError(message, 0, name === "NotAllowedError" ? "camera_denied" : "no_camera"));
    }
  }

  #stop() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
  }

  async #takePhoto() {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: this.#video.videoWidth, height: this.#video.videoHeight });
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    return new File([blob], "camera.jpg", { type: blob.type });
  }
}
