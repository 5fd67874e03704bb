/** The strip of thumbnails: every picture with its state, and overall progress. */

import { coverBars, coversInWords } from './covers.js';
import { element } from './element.js';

export class Strip {
  #entries = new Map();

  /**
   * @param {HTMLElement} root
   * @param {{choose: (picture: import('./pictures.js').Picture) => void,
   *   remove: (picture: import('./pictures.js').Picture) => void, turn: (step: number) => void}} handlers
   */
  constructor(root, handlers) {
    this.root = root;
    this.list = root.querySelector('ol');
    this.words = root.querySelector('.progress span');
    this.progress = root.querySelector('progress');
    this.handlers = handlers;
    const turns = { ArrowLeft: -1, ArrowRight: 1 };
    this.list.addEventListener('keydown', (event) => {
      const picture = [...this.#entries].find(([, entry]) => entry.item.contains(event.target))?.[0];
      if (event.key in turns) {
        event.preventDefault();
        handlers.turn(turns[event.key]);
        this.focus();
      } else if (event.key === 'Delete' && picture) {
        handlers.remove(picture);
      }
    });
    root.querySelector('#previous').addEventListener('click', () => handlers.turn(-1));
    root.querySelector('#next').addEventListener('click', () => handlers.turn(1));
  }

  /**
   * @param {import('./pictures.js').Picture[]} pictures
   * @param {import('./pictures.js').Picture | null} current - the current one.
   */
  show(pictures, current) {
    for (const [picture, { item }] of this.#entries) {
      if (!pictures.includes(picture)) {
        item.remove();
        this.#entries.delete(picture);
      }
    }
    pictures.forEach((picture, index) => {
      if (!this.#entries.has(picture)) this.#add(picture);
      const { item } = this.#entries.get(picture);
      if (this.list.children[index] !== item) this.list.insertBefore(item, this.list.children[index] ?? null);
      this.#update(picture, picture === current);
    });
    this.root.hidden = pictures.length < 2;
    const done = pictures.filter(({ state }) => state === 'done').length;
    const failed = pictures.filter(({ state }) => state === 'failed').length;
    const settled = done + failed;
    const count = pictures.length;
    const failures = failed ? `, ${failed} failed` : '';
    this.words.textContent = settled < count ? `${settled} of ${count}${failures}` : `${count} pictures${failures}`;
    this.progress.max = Math.max(1, count);
    this.progress.value = settled;
    this.progress.hidden = settled === count;
  }

  /**
   * Show the covers of a picture's patterns below its thumbnail.
   * @param {import('./pictures.js').Picture} picture
   * @param {import('./files/result.js').Result} result
   */
  showCovers(picture, result) {
    const entry = this.#entries.get(picture);
    if (!entry || picture.state !== 'done') return;
    entry.covers = coversInWords(result) || 'no pattern found';
    entry.item.querySelector('.bars')?.remove();
    entry.choose.after(coverBars(result));
    this.#update(picture, entry.current);
  }

  /** Focus the current picture. */
  focus() {
    this.list.querySelector('[aria-current]')?.focus();
  }

  #add(picture) {
    const canvas = element('canvas', { width: 132, height: 88 });
    const sign = element('span', { className: 'sign', 'aria-hidden': 'true' });
    const choose = element('button', { type: 'button', className: 'thumbnail' }, canvas, sign);
    const remove = element('button', { type: 'button', className: 'drop-one' }, '×');
    const day = element('span', { className: 'day' });
    const item = element('li', {}, choose, remove, day);
    choose.addEventListener('click', () => this.handlers.choose(picture));
    remove.addEventListener('click', () => this.handlers.remove(picture));
    this.#entries.set(picture, {
      item, choose, remove, canvas, sign, day, drawn: null, current: false, covers: '',
    });
    this.list.append(item);
  }

  #update(picture, current) {
    const entry = this.#entries.get(picture);
    const { item, choose, remove, canvas, sign, day } = entry;
    item.dataset.state = picture.state;
    sign.textContent = picture.state === 'failed' ? '!' : '';
    const isLabelled = picture.labels?.isAccepted ?? false;
    item.classList.toggle('accepted', isLabelled);
    const result = picture.reason || (picture.state === 'done' && entry.covers) || picture.state;
    const state = isLabelled ? `${result}, labels accepted` : result;
    choose.title = `${picture.name}: ${state}`;
    choose.setAttribute('aria-label', `${picture.name}, ${state}`);
    day.textContent = picture.answer?.about.date ?? picture.overpass?.day ?? '';
    if (picture.state !== 'done') item.querySelector('.bars')?.remove();
    remove.setAttribute('aria-label', `Remove ${picture.name}`);
    if (current) choose.setAttribute('aria-current', 'true');
    else choose.removeAttribute('aria-current');
    if (current && !entry.current) item.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    entry.current = current;
    if (picture.thumbnail && entry.drawn !== picture.thumbnail) {
      const { width, height } = picture.thumbnail;
      const scale = Math.max(canvas.width / width, canvas.height / height);
      const [x, y] = [(canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2];
      canvas.getContext('2d').drawImage(picture.thumbnail, x, y, width * scale, height * scale);
      entry.drawn = picture.thumbnail;
    }
  }
}
