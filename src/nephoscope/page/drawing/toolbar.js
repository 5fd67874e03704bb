/** The bar of drawing tools, and the cursor that shows what would be drawn. */

import { element } from '../element.js';
import { GRID } from './label_mask.js';

/** Tools, each with its key. @type {Object<import('./pen.js').Tool, {key: string, label: string, title: string}>} */
export const TOOLS = {
  select: { key: 's', label: 'Select', title: 'Select, move or rename a region; elsewhere it pans' },
  rectangle: { key: 'r', label: 'Rectangle', title: 'Draw a rectangle' },
  lasso: { key: 'l', label: 'Lasso', title: 'Draw around an area' },
  brush: { key: 'b', label: 'Brush', title: 'Paint' },
  eraser: { key: 'e', label: 'Eraser', title: 'Erase the chosen pattern' },
};
const CROSS = 24; // px

const $ = (id) => document.getElementById(id);

export class Toolbar {
  /**
   * @param {import('../view.js').View} view
   * @param {import('./pen.js').Pen} pen
   * @param {{tool: (tool: import('./pen.js').Tool) => void, pattern: (index: number) => void, width: (width: number) =>
   *   void, undo: () => void, redo: () => void, remove: () => void}} handlers - for what is chosen and pressed.
   */
  constructor(view, pen, handlers) {
    this.view = view;
    this.pen = pen;
    this.handlers = handlers;
    $('draw-tools').replaceChildren(...Object.entries(TOOLS).map(([tool, { key, label, title }]) => (
      toggle(`${title} (${key.toUpperCase()})`, [label], () => handlers.tool(tool))
    )));
    for (const group of ['draw-tools', 'draw-patterns', 'draw-edits']) {
      // A click leaves the keys to the picture; who presses a button by keys stays there.
      $(group).addEventListener('click', ({ detail }) => detail && $('viewer').focus({ preventScroll: true }));
    }
    $('undo').addEventListener('click', handlers.undo);
    $('redo').addEventListener('click', handlers.redo);
    $('delete-region').addEventListener('click', handlers.remove);
    $('brush-width').addEventListener('input', () => handlers.width(Number($('brush-width').value)));
  }

  /** @param {import('../panel.js').Pattern[]} patterns */
  offer(patterns) {
    $('draw-patterns').replaceChildren(...patterns.map(({ name, colour }, index) => {
      const swatch = element('span', { className: 'swatch' });
      swatch.style.setProperty('--colour', colour);
      return toggle(`${name} (${index + 1})`, [swatch, name], () => this.handlers.pattern(index));
    }));
  }

  /** Show which tool and which pattern are chosen. @param {number} pattern - its index. */
  showChosen(pattern) {
    press($('draw-tools'), Object.keys(TOOLS).indexOf(this.pen.tool));
    press($('draw-patterns'), pattern);
    $('viewer').classList.toggle('selecting', this.pen.tool === 'select');
    $('brush-width').value = this.pen.width;
  }

  /** Show which edits are possible. @param {import('./history.js').History} history @param {boolean} isSelected */
  showEdits({ canUndo, canRedo }, isSelected) {
    $('undo').disabled = !canUndo;
    $('redo').disabled = !canRedo;
    $('delete-region').disabled = !isSelected;
  }

  /** Whether the tool has a width. */
  get isBrush() {
    return this.pen.tool === 'brush' || this.pen.tool === 'eraser';
  }

  /**
   * Show the cursor at a place: a circle as wide as the brush, or a cross.
   * @param {{x: number, y: number} | null} at - in px from the stage's corner; null hides it.
   */
  showCursor(at) {
    const cursor = $('cursor');
    cursor.hidden = !at;
    if (!at) return;
    const width = this.isBrush ? this.pen.width * this.view.placeOf(GRID).sx : CROSS;
    cursor.classList.toggle('round', this.isBrush);
    cursor.classList.toggle('pressed', this.pen.isDown);
    Object.assign(cursor.style, {
      width: `${width}px`, height: `${width}px`, transform: `translate(${at.x - width / 2}px, ${at.y - width / 2}px)`,
    });
  }
}

function toggle(title, children, chosen) {
  const button = element('button', { type: 'button', title, 'aria-pressed': 'false' }, ...children);
  button.addEventListener('click', chosen);
  return button;
}

function press(group, index) {
  [...group.children].forEach((button, each) => button.setAttribute('aria-pressed', String(each === index)));
}
