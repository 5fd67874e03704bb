/** JSON: scores, covers and every region, in the picture's pixels, as `nephoscope segment --format json` writes it. */

import { tracePolygons } from './outlines.js';
import { meanProbability, rounded, statedRules } from './result.js';

/**
 * @param {import('./result.js').Result[]} results
 * @returns {Blob} one object with `scenes`.
 */
export function scenesJson(results) {
  return new Blob([`${JSON.stringify({ scenes: results.map(describe) })}\n`], { type: 'application/json' });
}

/** Everything about one picture, as plain values. */
function describe(result) {
  const { about, card, patterns, width, height, withData } = result;
  const scale = [about.width / width, about.height / height];
  const { patterns: described, model, rules: own, tta, ...scene } = about;
  return {
    ...scene,
    patterns: Object.fromEntries(patterns.map(({ name, cover }) => [name, {
      present: cover > 0,
      score: rounded(described[name].score),
      cover: rounded(cover),
      probability: described[name].probability ?? null,
    }])),
    regions: patterns.flatMap((pattern) => regionsOf(pattern, width, scale, withData)),
    model: { name: card.name, made_with: card.made_with },
    rules: statedRules(result),
    join: null,
    tta,
    nephoscope: result.nephoscope,
  };
}

function regionsOf({ name, values, components }, width, [sx, sy], withData) {
  return boxesOf(components, width).map((box, index) => {
    const number = index + 1;
    const { numbers, areas } = components;
    const area = areas[index];
    let [xs, ys] = [0, 0];
    for (let y = box[1]; y < box[3]; y += 1) {
      for (let x = box[0]; x < box[2]; x += 1) {
        if (numbers[y * width + x] !== number) continue;
        xs += x + 0.5;
        ys += y + 0.5;
      }
    }
    return {
      pattern: name,
      area: rounded(area * sx * sy),
      cover: rounded(area / withData),
      box: [box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy].map((side) => rounded(side)),
      centroid: [rounded(xs / area * sx), rounded(ys / area * sy)],
      mean_probability: rounded(meanProbability(values, numbers, number)),
      outline: polygonsOf(components, width, number, box)
        .map((polygon) => polygon.map((ring) => ring.map(([x, y]) => [rounded(x * sx), rounded(y * sy)]))),
    };
  });
}

/** Boxes of components: left, top, right, bottom in pixels of the grid. */
export function boxesOf({ numbers, areas }, width) {
  const boxes = areas.map(() => [width, numbers.length / width, 0, 0]);
  for (let index = 0; index < numbers.length; index += 1) {
    if (!numbers[index]) continue;
    const box = boxes[numbers[index] - 1];
    const x = index % width;
    const y = (index - x) / width;
    if (x < box[0]) box[0] = x;
    if (y < box[1]) box[1] = y;
    if (x >= box[2]) box[2] = x + 1;
    if (y >= box[3]) box[3] = y + 1;
  }
  return boxes;
}

/** Polygons of a component, in pixels of the grid, cut to columns from `first` to before `last`. */
export function polygonsOf({ numbers }, width, number, [left, top, right, bottom], first = 0, last = width) {
  const [west, east] = [Math.max(left, first), Math.min(right, last)];
  const isInside = (x, y) => (
    x >= west && x < east && y >= top && y < bottom && numbers[y * width + x] === number
  );
  return tracePolygons(isInside, [west, top, east, bottom]);
}
