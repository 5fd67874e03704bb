/** The panel beside the picture: patterns with their rules, and the table of regions. */

import { element } from './element.js';
import { STEPS } from './rules.js';
import { percent, squareKilometres, whole } from './words.js';

const LARGEST_AREA = 0.2; // of the grid; the largest minimum area that can be set
const AREA_STEPS = [250, 50, 10, 1]; // px; the coarsest that meets the model's own minimum area
const MOST_ROWS = 60;

/**
 * A pattern as the server describes it.
 * @typedef {object} Pattern
 * @property {string} name
 * @property {string} colour - as CSS has it.
 * @property {string} meaning - one line.
 */

/**
 * A typical picture of a pattern. The server has one of each default pattern; without one, nothing is shown.
 * @param {Pattern} pattern
 * @returns {HTMLElement}
 */
export function typicalPicture({ name }) {
  const picture = element('img', {
    src: `patterns/${encodeURIComponent(name)}.jpg`, alt: '', width: 240, height: 160,
    loading: 'lazy', className: 'typical',
  });
  picture.addEventListener('error', () => picture.remove());
  return picture;
}

/**
 * A line of the legend; its picture opens an example.
 * @param {Pattern} pattern
 * @param {(name: string, address: string) => void} open - called with the example's name and address.
 * @returns {HTMLElement}
 */
export function legendEntry(pattern, open) {
  const picture = typicalPicture(pattern);
  const example = element('button', {
    type: 'button', className: 'example', 'aria-label': `Open a made-up scene of ${pattern.name}`,
  }, picture);
  const file = `${encodeURIComponent(pattern.name)}.jpg`;
  example.addEventListener('click', () => open(`made-up_${pattern.name}.jpg`, `examples/${file}`));
  picture.addEventListener('error', () => example.remove());
  const entry = element(
    'li', {}, example,
    element('h3', {}, element('span', { className: 'swatch' }), pattern.name),
    element('p', {}, pattern.meaning),
  );
  entry.style.setProperty('--colour', pattern.colour);
  return entry;
}

/** One pattern: whether it is shown, its area fraction, and sliders for two of its rules. */
export class PatternRow {
  /**
   * @param {Pattern} pattern
   * @param {import('./rules.js').Rule} rule - the model's own.
   * @param {number} pixels - of the rules' grid.
   * @param {{moved: () => void, toggled: () => void}} handlers - for the sliders and for the switch.
   */
  constructor(pattern, rule, pixels, { moved, toggled }) {
    const { name, colour, meaning } = pattern;
    this.name = name;
    this.card = rule;
    this.pixels = pixels;
    this.shown = element('input', { type: 'checkbox', checked: true });
    this.cover = element('span', { className: 'cover' });
    this.threshold = element('input', { type: 'range', min: 0, max: STEPS, step: 1 });
    this.area = element('input', {
      type: 'range', min: 0, max: Math.max(LARGEST_AREA * pixels, rule.minimum_area),
      step: AREA_STEPS.find((step) => rule.minimum_area % step === 0),
    });
    this.thresholdWords = element('span');
    this.areaWords = element('span');
    this.brief = element('span', { className: 'brief' });
    this.meter = element('div', { className: 'meter', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '1' });
    this.meter.append(element('i'), element('b'));
    this.meter.style.setProperty('--least', rule.presence);
    this.score = element('span', { className: 'number' });
    this.chance = element('p', { className: 'faint' });
    this.presence = element('div', { className: 'presence' }, element('span', {}, 'Presence'), this.meter, this.score);
    const of = element('span', { className: 'unseen' }, ` of ${name}`);
    this.element = element(
      'li', { className: 'pattern' },
      element('label', { className: 'show' }, this.shown, element('span', {}, name)),
      this.cover,
      typicalPicture(pattern),
      element('p', { className: 'meaning' }, meaning),
      this.presence,
      element(
        'details', {},
        element('summary', {}, 'Rules', of, this.brief),
        slider('Pixel threshold', of.cloneNode(true), this.thresholdWords, this.threshold),
        slider('Minimum area', of.cloneNode(true), this.areaWords, this.area),
        this.chance,
      ),
    );
    this.element.style.setProperty('--colour', colour);
    this.shown.addEventListener('change', toggled);
    for (const input of [this.threshold, this.area]) {
      input.addEventListener('input', () => {
        this.#showRule();
        moved();
      });
    }
    this.reset();
  }

  /** Reset to the model's rule. */
  reset() {
    this.threshold.value = Math.round(this.card.threshold * STEPS);
    this.area.value = this.card.minimum_area;
    this.#showRule();
  }

  /** Move its sliders. @param {{threshold?: number, minimum_area?: number}} rule */
  change({ threshold, minimum_area: area }) {
    if (threshold !== undefined) this.threshold.value = Math.round(threshold * STEPS);
    if (area !== undefined) this.area.value = area;
    this.#showRule();
  }

  /** The model's rule with the values of the sliders. @returns {import('./rules.js').Rule} */
  get rule() {
    return {
      ...this.card,
      threshold: Number(this.threshold.value) / STEPS,
      minimum_area: Number(this.area.value),
    };
  }

