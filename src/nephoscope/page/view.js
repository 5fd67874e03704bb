/**
 * Draws the picture and the regions at any zoom. There are two canvases, so that moving a slider redraws the
 * outlines only.
 */

import { drawGraticule } from './graticule.js';

const PAPER = '#181c24'; // under outlines and names, as in the overlay that the server draws
const NO_DATA = '#6b7482';
const LIGHT = '#ffffff';
const MARGIN = 16; // px around a picture that is not zoomed; none where the stage is as narrow as a phone
const NARROW = 600; // px
const LARGEST = 40; // times as large as fitted
const CRISP = 3; // screen pixels a pixel of the picture, from which on it is shown as a square
const HATCH = 9; // px between lines where there is no data
const NAMED = 10; // px; narrower than twice this, a region has no label
const SHIFTS = [0, 22, -22, 44, -44, 66, -66]; // px; offsets of a label that would overlap another

/**
 * The regions of one pattern.
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} colour
 * @property {import('./regions.js').Region[]} regions
 */

export class View {
  #size = { width: 3, height: 2 };
  #grid = { width: 3, height: 2, nodata: null };
  #bitmap = null;
  #layers = [];
  #opacity = 0;
  /** Regions that are outlined by dashes, and their grid. */
  #guides = { grid: null, layers: [] };
  /** A picture of probabilities in place of filled regions. */
  #heat = null;
  /** Of the graticule; null for none. */
  #bounds = null;
  #marked = new Set();
  #selected = null;
  #zoom = 1;
  #centre = { x: 1.5, y: 1 };

