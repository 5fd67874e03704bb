/** Labels of the session's pictures: drawing them, keeping them over a reload, saving them. */

import { Drawing } from './drawing.js';
import { Labels } from './labels.js';
import { doubtfulFirst } from './order.js';
import { Saving, say } from './saving.js';

const $ = (id) => document.getElementById(id);

/** @typedef {import('../pictures.js').Picture} Picture */

export class Labelling {
  /** @type {Picture | null} */
  #picture = null;
  #isSaving = false;

  /**
   * @param {import('../stage.js').Stage} stage
   * @param {{engine: import('../engine.js').Engine, collects: boolean, patterns: import('../panel.js').Pattern[],
   *   pictures: () => Picture[], result: (picture: Picture) => import('../files/result.js').Result,
   *   guides: () => import('../view.js').Layer[], toggled: () => void, turn: (step: number) => void,
   *   changed: () => void, order: (ordered: (all: Picture[], card: object) => Picture[]) => void}} page - the engine,
   *   and whether it keeps labels; the model's patterns; all pictures; what the model draws in one, and its regions;
   *   called for a change of the mode, for the next picture, when one was done, and to put the pictures in another
   *   order.
   */
  constructor(stage, { engine, collects, patterns, pictures, result, guides, toggled, turn, changed, order }) {
    this.turn = turn;
    this.changed = changed;
    this.saving = new Saving(engine, collects, pictures);
    this.drawing = new Drawing(stage.view, {
      result, guides, toggled, turn, accept: () => this.#accept(), changed: () => this.#changed(),
    });
    stage.hand = this.drawing.hand;
    $('accept').addEventListener('click', () => this.#accept());
    $('annotator').addEventListener('change', () => this.#recall());
    $('annotator').addEventListener('keydown', ({ key }) => key === 'Enter' && this.#accept());
    $('doubtful').addEventListener('click', () => {
      order(doubtfulFirst);
      say('Ordered: of the pictures that are left, the model is least sure of the first.');
    });
    this.begin(patterns);
  }

  /** @param {import('../panel.js').Pattern[]} patterns - of the model. */
  begin(patterns) {
    this.drawing.begin(patterns);
  }

  /** Whether one wants to draw. */
  get isWanted() {
    return this.drawing.isWanted;
  }

  /** Begin or end drawing. */
  toggle() {
    this.drawing.toggle();
  }

  /**
   * Give pictures the labels that were kept over a reload.
   * @param {Picture[]} pictures
   * @param {Map<number, {patterns: string[], bits: Uint8Array, isAccepted: boolean}>} labels - by number.
   */
  restore(pictures, labels) {
    for (const picture of pictures) {
      const kept = labels.get(picture.number);
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
    this.#recall();
  }

  /** @param {{x: number, y: number}} pixel - of the stage's grid. @returns {object[] | null} null if nobody draws. */
  regionsAt(pixel) {
    return this.drawing.isOn ? this.drawing.regionsAt(pixel) : null;
  }

  /** What the user has saved of the picture before is shown in place of the model's regions. */
  async #recall() {
    const picture = this.#picture;
    if (this.drawing.isOn && await this.saving.recall(picture)) {
      if (picture === this.#picture) this.drawing.show(picture);
      this.#changed();
    }
  }

  async #accept() {
    if (!this.drawing.isOn || this.#isSaving) return;
    const picture = this.#picture;
    this.#isSaving = true;
    const isSaved = await this.saving.accept(picture);
    this.#isSaving = false;
    this.#changed();
    if (isSaved && picture === this.#picture) this.turn(1);
  }

  #changed() {
    this.saving.show();
    this.changed();
  }
}
