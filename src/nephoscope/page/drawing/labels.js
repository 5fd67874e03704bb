/** The labels of one picture: what is drawn, its history, and whether the user is done with it. */

import { describeRegions } from '../regions.js';
import { segmentPattern, STEPS } from '../rules.js';
import { History } from './history.js';
import { COARSE, GRID, LabelMask, scaledSpans } from './label_mask.js';

const DRAWN = { threshold: 0.5, presence: 0, least_cover: 0, minimum_area: 0 };

/** @typedef {import('../regions.js').Region} Region */
/** @typedef {import('./label_mask.js').Span} Span */

export class Labels {
  /** Regions of each pattern on the coarse grid; null where they must be listed anew. @type {(Region[] | null)[]} */
  #regions = [];
  #numbers = [];

  /**
   * @param {string[]} patterns - names, in the order of the mask's bits.
   * @param {Uint8Array} [bits]
   */
  constructor(patterns, bits) {
    this.patterns = patterns;
    this.mask = new LabelMask(bits);
    this.history = new History();
    /** whether the user is done with the picture */
    this.isAccepted = false;
    /** grows with every edit */
    this.version = 0;
    this.#regions = patterns.map(() => null);
  }

  /** @param {import('../files/result.js').Result} result - where the drawing starts. @returns {Labels} */
  static from(result) {
    const labels = new Labels(result.patterns.map(({ name }) => name));
    labels.#drawAll(result);
    return labels;
  }

  /**
   * @param {string[]} patterns
   * @param {Object<string, string>} texts - run lengths by pattern.
   * @returns {Labels} that were saved, and so are accepted.
   */
  static saved(patterns, texts) {
    const labels = new Labels(patterns);
    patterns.forEach((name, pattern) => labels.mask.addRuns(pattern, texts[name] ?? ''));
    labels.isAccepted = true;
    return labels;
  }

  /** Draw a pattern, or erase it. @param {number} pattern @param {Span[]} spans @param {boolean} on */
  draw(pattern, spans, on) {
    this.#note([this.mask.set(pattern, spans, on)]);
  }

  /** Delete a region. @param {{pattern: number, pixel: {x: number, y: number}}} region - by any of its pixels. */
  remove({ pattern, pixel }) {
    this.draw(pattern, this.mask.component(pattern, pixel), false);
  }

  /** Give a region to another pattern. */
  rename({ pattern, pixel }, other) {
    const spans = this.mask.component(pattern, pixel);
    this.#note([this.mask.set(pattern, spans, false), this.mask.set(other, spans, true)]);
  }

  /**
   * Move a region by whole pixels of the label grid, as far as it stays in the picture.
   * @param {{pattern: number, pixel: {x: number, y: number}}} region - by any of its pixels.
   * @param {{x: number, y: number}} by
   * @returns {{x: number, y: number}} by how many it was moved.
   */
  move({ pattern, pixel }, by) {
    const spans = this.mask.component(pattern, pixel);
    const edges = { left: GRID.width, right: 0, top: GRID.height, bottom: 0 };
    for (const [row, from, to] of spans) {
      edges.left = Math.min(edges.left, from);
      edges.right = Math.max(edges.right, to);
      edges.top = Math.min(edges.top, row);
      edges.bottom = Math.max(edges.bottom, row + 1);
    }
    const x = Math.max(-edges.left, Math.min(GRID.width - edges.right, by.x));
    const y = Math.max(-edges.top, Math.min(GRID.height - edges.bottom, by.y));
    const moved = spans.map(([row, from, to]) => [row + y, from + x, to + x]);
    this.#note([this.mask.set(pattern, spans, false), this.mask.set(pattern, moved, true)]);
    return { x, y };
  }

  /**
   * Take the regions of the model at a pixel.
   * @param {import('../files/result.js').Result} result
   * @param {number} place - index of the pixel, row by row on the result's grid.
   */
  accept({ patterns, width, height }, place) {
    this.#note(patterns.flatMap(({ components: { numbers } }, pattern) => {
      const number = numbers[place];
      if (!number) return [];
      return [this.mask.set(pattern, scaledSpans((index) => numbers[index] === number, { width, height }), true)];
    }));
  }

  /** Begin again with what the model draws. @param {import('../files/result.js').Result} result */
  restart(result) {
    this.#note([...this.#eraseAll(), ...this.#drawAll(result)]);
  }

  clear() {
    this.#note(this.#eraseAll());
  }

  undo() {
    this.#changed(this.history.undo(this.mask));
  }

  redo() {
    this.#changed(this.history.redo(this.mask));
  }

  /** @returns {Region[][]} by pattern, the largest first; in pixels of the coarse grid, without a probability. */
  get regions() {
    this.#regions.forEach((listed, pattern) => {
      if (listed) return;
      const values = this.mask.coarse(pattern).map((on) => on * STEPS);
      const components = segmentPattern(values, COARSE.width, COARSE.height, DRAWN, 1);
      const grid = { ...COARSE, withData: values.length, limit: STEPS / 2, bounds: null };
      this.#numbers[pattern] = components.numbers;
      this.#regions[pattern] = describeRegions(this.patterns[pattern], components, values, grid)
        .map((region) => ({ ...region, probability: null }));
    });
    return this.#regions;
  }

  /** @param {{x: number, y: number}} pixel - of the coarse grid. @returns {Region[]} that contain it. */
  regionsAt({ x, y }) {
    return this.regions.flatMap((listed, pattern) => {
      const number = this.#numbers[pattern][y * COARSE.width + x];
      return number ? [listed[number - 1]] : [];
    });
  }

  /** @returns {Object<string, string>} run lengths by pattern, of those that are drawn. */
  get texts() {
    const texts = this.patterns.map((name, pattern) => [name, this.mask.runLengths(pattern)]);
    return Object.fromEntries(texts.filter(([, text]) => text));
  }

  #eraseAll() {
    const everything = Array.from({ length: GRID.height }, (_, row) => [row, 0, GRID.width]);
    return this.patterns.map((_, pattern) => this.mask.set(pattern, everything, false));
  }

  #drawAll({ patterns, width, height }) {
    return patterns.map(({ components: { numbers } }, pattern) => (
      this.mask.set(pattern, scaledSpans((index) => numbers[index] > 0, { width, height }), true)
    ));
  }

  #note(edit) {
    const changes = edit.filter(({ runs }) => runs.length);
    if (!changes.length) return;
    this.history.add(changes);
    this.#changed(changes);
  }

  #changed(edit) {
    if (edit.length) {
      this.isAccepted = false;
      this.version += 1;
    }
    for (const { pattern } of edit) this.#regions[pattern] = null;
  }
}
