/** From a network's fields to the answer that the page shows, as `nephoscope.inference` makes it. */

import { degreesOf } from '../geography.js';
import { resizeField, resizeMask, resizePicture } from '../resize.js';
import { roundHalfEven, segmentPattern, STEPS } from '../rules.js';
import { PictureError } from './decode.js';
import { measure, warningsOf } from './input_check.js';
import { assumedDegrees, canvasSize, runTiled } from './tiles.js';

const MOST_FRAMES = 24; // network inputs that one picture may span; a file's name can claim the whole globe
const LEAST = 1e-6; // scores are kept this far from 0 and 1, whose logits are infinite

/**
 * A loaded model.
 * @typedef {object} LoadedModel
 * @property {object} card - as `nephoscope models NAME` prints it.
 * @property {(tile: Uint8Array) => Promise<{fields: Float32Array, presence: Float32Array | null}>} run
 */

/**
 * A picture's probabilities.
 * @typedef {object} Prediction
 * @property {number} width - of the rules' grid, in pixels.
 * @property {number} height
 * @property {Float32Array[]} probabilities - one field a pattern; 0 where there is no data.
 * @property {Uint8Array} valid - 1 where there is data.
 * @property {Float32Array | null} heads - of the network's presence head.
 * @property {string[]} warnings
 * @property {{width: number, height: number} | null} assumed - degrees, where they are not known.
 */

/**
 * Run a model on a picture.
 * @param {LoadedModel} model
 * @param {{width: number, height: number, read: (least: object) => import('./decode.js').Raster}} picture
 * @param {import('../geography.js').Bounds | null} bounds
 * @param {number | null} extent - degrees from west to east, as stated for a picture of unknown bounds.
 * @returns {Promise<Prediction>}
 */
export async function predict({ card, run }, picture, bounds, extent) {
  const size = { width: picture.width, height: picture.height };
  const frame = { width: card.input_size[1], height: card.input_size[0] };
  const stated = extent && { width: extent, height: extent * size.height / size.width };
  const degrees = bounds ? degreesOf(bounds) : stated;
  const canvas = canvasSize(size, degrees, frame);
  const frames = canvas.width * canvas.height / (frame.width * frame.height);
  if (frames > MOST_FRAMES) {
    throw new PictureError(`the picture spans ${Math.round(frames)} frames of the network; the limit is ${MOST_FRAMES}; `
      + 'the command nephoscope segment has none');
  }
  const raster = picture.read({ width: 2 * canvas.width, height: 2 * canvas.height });
  const pixels = resizePicture(raster.pixels, raster, canvas);
  const { fields, presence } = await runTiled(pixels, canvas, frame, run);
  const grid = {
    width: gridSide(canvas.width, card.grid[1], frame.width),
    height: gridSide(canvas.height, card.grid[0], frame.height),
  };
  const valid = resizeMask(raster.valid, raster, grid);
  const probabilities = fields.map((field) => {
    const resized = resizeField(field, canvas, grid);
    return resized.map((value, index) => (valid[index] ? value : 0));
  });
  const assumed = degrees ? null : assumedDegrees(size, frame);
  const measures = measure(pixels, resizeMask(raster.valid, raster, canvas), canvas);
  const warnings = warningsOf(valid.includes(1) ? measures : {}, card, assumed);
  return { ...grid, probabilities, valid, heads: presence, warnings, assumed };
}

function gridSide(side, fine, whole) {
  return Math.max(1, roundHalfEven(side * fine / whole));
}

/**
 * Describe a picture's patterns as `nephoscope segment` does in JSON, without its regions.
 * @param {object} card - the model's.
 * @param {Prediction} prediction
 * @param {Uint8Array[]} values - its probabilities, quantized.
 * @param {{scene: string, width: number, height: number, satellite: string | null, date: string | null,
 *   bounds: object | null}} picture
 * @returns {object}
 */
export function describe(card, prediction, values, picture) {
  const { probabilities, valid, heads, width, height } = prediction;
  const withData = valid.reduce((sum, each) => sum + each, 0);
  const patterns = card.patterns.map((name, index) => {
    const head = heads ? heads[index] : null;
    const score = evidence(probabilities[index], card.rules[name], head);
    const { areas } = segmentPattern(values[index], width, height, card.rules[name], score);
    const area = areas.reduce((sum, each) => sum + each, 0);
    const calibration = card.calibration?.[name];
    const probability = calibration
      ? platt(evidence(probabilities[index], calibration, head), calibration.presence)
      : null;
    return [name, {
      present: area > 0,
      score,
      cover: rounded(area / Math.max(1, withData)),
      probability: probability === null ? null : rounded(probability),
    }];
  });
  return {
    ...picture,
    projection: null,
    assumed_extent: prediction.assumed && { width: prediction.assumed.width, height: prediction.assumed.height },
    valid: rounded(withData / valid.length),
    warnings: prediction.warnings,
    patterns: Object.fromEntries(patterns),
    model: card.name,
    rules: card.rules,
    tta: false,
  };
}

/**
 * Quantize probabilities to whole steps of 1/200, rounded up.
 * @param {Float32Array} probabilities
 * @returns {Uint8Array}
 */
export function quantize(probabilities) {
  return Uint8Array.from(probabilities, (probability) => {
    let whole = Math.min(Math.ceil(Math.fround(probability * STEPS)), STEPS);
    // The rounded product may be on the other side of a threshold.
    if (whole > 0 && probability <= Math.fround((whole - 1) / STEPS)) whole -= 1;
    if (whole < STEPS && probability > Math.fround(whole / STEPS)) whole += 1;
    return whole;
  });
}

/** A pattern's presence score: the mean of the highest probabilities, the presence head's, or their product. */
function evidence(field, rule, head) {
  if (rule.evidence === 'head') return head;
  const sorted = field.slice().sort();
  let sum = 0;
  for (let index = Math.max(0, sorted.length - rule.top_k); index < sorted.length; index += 1) sum += sorted[index];
  const score = sum / rule.top_k;
  return rule.evidence === 'product' ? head * score : score;
}

function platt(score, { slope, intercept }) {
  const inner = Math.min(1 - LEAST, Math.max(LEAST, score));
  return 1 / (1 + Math.exp(-(slope * (Math.log(inner) - Math.log1p(-inner)) + intercept)));
}

function rounded(value) {
  return Math.round(value * 1e4) / 1e4;
}
