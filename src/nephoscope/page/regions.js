/** Describes connected components as regions: area, mean probability, bounding box, outline. */

import { traceRings } from './contours.js';
import { rowAreas } from './geography.js';
import { STEPS } from './rules.js';

const SIDE = 0.955; // of a step to a side and to a corner: chamfer weights nearest to Euclid's distance
const CORNER = 1.3693;

/**
 * @typedef {object} Region
 * @property {string} pattern
 * @property {number} number - of its component in its pattern, from 1, largest first.
 * @property {number} area - in pixels of the rules' grid.
 * @property {number} cover - share of the picture's pixels with data, 0 to 1.
 * @property {number | null} km2 - on the sphere; null if the bounds are unknown.
 * @property {number | null} probability - mean over its pixels, 0 to 1; null for one that somebody drew.
 * @property {number[]} box - left, top, right, bottom in pixels of the grid.
 * @property {{x: number, y: number, depth: number}} middle - where it is widest, and how far it is to the edge.
 * @property {Path2D} path - its outline in pixels of the grid, to be filled by the even-odd rule.
 */

/**
 * @param {string} pattern
 * @param {import('./rules.js').Components} components
 * @param {Uint8Array} values - probabilities in steps of 1/200, row by row.
 * @param {{width: number, height: number, withData: number, limit: number, 
 *   bounds: import('./geography.js').Bounds | null}} grid - its
 *   size and how many pixels have data; the threshold in steps; where it lies.
 * @returns {Region[]} largest first.
 */
export function describeRegions(pattern, components, values, { width, height, withData, limit, bounds }) {
  const { numbers, areas } = components;
  if (!areas.length) return [];
  const areasOfRows = bounds && rowAreas(bounds, width, height);
  const depths = distances(numbers, width, height);
  const regions = areas.map((area, index) => ({
    pattern,
    number: index + 1,
    area,
    cover: area / withData,
    km2: bounds && 0,
    probability: 0,
    box: [width, height, 0, 0],
    middle: { x: 0, y: 0, depth: -1 },
    path: new Path2D(),
  }));
  for (let y = 0, index = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, index += 1) {
      const number = numbers[index];
      if (!number) continue;
      const region = regions[number - 1];
      region.probability += (values[index] - 0.5) / STEPS / region.area; // steps are rounded up, half a step on average
      if (areasOfRows) region.km2 += areasOfRows[y];
      const { box, middle } = region;
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x >= box[2]) box[2] = x + 1;
      if (y >= box[3]) box[3] = y + 1;
      if (depths[index] > middle.depth) Object.assign(middle, { x: x + 0.5, y: y + 0.5, depth: depths[index] });
    }
  }
  // A value is a probability rounded up to a whole step, so the threshold lies half a step above its own.
  for (const { component, points } of traceRings(values, numbers, width, height, limit + 0.5)) {
    trace(regions[component - 1].path, points);
  }
  return regions;
}

/**
 * The outline of an area, such as that without data, in pixels of the grid.
 * @param {Uint8Array} mask - 1 inside, row by row.
 * @param {number} width
 * @param {number} height
 * @returns {Path2D}
 */
export function outlineOf(mask, width, height) {
  const path = new Path2D();
  for (const { points } of traceRings(mask, mask, width, height, 0.5)) trace(path, points);
  return path;
}

function trace(path, points) {
  path.moveTo(points[0], points[1]);
  for (let index = 2; index < points.length; index += 2) path.lineTo(points[index], points[index + 1]);
  path.closePath();
}

/** Distance of each component pixel from the nearest background pixel, in pixels; the grid's edge is background. */
function distances(numbers, width, height) {
  const across = width + 2;
  const depths = new Float32Array(across * (height + 2));
  const places = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (numbers[y * width + x]) places.push((y + 1) * across + x + 1);
    }
  }
  for (const place of places) {
    depths[place] = Math.min(
      depths[place - 1] + SIDE, depths[place - across] + SIDE,
      depths[place - across - 1] + CORNER, depths[place - across + 1] + CORNER,
    );
  }
  for (let index = places.length - 1; index >= 0; index -= 1) {
    const place = places[index];
    depths[place] = Math.min(
      depths[place], depths[place + 1] + SIDE, depths[place + across] + SIDE,
      depths[place + across + 1] + CORNER, depths[place + across - 1] + CORNER,
    );
  }
  const inner = new Float32Array(width * height);
  for (let y = 0; y < height; y += 1) {
    inner.set(depths.subarray((y + 1) * across + 1, (y + 1) * across + 1 + width), y * width);
  }
  return inner;
}
