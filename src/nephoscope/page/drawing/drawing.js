/** Drawing on the picture: tools, patterns, selection, keys. The labels themselves are in `labels.js`. */

import { keepLabels } from '../session.js';
import { COARSE, coarsened, GRID, sampled } from './label_mask.js';
import { Labels } from './labels.js';
import { Pen } from './pen.js';
import { Toolbar, TOOLS } from './toolbar.js';

const STEP = 12; // px that an arrow key moves the cursor; one with Shift
const MOVED = 3; // px from which on a selected region is moved
const WIDTH = { step: 20, least: 10, most: 400 }; // of the brush, in pixels of the label grid
const KEPT_AFTER = 400; // ms after an edit

const $ = (id) => document.getElementById(id);

/** @typedef {import('../pictures.js').Picture} Picture */
/** @typedef {import('../regions.js').Region} Region */

export class Drawing {
  /** @type {import('../gestures.js').Hand} */
  hand = {
    down: (at) => this.#down(at),
    move: (at) => this.#move(at),
    up: (at) => this.#up(at),
    cancel: () => this.#cancel(),
    hover: (at) => this.#hover(at),
    key: (event) => this.#key(event),
  };

  #isOn = false;
  /** @type {Picture | null} */
  #picture = null;
  #patterns = [];
  #pattern = 0;
  /** A region by its pattern and one of its pixels, of the label grid. @type {{pattern: number, pixel: {x: number, y: number}} | null} */
  #selected = null;
  /** Where the drag of a selected region began. */
  #dragged = null;
  /** In px from the stage's corner; null until a key moves it. */
  #cursor = null;
  /** Timers after which labels are kept, by picture. */
  #resting = new WeakMap();

