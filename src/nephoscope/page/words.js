/** Formats numbers, days, bounds and lists as text. */

const THIN = '\u202f'; // between a number and its unit; narrow, and no line breaks there

/** @param {number} share - 0 to 1. @returns {string} such as `28 %`. */
export function percent(share) {
  if (share > 0 && share < 0.005) return `<${THIN}1${THIN}%`;
  return `${Math.round(share * 100)}${THIN}%`;
}

/** @param {number} km2 @returns {string} such as `1,240,000 km²`, to three figures. */
export function squareKilometres(km2) {
  const figures = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
  return `${figures.format(km2)}${THIN}km²`;
}

/** @param {number} count @returns {string} such as `4,000`. */
export function whole(count) {
  return new Intl.NumberFormat('en').format(count);
}

/** @param {number} bytes @returns {string} such as `33.6 MB`. */
export function megabytes(bytes) {
  return `${new Intl.NumberFormat('en', { maximumFractionDigits: 1 }).format(bytes / 1e6)}${THIN}MB`;
}

/** @param {string} day - such as `2009-01-22`. @returns {string} such as `22 January 2009`. */
export function dayInWords(day) {
  const format = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return format.format(new Date(`${day}T00:00Z`));
}

/** @param {import('./geography.js').Bounds} bounds @returns {string} such as `10–24° N, 61–40° W`. */
export function placeInWords({ west, south, east, north }) {
  return `${range(south, north, 'N', 'S')}, ${range(west, east, 'E', 'W')}`;
}

function range(from, to, positive, negative) {
  const letter = (degrees) => (degrees < 0 ? negative : positive);
  const one = Math.abs(from);
  const other = Math.abs(to);
  if (letter(from) === letter(to)) return `${one}–${other}°${THIN}${letter(to)}`;
  return `${one}°${THIN}${letter(from)} – ${other}°${THIN}${letter(to)}`;
}

/** @param {string[]} words @param {string} [last] @returns {string} such as `GeoJSON, CSV and NetCDF`. */
export function listed(words, last = 'and') {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** @param {string} name - of a picture. @returns {string} without the part that all Worldview snapshots share. */
export function briefName(name) {
  return name.replace('CorrectedReflectance', '');
}
