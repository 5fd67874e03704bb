/** Place and day of a picture: from its name, or as the user states them. As `nephoscope.core.geo` reads them. */

import { wrapped } from '../geography.js';

const DEGREES = '(-?\\d+(?:\\.\\d+)?)';
const WORLDVIEW = new RegExp(
  `([A-Za-z0-9]+)_CorrectedReflectance\\w*?(\\d{4})(\\d{2})(\\d{2})_${DEGREES}-${DEGREES}_${DEGREES}-${DEGREES}`,
);
const SNAPSHOT = /(?<![A-Za-z0-9])snapshot-(\d{4}-\d{2}-\d{2})(?!\d)/;

/** @typedef {import('../geography.js').Bounds} Bounds */

/**
 * What the name of a snapshot tells.
 * @param {string} name - such as `Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg`.
 * @returns {{bounds: Bounds | null, date: string | null, satellite: string | null}}
 */
export function fromName(name) {
  const nothing = { bounds: null, date: null, satellite: null };
  const match = WORLDVIEW.exec(name);
  if (!match) {
    const date = SNAPSHOT.exec(name)?.[1];
    return date && isDay(date) ? { ...nothing, date } : nothing;
  }
  const date = match.slice(2, 5).join('-');
  if (!isDay(date)) return nothing;
  const [west, east, south, north] = match.slice(5).map(Number);
  const onEarth = south >= -90 && south < north && north <= 90 && Math.abs(west) <= 180 && Math.abs(east) <= 180;
  return { bounds: onEarth ? { west, south, east, north } : null, date, satellite: match[1] };
}

/**
 * Parse bounds: west, south, east and north in degrees, with commas between them.
 * @param {string} text
 * @returns {Bounds}
 * @throws {Error} no box on Earth.
 */
export function parseBounds(text) {
  const numbers = text.split(',').map((part) => (part.trim() ? Number(part) : NaN));
  const [west, south, east, north] = numbers;
  const onEarth = numbers.length === 4 && numbers.every(Number.isFinite)
    && south >= -90 && south < north && north <= 90 && [west, east].every((edge) => edge >= -180 && edge <= 360);
  if (!onEarth || west === east) {
    throw new Error(
      `${text}: no box on Earth: give west, south, east and north; south below north, both from -90 to 90; `
      + 'west and east from -180 to 360, and different',
    );
  }
  return { west: wrapped(west), south, east: wrapped(east) === -180 ? 180 : wrapped(east), north };
}

function isDay(text) {
  const day = new Date(`${text}T00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
