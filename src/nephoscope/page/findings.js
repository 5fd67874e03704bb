/** What was found in the picture shown, under the rules as the panel has them: drawn at once, told when all rests. */

import { PatternRow, RegionTable } from './panel.js';
import { describeRegions } from './regions.js';
import { findGroups, STEPS } from './rules.js';
import { percent, whole } from './words.js';

const RESTS = 250; // ms without a move, after which tables and readers are told what sliders changed

const $ = (id) => document.getElementById(id);

/** @typedef {import('./regions.js').Region} Region */

export class Findings {
  /** @type {PatternRow[]} one a pattern, in the card's order */
  #rows = [];
  #colours = new Map();
  /** @type {import('./pictures.js').Answer | null} */
  #answer = null;
  /** One entry a pattern: its groups, its regions, and how many pixels they have. */
  #found = [];
  /** Patterns whose rules moved since the last frame. */
  #moved = new Set();
  #resting = 0;

  /**
   * @param {import('./view.js').View} view
   * @param {{chosen: (region: Region) => void, hidden: () => void}} told - of a region that is chosen in the table,
   *   and of patterns that come in and out of sight.
   */
  constructor(view, { chosen, hidden }) {
    this.view = view;
    this.hidden = hidden;
    this.table = new RegionTable($('regions'), $('regions-note'), {
      point: (regions) => view.mark(regions),
      choose: chosen,
    });
    $('absent').addEventListener('change', () => this.#moveAll());
    $('reset').addEventListener('click', () => this.reset());
    const sayOpacity = () => { $('opacity-value').textContent = percent(this.#opacity); };
    $('opacity').addEventListener('input', () => {
      sayOpacity();
      this.#draw();
    });
    sayOpacity();
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

  /** @param {import('./pictures.js').Answer | null} answer - of the picture shown; null where there is none yet. */
  show(answer) {
    if (answer !== this.#answer) {
      this.#answer = answer;
      this.#found = [];
    }
    if (!answer) this.#rows.forEach((row) => row.say(null));
    this.#findAndDraw();
    this.#tell();
  }

  /** Back to the model's rules. */
  reset() {
    this.#rows.forEach((row) => row.reset());
    $('absent').checked = false;
    this.#moveAll();
  }

  /** Rules that differ from the model's, by pattern, as the server takes them. */
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

  /** @param {{x: number, y: number}} pixel - of the grid. @returns {Region[]} those in sight that hold it. */
  regionsAt({ x, y }) {
    return this.#found.flatMap(({ groups, regions }, index) => {
      const number = groups.numbers[y * this.#answer.width + x];
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
        this.#findAndDraw();
        clearTimeout(this.#resting);
        this.#resting = setTimeout(() => this.#tell(), RESTS);
      });
    }
    for (const index of indices) this.#moved.add(index);
  }

  #toggle() {
    this.#draw();
    this.#tell();
    this.hidden();
  }

  #findAndDraw() {
    if (this.#answer) {
      this.#rows.forEach((_, index) => {
        if (this.#moved.has(index) || !this.#found[index]) this.#find(index);
      });
    }
    this.#moved.clear();
    this.#draw();
    const changed = Object.keys(this.changedRules).length > 0;
    $('reset').disabled = !changed;
    $('rules-note').textContent = changed ? 'Rules are changed, for all pictures and in all files.' : '';
  }

  #find(index) {
    const { about, values, width, height, withData } = this.#answer;
    const row = this.#rows[index];
    const rule = ruleNow(row);
    const groups = findGroups(values[index], width, height, rule, about.patterns[row.name].score);
    const limit = Math.round(rule.threshold * STEPS);
    const grid = { width, height, withData, limit, bounds: about.bounds };
    const pixels = groups.areas.reduce((sum, area) => sum + area, 0);
    this.#found[index] = { groups, regions: describeRegions(row.name, groups, values[index], grid), pixels };
    row.say(pixels / withData, `${whole(pixels)} of ${whole(withData)} pixels with data`);
    row.sayScore(about.patterns[row.name].score);
  }

  #draw() {
    const layers = this.#found.flatMap(({ regions }, index) => {
      const { name, shown } = this.#rows[index];
      return shown.checked ? [{ name, colour: this.#colours.get(name), regions }] : [];
    });
    this.view.showLayers(this.#answer, layers, this.#opacity);
  }

  #tell() {
    const words = this.#inWords();
    if ($('summary').textContent !== words) $('summary').textContent = words;
    $('marks').setAttribute('aria-label', words || 'Nothing was found yet');
    const inSight = this.#found.filter((_, index) => this.#rows[index].shown.checked);
    this.table.show(inSight.flatMap(({ regions }) => regions), this.#colours);
  }

  #inWords() {
    if (!this.#found.length) return '';
    if (!this.#answer.anyData) return 'No data in this picture';
    const covers = this.#found.flatMap(({ pixels }, index) => (
      pixels ? [`${this.#rows[index].name} ${percent(pixels / this.#answer.withData)}`] : []
    ));
    return covers.join(', ') || 'No pattern found';
  }
}

/** The rule that is in force for a pattern. */
function ruleNow(row) {
  return $('absent').checked ? { ...row.rule, presence: 0, least_cover: 0 } : row.rule;
}