  /**
   * @param {import('../view.js').View} view
   * @param {{result: (picture: Picture) => import('../files/result.js').Result, guides: () => object[],
   *   toggled: () => void, changed: () => void, accept: () => void, turn: (step: number) => void}} handlers - what
   *   the model draws, and its regions as layers; for a change of the mode, for an edit of a picture that was done,
   *   for one that is done now, and for the next or previous picture.
   */
  constructor(view, handlers) {
    this.view = view;
    this.handlers = handlers;
    this.pen = new Pen($('ink'), view, (spans, on) => this.#edit(() => this.labels.draw(this.#pattern, spans, on)));
    this.toolbar = new Toolbar(view, this.pen, {
      tool: (tool) => this.#choose(tool),
      pattern: (index) => this.#choosePattern(index),
      width: (width) => this.#setWidth(width),
      undo: () => this.#edit(() => this.labels.undo()),
      redo: () => this.#edit(() => this.labels.redo()),
      remove: () => this.#remove(),
    });
    $('restart').addEventListener('click', () => this.#edit(() => this.labels.restart(handlers.result(this.#picture))));
    $('clear-labels').addEventListener('click', () => this.#edit(() => this.labels.clear()));
    view.whenMoved(() => this.#showCursor());
    this.#choose('rectangle');
  }

  /** Whether one wants to draw. */
  get isWanted() {
    return this.#isOn;
  }

  /** Whether one is drawing, on a picture that has an answer. */
  get isOn() {
    return this.#isOn && Boolean(this.labels && this.#picture.answer);
  }

  /** @returns {Labels | null} of the current picture. */
  get labels() {
    return this.#picture?.labels ?? null;
  }

  /** @param {import('../panel.js').Pattern[]} patterns - of the model. */
  begin(patterns) {
    this.#patterns = patterns;
    this.toolbar.offer(patterns);
    this.#choosePattern(0);
  }

  /** @param {Picture | null} picture - the current one. */
  show(picture) {
    if (picture !== this.#picture) {
      this.#cancel();
      this.#selected = null;
      this.#picture = picture;
    }
    if (this.#isOn && picture?.answer && !this.#fits(picture.labels)) this.#begin(picture);
    this.#draw();
  }

  /** Begin or end drawing. */
  toggle() {
    const on = !this.#isOn;
    this.#isOn = on;
    this.#cursor = null;
    $('draw').setAttribute('aria-pressed', String(on));
    document.body.classList.toggle('labelling', on);
    $('viewer').classList.toggle('drawing', on);
    for (const id of ['drawing', 'labels']) $(id).hidden = !on;
    this.handlers.toggled();
    this.#showCursor();
    if (on) $('viewer').focus({ preventScroll: true });
  }

  /** @param {{x: number, y: number}} pixel - of the coarse grid. @returns {Region[]} that the pointer shows there. */
  regionsAt(pixel) {
    return this.pen.tool === 'select' ? this.labels.regionsAt(pixel) : [];
  }

  /** Labels may be of a model with other patterns. */
  #fits(labels) {
    return labels && keyOf(labels.patterns) === keyOf(this.#patterns.map(({ name }) => name));
  }

  /** Give a picture labels of the model's patterns; those of another model's are put aside. */
  #begin(picture) {
    if (picture.labels) picture.otherLabels.set(keyOf(picture.labels.patterns), picture.labels);
    const earlier = picture.otherLabels.get(keyOf(this.#patterns.map(({ name }) => name)));
    picture.labels = earlier ?? Labels.from(this.handlers.result(picture));
  }

  /* Pointers. */

  #down(at) {
    if (!this.isOn) return false;
    if (this.pen.tool === 'select') {
      this.#select(this.#regionUnder(at));
      this.#dragged = this.#selected && { from: at, to: at };
      return Boolean(this.#dragged);
    }
    this.#selected = null;
    this.pen.down(at);
    return true;
  }

  #move(at) {
    this.#showBrush(at);
    if (this.#dragged) this.#dragged.to = at;
    else this.pen.move(at);
  }

  #up(at) {
    if (!this.#dragged) {
      this.pen.up(at);
      return;
    }
    const { from } = this.#dragged;
    this.#dragged = null;
    // What was dragged may have been deleted meanwhile, by a key.
    if (!this.#selected || Math.hypot(at.x - from.x, at.y - from.y) < MOVED) return;
    const { sx, sy } = this.view.placeOf(GRID);
    this.#moveSelected({ x: Math.round((at.x - from.x) / sx), y: Math.round((at.y - from.y) / sy) });
  }

  #cancel() {
    this.#dragged = null;
    this.pen.cancel();
  }

  #hover(at) {
    this.#cursor = null;
    this.#showBrush(this.isOn ? at : null);
  }

  /* The selected region. */

  #regionUnder(at) {
    const { x, y } = this.view.pointOn(COARSE, at);
    const pixel = { x: Math.floor(x), y: Math.floor(y) };
    const isInside = pixel.x >= 0 && pixel.y >= 0 && pixel.x < COARSE.width && pixel.y < COARSE.height;
    return isInside ? this.labels.regionsAt(pixel).at(-1) ?? null : null;
  }

  #select(region) {
    this.#selected = region && {
      pattern: this.labels.patterns.indexOf(region.pattern),
      pixel: sampled({ x: Math.floor(region.middle.x), y: Math.floor(region.middle.y) }),
    };
    if (region) this.#choosePattern(this.#selected.pattern);
    this.#mark();
  }

  /** Select the next region, or the one before. */
  #selectNext(step) {
    const all = this.labels.regions.flat();
    if (!all.length) return;
    const now = all.indexOf(this.#selectedRegion());
    this.#select(all[(now + step + all.length) % all.length]);
  }

  #selectedRegion() {
    if (!this.#selected) return null;
    const name = this.labels.patterns[this.#selected.pattern];
    return this.labels.regionsAt(coarsened(this.#selected.pixel)).find(({ pattern }) => pattern === name) ?? null;
  }

  #remove() {
    if (this.#selected) this.#edit(() => this.labels.remove(this.#selected));
  }

  /** @param {{x: number, y: number}} by - pixels of the label grid. */
  #moveSelected(by) {
    const { pattern, pixel } = this.#selected;
    let moved = { x: 0, y: 0 };
    this.#edit(() => { moved = this.labels.move({ pattern, pixel }, by); });
    this.#selected = { pattern, pixel: { x: pixel.x + moved.x, y: pixel.y + moved.y } };
    this.#mark();
  }

  #mark() {
    const region = this.isOn ? this.#selectedRegion() : null;
    if (!region) this.#selected = null;
    this.view.select(region);
    if (this.labels) this.toolbar.showEdits(this.labels.history, Boolean(region));
  }

  /** Take the model's region under the cursor or pointer into the labels. @param {{x: number, y: number}} at */
  #acceptModel(at) {
    const { width, height } = this.#picture.answer;
    const { x, y } = this.view.pointOn({ width, height }, at);
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const place = Math.floor(y) * width + Math.floor(x);
    this.#edit(() => this.labels.accept(this.handlers.result(this.#picture), place));
  }

  /* Keys. */

  #key(event) {
    if (!this.isOn) return false;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      const redo = key === 'y' || (key === 'z' && event.shiftKey);
      if (key !== 'z' && key !== 'y') return false;
      this.#edit(() => (redo ? this.labels.redo() : this.labels.undo()));
      return true;
    }
    if (event.altKey) return false;
    const tool = Object.keys(TOOLS).find((name) => TOOLS[name].key === key);
    const number = Number(key);
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (tool) this.#choose(tool);
    else if (number >= 1 && number <= this.#patterns.length) this.#rename(number - 1);
    else if (move) this.#moveCursor(move, event.shiftKey ? 1 : STEP);
    else if (!(key in this.#keys)) return false;
    else this.#keys[key]();
    return true;
  }

  #keys = {
    ' ': () => this.#press(),
    a: () => this.#acceptModel(this.#cursor ?? this.#pointer ?? this.#middle),
    Delete: () => this.#remove(),
    Backspace: () => this.#remove(),
    Escape: () => {
      this.#cancel();
      this.#select(null);
    },
    u: () => this.#edit(() => this.labels.undo()),
    '[': () => this.#setWidth(this.pen.width - WIDTH.step),
    ']': () => this.#setWidth(this.pen.width + WIDTH.step),
    ',': () => this.#selectNext(-1),
    '.': () => this.#selectNext(1),
    Enter: () => this.handlers.accept(),
    n: () => this.handlers.turn(1),
    p: () => this.handlers.turn(-1),
  };

  /** Where the mouse is. */
  #pointer = null;

  get #middle() {
    return { x: this.view.width / 2, y: this.view.height / 2 };
  }

