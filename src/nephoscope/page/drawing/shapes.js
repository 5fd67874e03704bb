/** Shapes as pixels of the label grid: a pixel belongs to a shape that contains its centre. */

import { GRID } from './label_mask.js';

const ARC = 12; // corners of half a circle

/** @typedef {{x: number, y: number}} Point - in pixels of the label grid, from its top left corner. */
/** @typedef {import('./label_mask.js').Span} Span */

/** @param {Point} one @param {Point} other - opposite corners. @returns {Span[]} */
export function rectangle(one, other) {
  const [left, right] = [Math.min(one.x, other.x), Math.max(one.x, other.x)].map(firstCentre);
  const [top, bottom] = [Math.min(one.y, other.y), Math.max(one.y, other.y)].map(firstCentre);
  const spans = [];
  for (let row = Math.max(0, top); row < Math.min(GRID.height, bottom); row += 1) spans.push([row, left, right]);
  return spans;
}

/**
 * The inside of a closed line; where it crosses itself, by the even-odd rule.
 * @param {Point[]} points
 * @returns {Span[]}
 */
export function polygon(points) {
  const ys = points.map(({ y }) => y);
  const top = Math.max(0, firstCentre(Math.min(...ys)));
  const bottom = Math.min(GRID.height, firstCentre(Math.max(...ys)));
  const crossings = Array.from({ length: Math.max(0, bottom - top) }, () => []);
  points.forEach((point, index) => {
    const next = points[(index + 1) % points.length];
    const [upper, lower] = point.y < next.y ? [point, next] : [next, point];
    const slope = (lower.x - upper.x) / (lower.y - upper.y);
    const last = Math.min(bottom, firstCentre(lower.y));
    for (let row = Math.max(top, firstCentre(upper.y)); row < last; row += 1) {
      crossings[row - top].push(upper.x + (row + 0.5 - upper.y) * slope);
    }
  });
  return crossings.flatMap((xs, index) => {
    xs.sort((one, other) => one - other);
    const spans = [];
    for (let pair = 0; pair + 1 < xs.length; pair += 2) {
      const [from, to] = [firstCentre(xs[pair]), firstCentre(xs[pair + 1])];
      if (from < to) spans.push([top + index, from, to]);
    }
    return spans;
  });
}

/**
 * The track of a brush, which is a circle on the picture and may be an ellipse on the grid.
 * @param {Point[]} points - of its centre; one for a dab.
 * @param {Point} radius - across and down.
 * @returns {Span[]} which overlap.
 */
export function stroke(points, radius) {
  const pairs = points.length > 1 ? points.slice(1).map((point, index) => [points[index], point]) : [[points[0], points[0]]];
  return pairs.flatMap(([from, to]) => polygon(capsule(from, to, radius)));
}

/** The outline of a circle that moves along a line: a half circle around each end. */
function capsule(from, to, radius) {
  const ahead = Math.atan2((to.y - from.y) / radius.y, (to.x - from.x) / radius.x);
  const half = (centre, turn) => Array.from({ length: ARC + 1 }, (_, step) => {
    const angle = ahead + turn + Math.PI * step / ARC;
    return { x: centre.x + radius.x * Math.cos(angle), y: centre.y + radius.y * Math.sin(angle) };
  });
  return [...half(to, -Math.PI / 2), ...half(from, Math.PI / 2)];
}

/** The first whole pixel whose centre is not before a coordinate. */
function firstCentre(coordinate) {
  return Math.ceil(coordinate - 0.5);
}
