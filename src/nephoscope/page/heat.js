/** Probabilities of one pattern as a picture: the more likely, the more of its colour. */

import { rgbOf } from './element.js';
import { STEPS } from './rules.js';

const STRONGEST = 0.85; // opacity of probability 1

/**
 * @param {Uint8Array} values - probabilities in steps of 1/200, row by row.
 * @param {number} width - of the grid, in pixels.
 * @param {number} height
 * @param {string} colour - such as `#d55e00`.
 * @returns {OffscreenCanvas} of the grid's size.
 */
export function heatMap(values, width, height, colour) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext('2d');
  const image = pen.createImageData(width, height);
  const [red, green, blue] = rgbOf(colour);
  for (let index = 0; index < values.length; index += 1) {
    image.data.set([red, green, blue, 255 * STRONGEST * values[index] / STEPS], index * 4);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}
