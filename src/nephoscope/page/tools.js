/** Tools over the picture: compare with the picture alone, probabilities in colour, and the grid of degrees. */

import { element } from './element.js';
import { heatMap } from './heat.js';

const HOLD_KEY = 'h';

const $ = (id) => document.getElementById(id);

export class Tools {
  #answer = null;
  #patterns = [];
  /** The heat map that is shown, and what it was made of. */
  #heat = null;

  /** @param {import('./view.js').View} view */
  constructor(view) {
    this.view = view;
    /** Called when the grid or the colouring changed. @type {() => void} */
    this.changed = () => {};
    for (const control of ['colouring', 'graticule']) $(control).addEventListener('change', () => this.changed());
    this.#listenToHolding();
    $('compare').addEventListener('click', () => this.#compare($('divider').hidden));
    $('divider').addEventListener('input', () => this.#divide());
    $('colouring').addEventListener('change', () => this.#colour());
    $('graticule').addEventListener('change', () => this.#drawGrid());
  }

  /** @param {import('./panel.js').Pattern[]} patterns - of the model, in the order of an answer's values. */
  begin(patterns) {
    this.#patterns = patterns;
    const { value } = $('colouring');
    $('colouring').replaceChildren(
      element('option', { value: '' }, 'patterns'),
      ...patterns.map(({ name }) => element('option', { value: name }, `probability of ${name}`)),
    );
    $('colouring').value = patterns.some(({ name }) => name === value) ? value : '';
  }

  /** What is shown: the pattern whose probability is coloured, and whether there is a grid. */
  get settings() {
    return { colouring: $('colouring').value, grid: $('graticule').checked };
  }

  /** Show the same again. @param {{colouring?: string, grid?: boolean}} settings */
  restore({ colouring, grid }) {
    if (this.#patterns.some(({ name }) => name === colouring)) $('colouring').value = colouring;
    $('graticule').checked = grid === true;
  }

  /** @param {import('./pictures.js').Answer | null} answer - of the current picture. */
  show(answer) {
    this.#answer = answer;
    $('tools').hidden = !answer;
    if (!answer) this.#compare(false);
    $('grid-choice').hidden = !answer?.about.bounds;
    this.#colour();
    this.#drawGrid();
  }

  #compare(on) {
    $('divider').hidden = !on;
    $('compare').setAttribute('aria-pressed', String(on));
    this.#divide();
  }

  #divide() {
    const on = !$('divider').hidden;
    $('marks').classList.toggle('divided', on);
    $('divider-line').hidden = !on;
    $('viewer').style.setProperty('--divider', $('divider').value / 100);
  }

  /** Show the picture alone while a button or key is held. */
  #listenToHolding() {
    const hold = (on) => {
      $('marks').classList.toggle('unseen-marks', on);
      $('hold').setAttribute('aria-pressed', String(on));
    };
    $('hold').addEventListener('pointerdown', () => hold(true));
    for (const event of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) {
      $('hold').addEventListener(event, () => hold(false));
    }
    $('hold').addEventListener('keydown', (event) => {
      if (event.key === ' ' || event.key === 'Enter') hold(true);
    });
    $('hold').addEventListener('keyup', () => hold(false));
    $('viewer').addEventListener('keydown', (event) => {
      if (event.key === HOLD_KEY && !event.ctrlKey && !event.metaKey && !event.altKey) hold(true);
    });
    $('viewer').addEventListener('keyup', (event) => {
      if (event.key === HOLD_KEY) hold(false);
    });
  }

  #colour() {
    const index = this.#patterns.findIndex(({ name }) => name === $('colouring').value);
    $('heat-legend').hidden = index < 0 || !this.#answer;
    if (index < 0 || !this.#answer) {
      this.#heat = null;
    } else {
      const { colour } = this.#patterns[index];
      const { values, width, height } = this.#answer;
      if (this.#heat?.values !== values[index]) {
        this.#heat = { values: values[index], map: heatMap(values[index], width, height, colour) };
      }
      $('heat-legend').style.setProperty('--colour', colour);
    }
    this.view.showHeat(this.#heat?.map ?? null);
  }

  #drawGrid() {
    this.view.showGraticule($('graticule').checked ? this.#answer?.about.bounds ?? null : null);
  }
}
