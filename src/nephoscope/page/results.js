/** Results of pictures under the rules that apply now, computed once, and when the page has nothing else to do. */

import { resultOf } from './files/result.js';

export class Results {
  #known = new WeakMap(); // by answer: the rules as text, and the result
  #due = new Set();
  #isWaiting = false;

  /**
   * @param {{card: () => object, rules: () => object, state: () => import('./engine.js').State,
   *   computed: (picture: import('./pictures.js').Picture, result: import('./files/result.js').Result) => void}} now
   */
  constructor(now) {
    this.now = now;
  }

  /** @param {import('./pictures.js').Picture} picture - with an answer. */
  of(picture) {
    const rules = this.now.rules();
    const key = JSON.stringify([this.now.card().name, rules]);
    const known = this.#known.get(picture.answer);
    if (known?.key === key && known.name === picture.name) return known.result;
    const result = resultOf(picture, this.now.card(), rules, this.now.state());
    this.#known.set(picture.answer, { key, name: picture.name, result });
    return result;
  }

  /** Compute results of pictures one after the other, between other work. @param {Iterable<object>} pictures */
  later(pictures) {
    for (const picture of pictures) this.#due.add(picture);
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 30));
    const next = () => {
      const [picture] = this.#due;
      this.#due.delete(picture);
      if (picture?.answer) this.now.computed(picture, this.of(picture));
      if (this.#due.size) idle(next);
      else this.#isWaiting = false;
    };
    idle(next);
  }
}
