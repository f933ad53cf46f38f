/**
 * State of a widget, and the types of a search response.
 *
 * @typedef {[number, number, number, number]} Box x1, y1, x2, y2 in pixels of the upright photo.
 *
 * @typedef {{amount: string, currency: string}} Money
 *
 * @typedef {object} Match A stored garment that was found.
 * @property {number} id Row number of the stored garment.
 * @property {string} splitted_image_id Name of the stored garment.
 * @property {string} original_image_id Name of the stored photo.
 * @property {string | null} label
 * @property {number} [similarity] Cosine similarity; 1 for identical images. Absent if nothing was compared.
 * @property {number} [match] Probability that both are the same garment.
 * @property {string} [thumbnail_base64] JPEG.
 * @property {Record<string, any> | null} [details] Product details.
 * @property {{price: Money | null, sale_price: Money | null}} [offer] Price of the product.
 * @property {{key: string | number | null, size: number}} [group]
 * @property {{search: string, garment: number}} [past] In place of a stored garment: a photo of a past search.
 * @property {{same_label?: boolean, colour_distance?: number, color_distance?: number, shared_details?: string[]}} [why]
 *
 * @typedef {object} MatchGroup A garment in the photo and its matches, best first.
 * @property {string | null} label `null` if no garment was found and the whole photo was compared.
 * @property {number | null} score Confidence of the detection, from 0 to 1.
 * @property {Box} bounding_box
 * @property {Match[]} results
 *
 * @typedef {object} SearchResponse
 * @property {string} search_id
 * @property {number} [width] Width of the photo in pixels.
 * @property {number} [height] Height of the photo in pixels.
 * @property {Match[]} results
 * @property {MatchGroup[]} [groups] Present if the garments of the photo were detected.
 * @property {{text: string, as: string, value: string}[]} understood
 * @property {string[]} ignored
 * @property {Record<string, {value: string | number, count: number}[]>} facets
 * @property {string | null} next_cursor
 * @property {{rows: number, tail_rows: number, without_vector: number, version: string | null, built_at: string | null}} [index]
 *
 * @typedef {{match: Match, weight: number}} Example A stored garment to search for (1) or to avoid (negative).
 */

/** @returns The state before the first search. */
export const createState = () => ({
  /** @type {File | null} The selected photo. */
  photo: null,
  /** Address of the photo in this browser, "" without a photo. */
  photoUrl: "",
  /** @type {{width: number, height: number} | null} Size of the photo in pixels. */
  size: null,
  /** @type {MatchGroup[] | null} Garments detected in the photo. */
  groups: null,
  /** Conditions for which the matches in `groups` were found. */
  groupsKey: "",
  /** Index of the selected garment in `groups`. */
  selected: 0,
  /** @type {Box | null} Area that the user marked. It takes the place of the selected garment. */
  ownBox: null,
  /** Description in words. */
  words: "",
  /** @type {Example[]} */
  examples: [],
  /** @type {{near: string, within: number} | null} */
  color: null,
  /** @type {Record<string, any>} Alternatives or a range by field name. */
  filter: {},
  /** Whether each product is listed once. */
  isGrouped: false,
  /** @type {SearchResponse | null} Response to the last search. */
  response: null,
  /** Whether the catalog has changed since the last search. */
  isOutdated: false,
  /** @type {Match[]} The matches shown so far. */
  matches: [],
  /** @type {string | null} Cursor of the next page. */
  cursor: null,
  /** Matches requested for each garment of the photo. Detected garments have no pages, but a growing limit. */
  limit: 0,
});
