/** Runs a network of one input size over a picture of any size, as `nephoscope.inference.tiling` does. */

import { roundHalfEven } from '../rules.js';

const FRAME = { height: 14, width: 21 }; // degrees of the pictures that the labels were drawn on
const SLACK = 0.02; // relative; sides this near to the frame's are stretched to it
const LONGEST = 1.5; // times the frame's aspect; a picture further from it is tiled along its longer side
const OVERLAP = 0.25; // of a tile, at least

/** @typedef {{width: number, height: number}} Size */

/**
 * The size of a picture at the network's scale.
 * @param {Size} size - of the picture in pixels.
 * @param {Size | null} degrees - that it spans; null where unknown.
 * @param {Size} frame - of the network's input.
 * @returns {Size}
 */
export function canvasSize(size, degrees, frame) {
  let scaled;
  if (degrees) {
    scaled = { height: degrees.height * frame.height / FRAME.height, width: degrees.width * frame.width / FRAME.width };
  } else {
    const [down, across] = [frame.height / size.height, frame.width / size.width];
    const longest = Math.max(down, across) / Math.min(down, across) > LONGEST;
    const scale = longest ? Math.max(down, across) : Math.min(down, across);
    scaled = { height: size.height * scale, width: size.width * scale };
  }
  const whole = (side) => (
    Math.abs(scaled[side] / frame[side] - 1) <= SLACK ? frame[side] : Math.max(1, roundHalfEven(scaled[side]))
  );
  return { height: whole('height'), width: whole('width') };
}

/**
 * Degrees that a picture of unknown extent is taken to span.
 * @param {Size} size
 * @param {Size} frame
 * @returns {Size}
 */
export function assumedDegrees(size, frame) {
  const canvas = canvasSize(size, null, frame);
  return {
    height: canvas.height / frame.height * FRAME.height,
    width: canvas.width / frame.width * FRAME.width,
  };
}

/**
 * Run a network over a canvas.
 * @param {Uint8Array} canvas - red, green, blue.
 * @param {Size} size - of the canvas.
 * @param {Size} frame - of the network's input.
 * @param {(tile: Uint8Array) => Promise<{fields: Float32Array, presence: Float32Array | null}>} network - takes
 *   one frame; returns the fields of all patterns, one after the other.
 * @returns {Promise<{fields: Float32Array[], presence: Float32Array | null}>} fields of the canvas's size; the
 *   presence is the tiles' highest.
 */
export async function runTiled(canvas, size, frame, network) {
  const tileSize = frame.width * frame.height;
  if (size.width === frame.width && size.height === frame.height) {
    const { fields, presence } = await network(canvas);
    return { fields: split(fields, tileSize), presence };
  }
  const [down, across] = [line(size.height, frame.height), line(size.width, frame.width)];
  let sums = null;
  let highest = null;
  for (const rows of down.spans) {
    for (const columns of across.spans) {
      const { fields, presence } = await network(cut(canvas, size, frame, rows, columns));
      const parts = split(fields, tileSize);
      sums ??= parts.map(() => new Float32Array(size.width * size.height));
      highest = presence && Float32Array.from(presence, (value, index) => Math.max(value, highest?.[index] ?? 0));
      for (let y = 0; y < rows.length; y += 1) {
        for (let x = 0; x < columns.length; x += 1) {
          const weight = down.weight[rows.inner + y] * across.weight[columns.inner + x];
          const to = (rows.start + y) * size.width + columns.start + x;
          const from = (rows.inner + y) * frame.width + columns.inner + x;
          for (let index = 0; index < parts.length; index += 1) sums[index][to] += parts[index][from] * weight;
        }
      }
    }
  }
  for (const field of sums) {
    for (let y = 0, at = 0; y < size.height; y += 1) {
      for (let x = 0; x < size.width; x += 1, at += 1) field[at] /= down.weights[y] * across.weights[x];
    }
  }
  return { fields: sums, presence: highest };
}

function split(fields, size) {
  return Array.from({ length: fields.length / size }, (_, index) => fields.subarray(index * size, (index + 1) * size));
}

/** One tile of the canvas; a smaller canvas gets a black margin, as for no data. */
function cut(canvas, size, frame, rows, columns) {
  const tile = new Uint8Array(frame.width * frame.height * 3);
  for (let y = 0; y < rows.length; y += 1) {
    const from = ((rows.start + y) * size.width + columns.start) * 3;
    tile.set(canvas.subarray(from, from + columns.length * 3), ((rows.inner + y) * frame.width + columns.inner) * 3);
  }
  return tile;
}

/** Positions and weights of tiles along one side of a canvas. */
function line(length, tile) {
  const inner = Math.floor(Math.max(0, tile - length) / 2);
  const weight = Float32Array.from({ length: tile }, (_, index) => (
    1 - Math.abs(index + 0.5 - tile / 2) / (tile / 2) + 1e-3
  ));
  const weights = new Float32Array(length);
  const spans = starts(Math.max(length, tile), tile).map((start) => {
    const span = { start, length: Math.min(tile, length - start), inner };
    for (let index = 0; index < span.length; index += 1) weights[start + index] += weight[inner + index];
    return span;
  });
  return { weight, weights, spans };
}

/** Starts of tiles that cover a line, evenly spaced, overlapping by at least a quarter. */
function starts(length, tile) {
  if (length === tile) return [0];
  const count = Math.ceil((length - tile) / (tile * (1 - OVERLAP))) + 1;
  return Array.from({ length: count }, (_, index) => roundHalfEven(index * (length - tile) / (count - 1)));
}