  /**
   * @param {HTMLCanvasElement} picture - the canvas below.
   * @param {HTMLCanvasElement} marks - the canvas above, of the same size.
   */
  constructor(picture, marks) {
    this.below = picture.getContext('2d', { alpha: true });
    this.above = marks.getContext('2d');
    this.listeners = [];
    new ResizeObserver(() => this.#resize()).observe(picture);
    this.#resize();
  }

  /** Call a function whenever the picture lies elsewhere in the stage. @param {() => void} listener */
  whenMoved(listener) {
    this.listeners.push(listener);
    listener();
  }

  /** How much larger than fitted; 1 is fitted. */
  get zoom() {
    return this.#zoom;
  }

  get canZoomIn() {
    return this.#zoom < LARGEST;
  }

  /**
   * Show a picture, fitted; without one, an empty stage.
   * @param {ImageBitmap | null} bitmap
   */
  showPicture(bitmap) {
    this.#bitmap = bitmap;
    if (bitmap) this.#size = { width: bitmap.width, height: bitmap.height };
    this.reset();
  }

  /**
   * Show regions.
   * @param {{width: number, height: number, nodata: Path2D} | null} grid - in whose pixels outlines are given.
   * @param {Layer[]} layers - drawn in this order.
   * @param {number} opacity - of their fill, 0 to 1.
   */
  showLayers(grid, layers, opacity) {
    this.#grid = grid ?? { width: 3, height: 2, nodata: null };
    this.#layers = layers;
    this.#opacity = opacity;
    this.#drawMarks();
  }

  /**
   * Outline regions by dashes, below the others.
   * @param {{width: number, height: number} | null} grid - in whose pixels they are given.
   * @param {Layer[]} layers
   */
  showGuides(grid, layers) {
    this.#guides = { grid, layers };
    this.#drawMarks();
  }

  /** Show probabilities in colour in place of filled regions. @param {OffscreenCanvas | null} map */
  showHeat(map) {
    if (map === this.#heat) return;
    this.#heat = map;
    this.#drawMarks();
  }

  /** Show lines of longitude and latitude. @param {import('./geography.js').Bounds | null} bounds */
  showGraticule(bounds) {
    if (bounds === this.#bounds) return;
    this.#bounds = bounds;
    this.#drawMarks();
  }

  /** Highlight regions. @param {import('./regions.js').Region[]} regions */
  mark(regions) {
    if (regions.length === this.#marked.size && regions.every((region) => this.#marked.has(region))) return;
    this.#marked = new Set(regions);
    this.#drawMarks();
  }

  /** Highlight a region until another one is selected. @param {import('./regions.js').Region | null} region */
  select(region) {
    if (region === this.#selected) return;
    this.#selected = region;
    this.#drawMarks();
  }

  /** Fit the picture into the stage again. */
  reset() {
    this.#zoom = 1;
    this.#centre = { x: this.#size.width / 2, y: this.#size.height / 2 };
    this.#move();
  }

  /**
   * @param {number} factor - how many times larger.
   * @param {{x: number, y: number}} [at] - what stays in its place, in px from the stage's corner; its middle.
   */
  zoomBy(factor, at = { x: this.width / 2, y: this.height / 2 }) {
    const zoom = Math.min(LARGEST, Math.max(1, this.#zoom * factor));
    const before = this.#toPicture(at);
    this.#zoom = zoom;
    const after = this.#toPicture(at);
    this.#centre.x += before.x - after.x;
    this.#centre.y += before.y - after.y;
    this.#move();
  }

  /** @param {number} dx - px that the picture moves to the right. @param {number} dy - px that it moves down. */
  panBy(dx, dy) {
    this.#centre.x -= dx / this.#scale;
    this.#centre.y -= dy / this.#scale;
    this.#move();
  }

  /** Bring a region into the middle, as large as leaves some room around it. */
  reveal({ box: [left, top, right, bottom] }) {
    const [sx, sy] = [this.#size.width / this.#grid.width, this.#size.height / this.#grid.height];
    const across = this.width / ((right - left) * sx);
    const down = this.height / ((bottom - top) * sy);
    this.#zoom = Math.min(LARGEST, Math.max(1, Math.min(across, down) * 0.75 / this.#fit));
    this.#centre = { x: (left + right) / 2 * sx, y: (top + bottom) / 2 * sy };
    this.#move();
  }

  /**
   * @param {{x: number, y: number}} at - in px from the stage's corner.
   * @returns {{x: number, y: number} | null} the grid's pixel there, whole numbers; null outside the picture.
   */
  pixelAt(at) {
    const { x, y } = this.#toPicture(at);
    const column = Math.floor(x / this.#size.width * this.#grid.width);
    const row = Math.floor(y / this.#size.height * this.#grid.height);
    const inside = column >= 0 && row >= 0 && column < this.#grid.width && row < this.#grid.height;
    return inside ? { x: column, y: row } : null;
  }

  /**
   * @param {{x: number, y: number}} at - in px from the stage's corner.
   * @returns {{x: number, y: number} | null} across and down the picture, 0 to 1; null outside.
   */
  shareAt(at) {
    const { x, y } = this.#toPicture(at);
    const share = { x: x / this.#size.width, y: y / this.#size.height };
    return share.x >= 0 && share.y >= 0 && share.x <= 1 && share.y <= 1 ? share : null;
  }

  /**
   * Where a grid over the picture lies.
   * @param {{width: number, height: number}} grid
   * @returns {{x: number, y: number, sx: number, sy: number}} its corner in px from the stage's; px a pixel of it.
   */
  placeOf({ width, height }) {
    return {
      ...this.#corner, sx: this.#size.width / width * this.#scale, sy: this.#size.height / height * this.#scale,
    };
  }

  /**
   * @param {{width: number, height: number}} grid - over the picture.
   * @param {{x: number, y: number}} at - in px from the stage's corner.
   * @returns {{x: number, y: number}} in pixels of the grid from its corner; also outside of the picture.
   */
  pointOn(grid, at) {
    const { x, y, sx, sy } = this.placeOf(grid);
    return { x: (at.x - x) / sx, y: (at.y - y) / sy };
  }

  get #fit() {
    const margin = this.width < NARROW ? 0 : 2 * MARGIN;
    const { width, height } = this.#size;
    return Math.max(0.01, Math.min((this.width - margin) / width, (this.height - margin) / height));
  }

  /** px a pixel of the picture. */
  get #scale() {
    return this.#fit * this.#zoom;
  }

  /** Where the picture's corner is, in px from the stage's. */
  get #corner() {
    return {
      x: this.width / 2 - this.#centre.x * this.#scale,
      y: this.height / 2 - this.#centre.y * this.#scale,
    };
  }

  #toPicture({ x, y }) {
    return { x: (x - this.#corner.x) / this.#scale, y: (y - this.#corner.y) / this.#scale };
  }

  #resize() {
    const { canvas } = this.below;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    this.density = window.devicePixelRatio || 1;
    for (const { canvas: each } of [this.below, this.above]) {
      each.width = Math.round(this.width * this.density);
      each.height = Math.round(this.height * this.density);
    }
    this.#move();
  }

  #move() {
    const reach = (side, length) => {
      const half = length / this.#scale / 2;
      return half * 2 >= side ? [side / 2, side / 2] : [half, side - half];
    };
    const [left, right] = reach(this.#size.width, this.width);
    const [top, bottom] = reach(this.#size.height, this.height);
    this.#centre.x = Math.min(right, Math.max(left, this.#centre.x));
    this.#centre.y = Math.min(bottom, Math.max(top, this.#centre.y));
    this.#drawPicture();
    this.#drawMarks();
    for (const listener of this.listeners) listener();
  }

  #drawPicture() {
    const pen = this.below;
    clear(pen);
    if (!this.#bitmap) return;
    const { width, height } = this.#size;
    const scale = this.#scale * this.density;
    pen.imageSmoothingEnabled = scale < CRISP;
    pen.imageSmoothingQuality = 'high';
    pen.setTransform(scale, 0, 0, scale, this.#corner.x * this.density, this.#corner.y * this.density);
    pen.drawImage(this.#bitmap, 0, 0, width, height);
  }

  #drawMarks() {
    const pen = this.above;
    clear(pen);
    const { width, height, nodata } = this.#grid;
    const sx = this.#size.width / width * this.#scale * this.density;
    const sy = this.#size.height / height * this.#scale * this.density;
    const corner = { x: this.#corner.x * this.density, y: this.#corner.y * this.density };
    const pixel = this.density / Math.sqrt(sx * sy); // one px of the screen, in pixels of the grid
    pen.setTransform(sx, 0, 0, sy, corner.x, corner.y);
    if (nodata) this.#hatch(nodata, corner);
    this.#drawGuides();
    if (this.#heat) pen.drawImage(this.#heat, 0, 0, width, height);
    else this.#fillRegions();
    pen.lineJoin = 'round';
    for (const { colour, regions } of this.#layers) {
      for (const region of regions) {
        const marked = this.#isMarked(region);
        stroke(pen, region.path, marked ? LIGHT : PAPER, (marked ? 6 : 4) * pixel);
        stroke(pen, region.path, colour, (marked ? 3 : 2) * pixel);
      }
    }
    this.#drawGrid();
    this.#drawNames(sx, sy, corner);
  }

  #isMarked(region) {
    return this.#marked.has(region) || region === this.#selected;
  }

  #drawGuides() {
    const { grid, layers } = this.#guides;
    if (!grid) return;
    const pen = this.above;
    const { sx, sy } = this.placeOf(grid);
    const pixel = 1 / Math.sqrt(sx * sy);
    pen.save();
    pen.setTransform(
      sx * this.density, 0, 0, sy * this.density, this.#corner.x * this.density, this.#corner.y * this.density,
    );
    pen.setLineDash([6 * pixel, 5 * pixel]);
    for (const { colour, regions } of layers) {
      for (const { path } of regions) {
        stroke(pen, path, PAPER, 4 * pixel);
        stroke(pen, path, colour, 2 * pixel);
      }
    }
    pen.restore();
  }

  #fillRegions() {
    const pen = this.above;
    for (const { colour, regions } of this.#layers) {
      pen.fillStyle = colour;
      for (const region of regions) {
        pen.globalAlpha = this.#isMarked(region) ? Math.min(1, this.#opacity + 0.25) : this.#opacity;
        pen.fill(region.path, 'evenodd');
      }
    }
    pen.globalAlpha = 1;
  }

  #drawGrid() {
    if (!this.#bounds) return;
    this.above.setTransform(this.density, 0, 0, this.density, 0, 0);
    const { x: left, y: top } = this.#corner;
    const { width, height } = this.#size;
    const place = { left, top, width: width * this.#scale, height: height * this.#scale };
    drawGraticule(this.above, this.#bounds, place);
  }

  #hatch(nodata, corner) {
    const pen = this.above;
    pen.save();
    pen.clip(nodata, 'evenodd');
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.beginPath();
    // The lines move with the picture.
    const first = (corner.x + corner.y) / this.density % HATCH;
    for (let at = first; at < this.width + this.height; at += HATCH) {
      pen.moveTo(at, 0);
      pen.lineTo(at - this.height, this.height);
    }
    pen.lineWidth = 1;
    pen.strokeStyle = NO_DATA;
    pen.stroke();
    pen.restore();
  }

  /** Label each region where it is widest: colour must not be the only cue. */
  #drawNames(sx, sy, corner) {
    const pen = this.above;
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.font = '600 13px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    const taken = [];
    for (const { name, colour, regions } of this.#layers) {
      const half = pen.measureText(name).width / 2 + 6;
      for (const { middle } of regions) {
        if (middle.depth * Math.min(sx, sy) / this.density < NAMED) continue;
        const x = (corner.x + middle.x * sx) / this.density;
        const y = (corner.y + middle.y * sy) / this.density;
        const boxes = SHIFTS.map((shift) => [x - half, y + shift - 10, x + half, y + shift + 10]);
        const box = boxes.find((each) => !taken.some((other) => overlap(each, other))) ?? boxes[0];
        taken.push(box);
        pen.fillStyle = PAPER;
        pen.beginPath();
        pen.roundRect(box[0], box[1], 2 * half, 20, 4);
        pen.fill();
        pen.fillStyle = colour;
        pen.fillText(name, x, box[1] + 10.5);
      }
    }
  }
}

function clear(pen) {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
}

function stroke(pen, path, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke(path);
}

function overlap(one, other) {
  return one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
}
