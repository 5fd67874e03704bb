/** Labels of the session's pictures: drawing them, keeping them over a reload, saving them. */

import { keptLabels } from '../session.js';
import { Drawing } from './drawing.js';
import { Labels } from './labels.js';
import { Saving } from './saving.js';

const $ = (id) => document.getElementById(id);

/** @typedef {import('../pictures.js').Picture} Picture */

export class Labelling {
  /** @type {Picture | null} */
  #picture = null;

  /**
   * @param {import('../view.js').View} view
   * @param {{engine: import('../engine.js').Engine, pictures: () => Picture[], result: (picture: Picture) =>
   *   import('../files/result.js').Result, guides: () => import('../view.js').Layer[], toggled: () => void,
   *   turn: (step: number) => void, changed: () => void}} page - the engine, all pictures, what the model draws in
   *   one, its regions; called for a change of the mode, for the next picture, and when one was done.
   */
  constructor(view, { engine, pictures, result, guides, toggled, turn, changed }) {
    this.turn = turn;
    this.changed = changed;
    this.saving = new Saving(engine, pictures);
    this.drawing = new Drawing(view, {
      result, guides, toggled, turn, accept: () => this.#accept(), changed: () => this.#changed(),
    });
    $('accept').addEventListener('click', () => this.#accept());
  }

  /**
   * @param {import('../panel.js').Pattern[]} patterns - of the model.
   * @param {boolean} collects - whether the server keeps labels.
   */
  begin(patterns, collects) {
    this.drawing.begin(patterns);
    this.saving.begin(collects);
  }

  /** Give pictures the labels that were kept over a reload. @param {Picture[]} pictures */
  async restore(pictures) {
    const all = await keptLabels();
    for (const picture of pictures) {
      const kept = all.get(picture.number);
      if (!kept) continue;
      picture.labels = new Labels(kept.patterns, kept.bits);
      picture.labels.isAccepted = kept.isAccepted;
    }
  }

  /** @param {Picture | null} picture - the current one. */
  show(picture) {
    this.#picture = picture;
    this.drawing.show(picture);
    this.saving.show();
  }

  /** @param {{x: number, y: number}} pixel - of the stage's grid. @returns {object[] | null} null if nobody draws. */
  regionsAt(pixel) {
    return this.drawing.isOn ? this.drawing.regionsAt(pixel) : null;
  }

  async #accept() {
    if (!this.drawing.isOn) return;
    if (await this.saving.accept(this.#picture)) {
      this.#changed();
      this.turn(1);
    }
  }

  #changed() {
    this.saving.show();
    this.changed();
  }
}
