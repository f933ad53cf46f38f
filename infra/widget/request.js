/** Builds requests to `POST /search` from the state of a widget. */

/** Matches on a page of results. */
export const PAGE_SIZE = 12;
/** Matches that one request can return at most. */
export const MAX_LIMIT = 100;
/** Name of the photo in the form. */
const PHOTO_PART = "photo";

/**
 * Return whether the request consists of a photo, so that each of its garments is searched for.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export const isPhotoOnly = ({ photo, ownBox, words, examples }) =>
  photo !== null && ownBox === null && words === "" && examples.length === 0;

/**
 * Return whether there is an example that results can be similar to, or words.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export const hasPositive = ({ photo, words, examples }) =>
  photo !== null || words !== "" || examples.some(({ weight }) => weight > 0);

/**
 * Return whether there is anything to search for.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export const hasQuery = (state) =>
  hasPositive(state) || state.color !== null || Object.keys(state.filter).length > 0;

/**
 * Return a text that differs between conditions with different results.
 * @param {ReturnType<import("./state.js").createState>} state
 */
export const conditionsKey = ({ filter, color, isGrouped }) => JSON.stringify([filter, color, isGrouped]);

/**
 * Return the JSON of a search.
 * @param {ReturnType<import("./state.js").createState>} state
 * @param {string[]} facets Fields whose values are offered as filters.
 * @param {{limit?: number, cursor?: string | null}} [page]
 */
export function createRequest(state, facets, { limit = PAGE_SIZE, cursor = null } = {}) {
  return {
    query: isPhotoOnly(state) ? [{ image: PHOTO_PART }] : createExamples(state),
    segment: isPhotoOnly(state),
    filter: state.filter,
    color: state.color,
    group_by: state.isGrouped ? "product" : null,
    facets,
    limit,
    cursor,
    include: "thumbnail",
    include_details: true,
    // The examples themselves are no results. A photo on its own may find itself.
    exclude_original: state.examples.length > 0,
  };
}

/** Return the JSON of a search that only detects the garments of the photo. */
export const createDetectionRequest = () => ({
  query: [{ image: PHOTO_PART }],
  segment: true,
  limit: 1,
  include: "none",
});

/**
 * Return the body of a request: a form if there is a photo, otherwise JSON.
 * @param {object} request
 * @param {File | null} photo
 * @param {string} id Request id.
 */
export function createBody(request, photo, id) {
  const body = { ...request, request_id: id };
  if (photo === null) return body;
  const form = new FormData();
  form.append("request", JSON.stringify(body));
  form.append(PHOTO_PART, photo);
  return form;
}

function createExamples({ photo, groups, selected, ownBox, words, examples }) {
  const box = ownBox ?? groups?.[selected]?.bounding_box;
  return [
    ...(photo ? [{ image: PHOTO_PART, ...(box && { bounding_box: box }) }] : []),
    ...(words ? [{ text: words }] : []),
    ...examples.map(({ match, weight }) => ({ ...(match.past ?? { id: match.id }), weight })),
  ];
}
