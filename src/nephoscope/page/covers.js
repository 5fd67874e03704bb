/** Covers of all pictures: bars under their thumbnails, and a table that can be sorted. */

import { element } from './element.js';
import { percent } from './words.js';

/** @typedef {import('./files/result.js').Result} Result */

/**
 * Bars of the patterns' covers.
 * @param {Result} result
 * @returns {HTMLElement}
 */
export function coverBars({ patterns }) {
  return element('span', { className: 'bars', 'aria-hidden': 'true' }, ...patterns.map(({ colour, cover }) => {
    const bar = element('i');
    bar.style.setProperty('--colour', colour);
    bar.style.setProperty('--cover', cover);
    return bar;
  }));
}

/**
 * @param {{patterns: {name: string, cover: number}[]}} result
 * @returns {string} such as `Fish covers 28 %, Sugar covers 9 %`; empty if no pattern is present.
 */
export function coversInWords({ patterns }) {
  const present = patterns.filter(({ cover }) => cover > 0);
  return present.map(({ name, cover }) => `${name} covers ${percent(cover)}`).join(', ');
}

/** The dialog with a row a picture. */
export class CoverTable {
  #rows = [];
  #by = 0;
  #isDescending = false;

  /**
   * @param {HTMLTableElement} table
   * @param {(picture: import('./pictures.js').Picture) => void} choose
   */
  constructor(table, choose) {
    this.table = table;
    this.choose = choose;
  }

  /** @param {{picture: import('./pictures.js').Picture, title: string, result: Result}[]} entries */
  show(entries) {
    const names = entries[0].result.patterns.map(({ name }) => name);
    this.#rows = entries.map(({ picture, title, result }) => ({
      picture,
      values: [title, result.about.date ?? '', ...result.patterns.map(({ cover }) => cover)],
    }));
    const headings = ['Picture', 'Day', ...names].map((name, column) => {
      const button = element('button', { type: 'button', className: 'sort' }, name);
      button.addEventListener('click', () => this.#sort(column));
      return element('th', { scope: 'col' }, button);
    });
    this.table.tHead.replaceChildren(element('tr', {}, ...headings));
    this.table.classList.toggle('undated', entries.every(({ result }) => !result.about.date));
    this.#fill();
  }

  #sort(column) {
    this.#isDescending = column === this.#by ? !this.#isDescending : column > 1; // covers: the largest first
    this.#by = column;
    this.#fill();
  }

  #fill() {
    const sign = this.#isDescending ? -1 : 1;
    const order = (one, other) => {
      const [a, b] = [one.values[this.#by], other.values[this.#by]];
      return sign * (typeof a === 'number' ? a - b : a.localeCompare(b));
    };
    [...this.table.tHead.rows[0].cells].forEach((cell, column) => {
      cell.ariaSort = column === this.#by ? (this.#isDescending ? 'descending' : 'ascending') : 'none';
    });
    this.table.tBodies[0].replaceChildren(...[...this.#rows].sort(order).map(({ picture, values }) => {
      const [title, day, ...covers] = values;
      const name = element('button', { type: 'button', className: 'link' }, title);
      name.addEventListener('click', () => this.choose(picture));
      return element(
        'tr', {}, element('th', { scope: 'row' }, name), element('td', {}, day || '–'),
        ...covers.map((cover) => element('td', {}, cover ? percent(cover) : '–')),
      );
    }));
  }
}
