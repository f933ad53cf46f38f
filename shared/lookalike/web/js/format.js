/** Format values for display. */

/**
 * Return a count with its noun, for example "1 match" or "1,200 matches".
 * @param {number} count
 * @param {string} singular
 * @param {string} [plural]
 */
export const formatCount = (count, singular, plural = `${singular}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;

/**
 * Return a score between 0 and 1 as a percentage, or "" if there is none.
 * @param {number | null | undefined} score
 */
export const formatPercent = (score) => (score === null || score === undefined ? "" : `${Math.round(score * 100)}%`);

/**
 * Return a duration in milliseconds or seconds, with a non-breaking space before the unit.
 * @param {number} milliseconds
 */
export const formatDuration = (milliseconds) =>
  milliseconds < 1000 ? `${Math.ceil(milliseconds)}\u00a0ms` : `${(milliseconds / 1000).toFixed(1)}\u00a0s`;

/**
 * Return a local date and time. Text that is not a date is returned unchanged.
 * @param {string} text ISO 8601 time.
 * @param {string} [language]
 */
export function formatTime(text, language = "en-GB") {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return text;
  return time.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

/**
 * Return the text with a full stop, unless it ends with punctuation already.
 * @param {string} text
 */
export const asSentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