  /** A number chooses the pattern, and gives the selected region to it. */
  #rename(index) {
    const selected = this.#selected;
    if (selected && selected.pattern !== index) {
      this.#edit(() => this.labels.rename(selected, index));
      this.#selected = { pattern: index, pixel: selected.pixel };
    }
    this.#choosePattern(index);
    this.#mark();
  }

  /** Press what stands for the button of a mouse, or let it go. */
  #press() {
    this.#cursor ??= this.#middle;
    if (this.pen.tool === 'select') this.#select(this.#regionUnder(this.#cursor));
    else if (this.pen.isDown) this.pen.up(this.#cursor);
    else this.pen.down(this.#cursor);
    this.#showCursor();
  }

  #moveCursor([x, y], step) {
    if (this.pen.tool === 'select' && this.#selected) {
      const { sx, sy } = this.view.placeOf(GRID);
      this.#moveSelected({ x: Math.round(x * step / sx) || x, y: Math.round(y * step / sy) || y });
      return;
    }
    const { x: left, y: top } = this.#cursor ?? this.#middle;
    this.#cursor = {
      x: Math.min(this.view.width, Math.max(0, left + x * step)),
      y: Math.min(this.view.height, Math.max(0, top + y * step)),
    };
    this.pen.move(this.#cursor);
    this.#showCursor();
  }

  /* What is shown. */

  #choose(tool) {
    this.#cancel();
    this.pen.tool = tool;
    this.toolbar.showChosen(this.#pattern);
    if (tool !== 'select' && this.labels) this.#select(null);
    this.#showCursor();
  }

  #choosePattern(index) {
    this.#pattern = index;
    this.pen.colour = this.#patterns[index].colour;
    this.toolbar.showChosen(this.#pattern);
  }

  #setWidth(width) {
    this.pen.width = Math.min(WIDTH.most, Math.max(WIDTH.least, width));
    this.toolbar.showChosen(this.#pattern);
    this.#showCursor();
  }

  #edit(work) {
    if (!this.isOn) return;
    const before = this.labels.isAccepted;
    work();
    $('tip').hidden = true; // of a region that may be another now
    this.#draw();
    const picture = this.#picture;
    clearTimeout(this.#resting.get(picture));
    this.#resting.set(picture, setTimeout(() => keepLabels(picture.number, picture.labels), KEPT_AFTER));
    if (before !== this.labels.isAccepted) this.handlers.changed();
  }

  #draw() {
    if (!this.isOn) {
      this.view.showGuides(null, []);
      this.view.select(null);
      return;
    }
    const { width, height, nodata } = this.#picture.answer;
    const layers = this.labels.regions.map((regions, index) => ({ ...this.#patterns[index], regions }));
    const hasSameGrid = width === COARSE.width && height === COARSE.height;
    this.view.showGuides({ width, height }, this.handlers.guides());
    this.view.showLayers({ ...COARSE, nodata: hasSameGrid ? nodata : null }, layers, Number($('opacity').value) / 100);
    this.#mark();
  }

  #showBrush(at) {
    this.#pointer = at;
    if (!this.#cursor) this.toolbar.showCursor(this.toolbar.isBrush ? at : null);
  }

  #showCursor() {
    this.toolbar.showCursor(this.isOn ? this.#cursor : null);
  }
}

function keyOf(patterns) {
  return patterns.join('\n');
}
