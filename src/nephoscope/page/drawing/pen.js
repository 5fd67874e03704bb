/** From a pointer, or a cursor that keys move, to shapes; what is being drawn is shown as ink over the picture. */

import { GRID } from './label_mask.js';
import { polygon, rectangle, stroke } from './shapes.js';

const LEAST = 2; // px between two points of a line

/** @typedef {'select' | 'rectangle' | 'lasso' | 'brush' | 'eraser'} Tool */
/** @typedef {{x: number, y: number}} Point */

export class Pen {
  /** @type {Tool} */
  tool = 'select';
  colour = '#ffffff';
  /** Width of the brush in pixels of the label grid. */
  width = 60;
  /** Of the shape, in pixels of the label grid: the view may move while it is drawn. */
  #points = [];
  #isDown = false;

  /**
   * @param {HTMLCanvasElement} canvas - as large as the stage, over the picture.
   * @param {import('../view.js').View} view
   * @param {(spans: import('./label_mask.js').Span[], on: boolean) => void} drawn - called with a finished shape.
   */
  constructor(canvas, view, drawn) {
    this.ink = canvas.getContext('2d');
    this.view = view;
    this.drawn = drawn;
    view.whenMoved(() => this.#drawAgain());
  }

  get isDown() {
    return this.#isDown;
  }

  /** Radius of the brush, across and down the label grid: a circle on the picture. */
  get radius() {
    const { sx, sy } = this.view.placeOf(GRID);
    return { x: this.width / 2, y: this.width / 2 * sx / sy };
  }

  /** Begin a shape. @param {Point} at - in px from the stage's corner. */
  down(at) {
    this.#isDown = true;
    this.#points = [this.view.pointOn(GRID, at)];
    this.#drawAgain();
  }

  /** Go on with it. @param {Point} at */
  move(at) {
    if (!this.#isDown) return;
    const [last] = this.#inView(this.#points.slice(-1));
    const point = this.view.pointOn(GRID, at);
    if (this.tool === 'rectangle') this.#points[1] = point;
    else if (Math.hypot(at.x - last.x, at.y - last.y) >= LEAST) this.#points.push(point);
    else return;
    this.#draw(this.#points.slice(-2));
  }

  /** End it. @param {Point} at */
  up(at) {
    if (!this.#isDown) return;
    this.move(at);
    const points = this.#points;
    const { tool } = this;
    this.cancel();
    if (tool === 'rectangle' && points.length > 1) this.drawn(rectangle(points[0], points[1]), true);
    else if (tool === 'lasso' && points.length > 2) this.drawn(polygon(points), true);
    else if (tool === 'brush' || tool === 'eraser') this.drawn(stroke(points, this.radius), tool === 'brush');
  }

  /** Forget it. */
  cancel() {
    this.#isDown = false;
    this.#points = [];
    this.#clear();
  }

  /** Where points lie, in px from the stage's corner. */
  #inView(points) {
    const { x: left, y: top, sx, sy } = this.view.placeOf(GRID);
    return points.map(({ x, y }) => ({ x: left + x * sx, y: top + y * sy }));
  }

  /** Draw all of the shape, where the view is now. */
  #drawAgain() {
    if (!this.#isDown) return;
    this.#fitCanvas();
    this.#draw(this.#points);
  }

  #fitCanvas() {
    const { canvas } = this.ink;
    const { width, height, density } = this.view;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    canvas.classList.toggle('erasing', this.tool === 'eraser');
    Object.assign(this.ink, {
      strokeStyle: this.colour, fillStyle: this.colour, lineJoin: 'round', lineCap: 'round',
    });
    this.ink.setTransform(density, 0, 0, density, 0, 0);
  }

  #clear() {
    this.ink.clearRect(0, 0, this.view.width, this.view.height);
  }

  /** A track grows by its newest points; other shapes are drawn anew. @param {Point[]} newest */
  #draw(newest) {
    const isTrack = this.tool === 'brush' || this.tool === 'eraser';
    const points = this.#inView(isTrack ? newest : this.#points);
    this.ink.beginPath();
    if (isTrack) {
      this.ink.lineWidth = this.width * this.view.placeOf(GRID).sx;
      this.ink.moveTo(points[0].x, points[0].y);
      for (const { x, y } of points) this.ink.lineTo(x, y);
      this.ink.stroke();
      return;
    }
    this.#clear();
    this.ink.lineWidth = 2;
    if (this.tool === 'rectangle') {
      const [{ x, y }, end = points[0]] = points;
      this.ink.rect(x, y, end.x - x, end.y - y);
    } else {
      for (const { x, y } of points) this.ink.lineTo(x, y);
      this.ink.closePath();
    }
    this.ink.stroke();
    this.ink.globalAlpha = 0.35;
    this.ink.fill('evenodd');
    this.ink.globalAlpha = 1;
  }
}
