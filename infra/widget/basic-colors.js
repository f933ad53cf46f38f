/** The basic colors by which the server counts garments. */

/** Values in sRGB by name, the same as `BASIC_COLORS` of the server. */
export const BASIC_COLORS = {
  black: "#161616",
  gray: "#8a8a8a",
  white: "#f4f4f4",
  beige: "#d8c6a6",
  brown: "#6b4423",
  red: "#c2202c",
  orange: "#ea7b1f",
  yellow: "#f0d032",
  green: "#3d8a45",
  olive: "#6a6b2f",
  turquoise: "#35b0ab",
  blue: "#2f62b5",
  navy: "#1f2a4d",
  purple: "#6f3a8c",
  pink: "#ee9fb9",
  burgundy: "#6d1a2e",
};

/** CIEDE2000 difference up to which a garment has about the color that a word names. */
export const WORD_TOLERANCE = 25;

/**
 * Return the name of a basic color, or the code of any other.
 * @param {string} code
 */
export const colorName = (code) => Object.keys(BASIC_COLORS).find((name) => BASIC_COLORS[name] === code) ?? code;
