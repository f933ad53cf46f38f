/** Uploads many photos: some at once, again later if the server is busy, and canceled on the server. */

import { CancelledError, createForm, createRequestId } from "../js/api.js";
import { post } from "./http.js";

/** Photos that are uploaded at a time. */
export const CONCURRENCY = 3;
const [NOT_FOUND, TOO_MANY_REQUESTS] = [404, 429];
const CANCEL_RETRY_MILLISECONDS = 200;
const DEFAULT_WAIT_SECONDS = 2;
const MAX_NAME_LENGTH = 200;

/**
 * @typedef {object} QueuedPhoto
 * @property {File} file
 * @property {string} name Name in the catalog.
 * @property {"waiting" | "running" | "stored" | "empty" | "failed" | "canceled"} state
 * @property {string} text What became of it, for people.
 * @property {string} requestId Id by which the server cancels the upload.
 */

/**
 * Return a name for the catalog: that of the file without its ending, with other characters replaced.
 * @param {string} fileName
 */
function catalogName(fileName) {
  const stem = fileName.replace(/\.[A-Za-z0-9]{2,5}$/, "");
  return stem.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^\.+/, "").slice(0, MAX_NAME_LENGTH) || "photo";
}

/** Photos that wait, are uploaded, or are done. */
export class UploadQueue {
  /** @param {(photo: QueuedPhoto) => void} onChange Called after the state of a photo has changed. */
  constructor(onChange) {
    this.onChange = onChange;
    this.keepsWholePhotos = true;
    /** @type {QueuedPhoto[]} */
    this.photos = [];
    this.running = 0;
    this.pausedUntil = 0;
  }

  /** @param {Iterable<File>} files */
  add(files) {
    for (const file of files) {
      const photo = { file, name: catalogName(file.name), state: "waiting", text: "Waiting", requestId: "" };
      this.photos.push(photo);
      this.onChange(photo);
    }
    this.startNext();
  }

  /** Upload those again that failed or were canceled. */
  retry() {
    for (const photo of this.photos) {
      if (photo.state === "failed" || photo.state === "canceled") this.set(photo, "waiting", "Waiting");
    }
    this.startNext();
  }

  /** Cancel everything that is not done. */
  cancel() {
    for (const photo of this.photos) {
      if (photo.state === "waiting") this.set(photo, "canceled", "Canceled");
      if (photo.state === "running") void this.cancelOnServer(photo);
    }
  }

  /** The response of the upload says whether the cancellation came too late. */
  async cancelOnServer(photo) {
    const { requestId } = photo;
    while (photo.state === "running" && photo.requestId === requestId) {
      try {
        await post(`cancel_request/${requestId}`);
        return;
      } catch (error) {
        // The server may not know an upload that is still being sent.
        if (error.status !== NOT_FOUND) return;
        await new Promise((resolve) => setTimeout(resolve, CANCEL_RETRY_MILLISECONDS));
      }
    }
  }

  /** @param {...string} states */
  count(...states) {
    return this.photos.filter((photo) => states.includes(photo.state)).length;
  }

  startNext() {
    while (this.running < CONCURRENCY) {
      const photo = this.photos.find(({ state }) => state === "waiting");
      if (!photo) return;
      this.running += 1;
      void this.upload(photo).finally(() => {
        this.running -= 1;
        this.startNext();
      });
    }
  }

  async upload(photo) {
    photo.requestId = createRequestId();
    this.set(photo, "running", photo.text);
    try {
      await this.waitForPause(photo);
      // canceled while it waited
      if (photo.state !== "running") return;
      this.set(photo, "running", "Uploading");
      const fields = { image: photo.file, image_name: photo.name, request_id: photo.requestId };
      const response = await post("upload_image", createForm({ ...fields, force_process: this.keepsWholePhotos }));
      this.setStored(photo, response.data.segments.length);
    } catch (error) {
      if (error.status === TOO_MANY_REQUESTS) this.pause(photo, error.retryAfter ?? DEFAULT_WAIT_SECONDS);
      // the request succeeded, but there was nothing to store
      else if (error.status === 200) this.set(photo, "empty", error.message);
      else if (error instanceof CancelledError) this.set(photo, "canceled", "Canceled");
      else this.set(photo, "failed", error.message);
    }
  }

  setStored(photo, count) {
    this.set(photo, "stored", count === 1 ? "1 garment stored" : `${count} garments stored`);
  }

  pause(photo, seconds) {
    this.pausedUntil = Math.max(this.pausedUntil, Date.now() + seconds * 1000);
    this.set(photo, "waiting", `The server is busy: again in ${Math.ceil(seconds)} s`);
  }

  async waitForPause(photo) {
    while (photo.state === "running" && Date.now() < this.pausedUntil) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(250, this.pausedUntil - Date.now())));
    }
  }

  set(photo, state, text) {
    Object.assign(photo, { state, text });
    this.onChange(photo);
  }
}