  /**
   * @param {number | null} cover - 0 to 1; null until there is an answer.
   * @param {string} [counted] - the same in pixels.
   */
  setCover(cover, counted = '') {
    this.cover.title = counted;
    this.cover.textContent = cover === null ? '–' : cover ? `covers ${percent(cover)}` : 'not found';
    this.element.classList.toggle('missing', !cover);
    this.element.style.setProperty('--cover', cover ?? 0);
  }

  /**
   * @param {number | null} score - by which presence is decided, 0 to 1; null until there is an answer.
   * @param {number | null} probability - that people would draw the pattern; null if the model is not calibrated.
   */
  setScore(score, probability) {
    this.presence.hidden = score === null;
    if (score === null) return;
    const least = this.card.presence;
    const words = `${score.toFixed(2)}; the pattern counts as present from ${least.toFixed(2)}`;
    this.meter.style.setProperty('--score', score);
    this.meter.setAttribute('aria-label', `Presence score of ${this.name}`);
    this.meter.setAttribute('aria-valuenow', score.toFixed(3));
    this.meter.setAttribute('aria-valuetext', words);
    this.presence.title = `Presence score ${words}`;
    this.presence.classList.toggle('reached', score >= least);
    this.score.textContent = score.toFixed(2);
    this.chance.textContent = [
      `Presence score ${score.toFixed(3)}; present from ${least.toFixed(2)}.`,
      probability === null ? '' : `People would draw it in ${percent(probability)} of such pictures.`,
    ].join(' ').trim();
  }

  #showRule() {
    const { threshold, minimum_area: area } = this.rule;
    const share = `${(100 * area / this.pixels).toFixed(1)}\u202f%`;
    this.thresholdWords.textContent = threshold.toFixed(3);
    this.areaWords.textContent = `${whole(area)} px, ${share}`;
    this.brief.textContent = `pixels above ${threshold.toFixed(3).replace(/0$/, '')}, regions from ${share}`;
    this.threshold.setAttribute('aria-valuetext', threshold.toFixed(3));
    this.area.setAttribute('aria-valuetext', `${whole(area)} pixels, ${share} of the picture`);
  }
}

function slider(...children) {
  return element('label', { className: 'slider' }, ...children);
}

/**
 * A region's area and mean probability as text.
 * @param {import('./regions.js').Region} region
 * @returns {string[]}
 */
export function regionInWords({ cover, km2, probability }) {
  return [
    `${percent(cover)} of the picture`,
    ...(km2 === null ? [] : [squareKilometres(km2)]),
    ...(probability === null ? [] : [`mean probability ${probability.toFixed(2)}`]),
  ];
}

/** The table of regions; its rows can be hovered and focused. */
export class RegionTable {
  /**
   * @param {HTMLTableElement} table
   * @param {HTMLElement} note
   * @param {{point: (regions: import('./regions.js').Region[]) => void,
   *   choose: (region: import('./regions.js').Region) => void}} handlers
   */
  constructor(table, note, handlers) {
    this.table = table;
    this.note = note;
    this.handlers = handlers;
  }

  /**
   * @param {import('./regions.js').Region[]} regions
   * @param {Map<string, string>} colours - by pattern.
   */
  show(regions, colours) {
    const largest = [...regions].sort((one, other) => other.area - one.area).slice(0, MOST_ROWS);
    const focused = [...this.table.tBodies[0].rows].findIndex((row) => row.contains(document.activeElement));
    this.table.tBodies[0].replaceChildren(...largest.map((region) => this.#row(region, colours.get(region.pattern))));
    this.table.tBodies[0].rows[Math.min(focused, largest.length - 1)]?.querySelector('button').focus();
    this.table.hidden = !largest.length;
    this.table.classList.toggle('placed', largest.some(({ km2 }) => km2 !== null));
    const left = regions.length - largest.length;
    if (left) this.note.textContent = `and ${whole(left)} smaller ones`;
    else this.note.textContent = regions.length ? '' : 'No regions are shown.';
  }

  #row(region, colour) {
    const words = [region.pattern, ...regionInWords(region)].join(', ');
    const name = element(
      'button', { type: 'button', className: 'region', 'aria-label': `${words}. Zoom to it` },
      element('span', { className: 'swatch' }), region.pattern,
    );
    const row = element(
      'tr', {},
      element('th', { scope: 'row' }, name),
      element('td', {}, percent(region.cover)),
      element('td', { className: 'km2' }, region.km2 === null ? '' : squareKilometres(region.km2)),
      element('td', {}, region.probability.toFixed(2)),
    );
    row.style.setProperty('--colour', colour);
    const { point, choose } = this.handlers;
    for (const event of ['pointerenter', 'focusin']) row.addEventListener(event, () => point([region]));
    for (const event of ['pointerleave', 'focusout']) row.addEventListener(event, () => point([]));
    row.addEventListener('click', () => choose(region));
    return row;
  }
}
