/** What is drawn on one picture: a mask a pattern, on the grid of the contest's labels. */

import { runLengths } from '../files/run_lengths.js';

export const GRID = { width: 2100, height: 1400 };

/** The grid on which regions are listed and outlined: every fourth pixel of the other. */
export const COARSE = { width: 525, height: 350 };

const STEP = GRID.width / COARSE.width;
const SAMPLED = STEP >> 1; // the pixel of a coarse pixel that stands for it

/** The coarse grid's pixel around one of the label grid. @param {{x: number, y: number}} pixel */
export function coarsened({ x, y }) {
  return { x: Math.floor(x / STEP), y: Math.floor(y / STEP) };
}

/** The pixel of the label grid that stands for one of the coarse grid. @param {{x: number, y: number}} pixel */
export function sampled({ x, y }) {
  return { x: x * STEP + SAMPLED, y: y * STEP + SAMPLED };
}

/**
 * A row's pixels from one column up to another, which is not among them: `[row, from, to]`.
 * @typedef {[number, number, number]} Span
 *
 * Pixels whose value in one pattern's mask changes.
 * @typedef {object} Flips
 * @property {number} pattern - its index.
 * @property {number[]} runs - first place and length of each run, row by row.
 */

export class LabelMask {
  /** @param {Uint8Array} [bits] - a byte a pixel, row by row; bit 0 for the first pattern. */
  constructor(bits = new Uint8Array(GRID.width * GRID.height)) {
    this.bits = bits;
  }

  /**
   * Set or clear pixels of a pattern.
   * @param {number} pattern
   * @param {Iterable<Span>} spans - what is outside the grid is left out.
   * @param {boolean} on
   * @returns {Flips} what changed.
   */
  set(pattern, spans, on) {
    const bit = 1 << pattern;
    const wanted = on ? 0 : bit; // the value of a pixel that changes
    const runs = [];
    for (const [row, from, to] of spans) {
      if (row < 0 || row >= GRID.height) continue;
      const end = row * GRID.width + Math.min(GRID.width, to);
      for (let place = row * GRID.width + Math.max(0, from); place < end; place += 1) {
        if ((this.bits[place] & bit) !== wanted) continue;
        const first = place;
        while (place < end && (this.bits[place] & bit) === wanted) {
          this.bits[place] ^= bit;
          place += 1;
        }
        runs.push(first, place - first);
      }
    }
    return { pattern, runs };
  }

  /** Change pixels, or change them back. @param {Flips} flips */
  flip({ pattern, runs }) {
    const bit = 1 << pattern;
    for (let index = 0; index < runs.length; index += 2) {
      const end = runs[index] + runs[index + 1];
      for (let place = runs[index]; place < end; place += 1) this.bits[place] ^= bit;
    }
  }

  /** Draw run lengths, as `runLengths` returns them. @param {number} pattern @param {string} text */
  addRuns(pattern, text) {
    const bit = 1 << pattern;
    const numbers = text.split(' ').map(Number);
    for (let index = 0; index + 1 < numbers.length; index += 2) {
      for (let count = numbers[index] - 1; count < numbers[index] - 1 + numbers[index + 1]; count += 1) {
        this.bits[count % GRID.height * GRID.width + Math.floor(count / GRID.height)] |= bit;
      }
    }
  }

  /** @param {number} pattern @returns {Uint8Array} its mask on the coarse grid, 1 inside. */
  coarse(pattern) {
    const mask = new Uint8Array(COARSE.width * COARSE.height);
    for (let y = 0, index = 0; y < COARSE.height; y += 1) {
      let place = (y * STEP + SAMPLED) * GRID.width + SAMPLED; // as `sampled`
      for (let x = 0; x < COARSE.width; x += 1, index += 1, place += STEP) mask[index] = this.bits[place] >> pattern & 1;
    }
    return mask;
  }

  /**
   * The connected pixels of a pattern around one of them; diagonal neighbours connect.
   * @param {number} pattern
   * @param {{x: number, y: number}} pixel - of the label grid.
   * @returns {Span[]} none where the pattern is not drawn.
   */
  component(pattern, { x, y }) {
    const bit = 1 << pattern;
    const { width, height } = GRID;
    const taken = new Uint8Array(this.bits.length);
    const isFree = (place) => (this.bits[place] & bit) && !taken[place];
    const spans = [];
    const seeds = [y * width + x];
    while (seeds.length) {
      const seed = seeds.pop();
      if (!isFree(seed)) continue;
      const row = Math.floor(seed / width);
      let [from, to] = [seed, seed + 1];
      while (from > row * width && isFree(from - 1)) from -= 1;
      while (to < (row + 1) * width && isFree(to)) to += 1;
      taken.fill(1, from, to);
      spans.push([row, from - row * width, to - row * width]);
      for (const other of [row - 1, row + 1]) {
        if (other < 0 || other >= height) continue;
        const shift = (other - row) * width;
        const end = Math.min(to + shift, (other + 1) * width - 1);
        for (let place = Math.max(from + shift - 1, other * width); place <= end; place += 1) {
          if (isFree(place) && !(place > from + shift - 1 && isFree(place - 1))) seeds.push(place);
        }
      }
    }
    return spans;
  }

  /**
   * Run lengths of a pattern's mask as in `train.csv`: pixels are counted from 1, column by column.
   * @param {number} pattern
   * @returns {string} empty where nothing is drawn.
   */
  runLengths(pattern) {
    return runLengths(this.bits, GRID, 1 << pattern);
  }
}

/**
 * Spans of pixels of a grid of any size, scaled to the label grid: each pixel takes the value of its centre.
 * @param {(index: number) => boolean} isOn - by the pixel's index, row by row.
 * @param {{width: number, height: number}} size
 * @returns {Span[]}
 */
export function scaledSpans(isOn, { width, height }) {
  const columns = Int32Array.from({ length: width + 1 }, (_, x) => Math.ceil(x * GRID.width / width - 0.5));
  const spans = [];
  for (let row = 0; row < GRID.height; row += 1) {
    const start = Math.floor((row + 0.5) * height / GRID.height) * width;
    for (let x = 0; x < width; x += 1) {
      if (!isOn(start + x)) continue;
      const first = x;
      while (x < width && isOn(start + x)) x += 1;
      spans.push([row, columns[first], columns[x]]);
    }
  }
  return spans;
}
