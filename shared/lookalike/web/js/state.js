/**
 * State shared by the modules, and the types of a search response.
 *
 * @typedef {object} Match A stored garment that is similar to one in the photo.
 * @property {string} splitted_image_id Id of the stored garment.
 * @property {string} original_image_id Id of the stored photo.
 * @property {string | null} label
 * @property {number} similarity Cosine similarity; 1 for identical images.
 * @property {number} [match] Probability that both are the same garment.
 * @property {string} [thumbnail_base64] JPEG.
 * @property {{same_label?: boolean, colour_distance?: number, shared_details?: string[]}} [why]
 *
 * @typedef {object} MatchGroup A garment in the photo and its matches, best first.
 * @property {string | null} label `null` if no garment was found and the whole photo was compared.
 * @property {number | null} score Confidence of the detection, from 0 to 1.
 * @property {[number, number, number, number]} bounding_box x1, y1, x2, y2 in pixels.
 * @property {Match[]} results
 *
 * @typedef {object} SearchResponse
 * @property {number} width Width of the photo in pixels.
 * @property {number} height Height of the photo in pixels.
 * @property {MatchGroup[]} groups
 * @property {{rows: number, tail_rows: number, without_vector: number, version: string | null, built_at: string | null}} [index]
 */

export const state = {
  /** @type {File | null} The selected photo. */
  photo: null,
  /** @type {SearchResponse | null} Response to the last search with this photo. */
  response: null,
  /** Whether the catalog has changed since the last search. */
  isOutdated: false,
};
