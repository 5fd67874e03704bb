/** Degrees and areas on the sphere. */

const EARTH_RADIUS = 6371.0088; // km; the mean radius (IUGG)

/**
 * @typedef {object} Bounds - edges in degrees; east is less than west across the antimeridian.
 * @property {number} west
 * @property {number} south
 * @property {number} east
 * @property {number} north
 */

/** @param {number} longitude @returns {number} the same from -180 to less than 180 degrees. */
export function wrapped(longitude) {
  return longitude >= -180 && longitude < 180 ? longitude : ((longitude + 180) % 360 + 360) % 360 - 180;
}

/** Spacings of lines of longitude and latitude, in degrees. */
export const SPACINGS = [0.5, 1, 2, 5, 10, 20, 45];

/** @param {Bounds} bounds @returns {{width: number, height: number}} in degrees. */
export function degreesOf({ west, south, east, north }) {
  return { width: ((east - west) % 360 + 360) % 360 || 360, height: north - south };
}

/**
 * Area of a pixel of each row of a grid.
 * @param {Bounds} bounds - of the grid.
 * @param {number} width - of the grid, in pixels.
 * @param {number} height
 * @returns {Float64Array} km².
 */
export function rowAreas(bounds, width, height) {
  const radians = Math.PI / 180;
  const { north, south } = bounds;
  const sines = Float64Array.from({ length: height + 1 }, (_, row) => (
    Math.sin((north - (north - south) * row / height) * radians)
  ));
  const strip = EARTH_RADIUS ** 2 * degreesOf(bounds).width / width * radians;
  return Float64Array.from({ length: height }, (_, row) => strip * (sines[row] - sines[row + 1]));
}
