/** Thumbnails of stored garments. */

/**
 * Show the thumbnail of a match. The image is hidden if there is none.
 * @param {HTMLImageElement} image
 * @param {import("./state.js").Match} match
 */
export function showThumbnail(image, match) {
  image.hidden = !match.thumbnail_base64;
  if (match.thumbnail_base64) image.src = `data:image/jpeg;base64,${match.thumbnail_base64}`;
}
