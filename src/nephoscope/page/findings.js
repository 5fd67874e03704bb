/** Results for the current picture under the rules of the panel: drawn at once, listed when the sliders rest. */

import { coversInWords } from './covers.js';
import { PatternRow, RegionTable } from './panel.js';
import { describeRegions } from './regions.js';
import { segmentPattern, STEPS } from './rules.js';
import { percent, whole } from './words.js';

const SETTLED = 250; // ms without a move, after which the table and screen readers are updated

const $ = (id) => document.getElementById(id);

/** @typedef {import('./regions.js').Region} Region */

export class Findings {
  /** @type {PatternRow[]} one per pattern, in the card's order */
  #rows = [];
  #colours = new Map();
  /** @type {import('./pictures.js').Answer | null} */
  #answer = null;
  /** One entry per pattern: its components, its regions, and their pixel count. */
  #results = [];
  /** Patterns whose rules moved since the last frame. */
  #moved = new Set();
  #resting = 0;

  /**
   * @param {import('./view.js').View} view
   * @param {{chosen: (region: Region) => void, hidden: () => void, settled: () => void}} handlers - for a region
   *   that is chosen in the table, for patterns that are shown or hidden, and for sliders that rest.
   */
  constructor(view, { chosen, hidden, settled }) {
    this.view = view;
    this.hidden = hidden;
    this.settled = settled;
    this.table = new RegionTable($('regions'), $('regions-note'), {
      point: (regions) => view.mark(regions),
      choose: chosen,
    });
    $('absent').addEventListener('change', () => this.#moveAll());
    $('reset').addEventListener('click', () => this.reset());
    const showOpacity = () => { $('opacity-value').textContent = percent(this.#opacity); };
    $('opacity').addEventListener('input', () => {
      showOpacity();
      this.#draw();
    });
    showOpacity();
  }

  /**
   * @param {object} card - the model's.
   * @param {import('./panel.js').Pattern[]} patterns
   */
  begin(card, patterns) {
    const [height, width] = card.grid;
    this.#colours = new Map(patterns.map(({ name, colour }) => [name, colour]));
    this.#rows = card.patterns.map((name, index) => new PatternRow(
      patterns.find((pattern) => pattern.name === name), card.rules[name], height * width,
      { moved: () => this.#move([index]), toggled: () => this.#toggle() },
    ));
    $('patterns').replaceChildren(...this.#rows.map((row) => row.element));
  }

  /** @param {import('./pictures.js').Answer | null} answer - of the current picture; null until it arrives. */
  show(answer) {
    if (answer !== this.#answer) {
      this.#answer = answer;
      this.#results = [];
    }
    if (!answer) {
      for (const row of this.#rows) {
        row.setCover(null);
        row.setScore(null, null);
      }
    }
    this.#updateAndDraw();
    this.#announce();
  }

  /** Reset to the model's rules. */
  reset() {
    this.#rows.forEach((row) => row.reset());
    $('absent').checked = false;
    this.#moveAll();
  }

  /** Change rules. @param {Object<string, object>} rules - attributes by pattern, as `changedRules` gives them. */
  change(rules) {
    const isAbsentShown = Object.values(rules).some(({ presence }) => presence === 0);
    if (isAbsentShown) $('absent').checked = true;
    for (const row of this.#rows) row.change(rules[row.name] ?? {});
    this.#moveAll();
  }

  /** Rules that differ from the card's, by pattern, as the API takes them. */
  get changedRules() {
    const differing = this.#rows.map((row) => {
      const entries = Object.entries(ruleNow(row)).filter(([name, value]) => value !== row.card[name]);
      return [row.name, Object.fromEntries(entries)];
    });
    return Object.fromEntries(differing.filter(([, rule]) => Object.keys(rule).length));
  }

  get someHidden() {
    return this.#rows.some((row) => !row.shown.checked);
  }

  /** @param {{x: number, y: number}} pixel - of the grid. @returns {Region[]} visible ones that contain it. */
  regionsAt({ x, y }) {
    return this.#results.flatMap(({ components, regions }, index) => {
      const number = components.numbers[y * this.#answer.width + x];
      return number && this.#rows[index].shown.checked ? [regions[number - 1]] : [];
    });
  }

  get #opacity() {
    return Number($('opacity').value) / 100;
  }

  #moveAll() {
    this.#move(this.#rows.keys());
  }

  #move(indices) {
    if (!this.#moved.size) {
      requestAnimationFrame(() => {
        this.#updateAndDraw();
        clearTimeout(this.#resting);
        this.#resting = setTimeout(() => {
          this.#announce();
          this.settled();
        }, SETTLED);
      });
    }
    for (const index of indices) this.#moved.add(index);
  }

  #toggle() {
    this.#draw();
    this.#announce();
    this.hidden();
  }

  #updateAndDraw() {
    if (this.#answer) {
      this.#rows.forEach((_, index) => {
        if (this.#moved.has(index) || !this.#results[index]) this.#update(index);
      });
    }
    this.#moved.clear();
    this.#draw();
    const changed = Object.keys(this.changedRules).length > 0;
    $('reset').disabled = !changed;
    $('rules-note').textContent = changed ? 'Rules are changed for all pictures and in all files.' : '';
  }

  #update(index) {
    const { about, values, width, height, withData } = this.#answer;
    const row = this.#rows[index];
    const rule = ruleNow(row);
    const components = segmentPattern(values[index], width, height, rule, about.patterns[row.name].score);
    const limit = Math.round(rule.threshold * STEPS);
    const grid = { width, height, withData, limit, bounds: about.bounds };
    const pixels = components.areas.reduce((sum, area) => sum + area, 0);
    this.#results[index] = { components, regions: describeRegions(row.name, components, values[index], grid), pixels };
    row.setCover(pixels / withData, `${whole(pixels)} of ${whole(withData)} pixels with data`);
    row.setScore(about.patterns[row.name].score, about.patterns[row.name].probability ?? null);
  }

  /** @returns {import('./view.js').Layer[]} regions of the patterns that are shown. */
  get layers() {
    return this.#results.flatMap(({ regions }, index) => {
      const { name, shown } = this.#rows[index];
      return shown.checked ? [{ name, colour: this.#colours.get(name), regions }] : [];
    });
  }

  #draw() {
    this.view.showLayers(this.#answer, this.layers, this.#opacity);
  }

  #announce() {
    const summary = this.#summary();
    if ($('summary').textContent !== summary) $('summary').textContent = summary;
    $('marks').setAttribute('aria-label', summary || 'No results yet');
    const visible = this.#results.filter((_, index) => this.#rows[index].shown.checked);
    this.table.show(visible.flatMap(({ regions }) => regions), this.#colours);
  }

  #summary() {
    if (!this.#results.length) return '';
    if (!this.#answer.anyData) return 'No data in this picture';
    const covers = this.#results.map(({ pixels }, index) => (
      { name: this.#rows[index].name, cover: pixels / this.#answer.withData }
    ));
    return coversInWords({ patterns: covers }) || 'No pattern found';
  }
}

/** The rule that applies to a pattern. */
function ruleNow(row) {
  return $('absent').checked ? { ...row.rule, presence: 0, least_cover: 0 } : row.rule;
}
