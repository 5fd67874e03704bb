/** What files are made of: a picture's patterns under the rules that apply now. */

import { segmentPattern, STEPS } from '../rules.js';

/**
 * @typedef {object} PatternResult
 * @property {string} name
 * @property {string} colour - as CSS has it.
 * @property {Uint8Array} values - probabilities in steps of 1/200, row by row.
 * @property {import('../rules.js').Components} components
 * @property {number} cover - share of the pixels with data, 0 to 1.
 */

/**
 * @typedef {object} Result
 * @property {string} name - of the picture's file.
 * @property {Blob} shown - the picture as a browser can show it.
 * @property {object} about - as the API describes a scene.
 * @property {object} card - the model's.
 * @property {Object<string, import('../rules.js').Rule>} rules - that apply, by pattern.
 * @property {boolean} areRulesChanged - whether they differ from the card's.
 * @property {number} width - of the rules' grid, in pixels.
 * @property {number} height
 * @property {Uint8Array} valid - 1 where there is data.
 * @property {number} withData - how many pixels have data; at least 1.
 * @property {PatternResult[]} patterns - in the card's order.
 * @property {string} nephoscope - version.
 */

/**
 * @param {import('../pictures.js').Picture} picture - with an answer.
 * @param {object} card - the model's.
 * @param {Object<string, object>} changes - of rules, by pattern.
 * @param {{nephoscope: string, patterns: import('../panel.js').Pattern[]}} state - of the engine.
 * @returns {Result}
 */
export function resultOf({ name, shown, answer }, card, changes, { nephoscope, patterns }) {
  const { about, width, height, values, valid, withData } = answer;
  const rules = Object.fromEntries(card.patterns.map((each) => [each, { ...card.rules[each], ...changes[each] }]));
  return {
    name,
    shown,
    about,
    card,
    rules,
    areRulesChanged: Object.keys(changes).length > 0,
    width,
    height,
    valid,
    withData,
    nephoscope,
    patterns: card.patterns.map((each, index) => {
      const score = about.patterns[each].score;
      const components = segmentPattern(values[index], width, height, rules[each], score);
      const area = components.areas.reduce((sum, pixels) => sum + pixels, 0);
      const { colour } = patterns.find((pattern) => pattern.name === each);
      return { name: each, colour, values: values[index], components, cover: area / withData };
    }),
  };
}

/** @param {string} name - of a file. @returns {string} without its ending. */
export function stemOf(name) {
  return name.replace(/\.[^.]*$/, '');
}

/** The rules that a file was made by, and where they come from. @param {Result} result @returns {object} */
export function statedRules({ card, rules, areRulesChanged }) {
  const chosen = areRulesChanged ? 'stated by the user' : card.training?.rules ?? 'not stated';
  return { chosen, ...rules };
}

/** Mean probability of a component's pixels; steps are rounded up, half a step on average. */
export function meanProbability(values, numbers, number) {
  let sum = 0;
  let count = 0;
  for (let index = 0; index < numbers.length; index += 1) {
    if (numbers[index] !== number) continue;
    sum += values[index];
    count += 1;
  }
  return (sum / count - 0.5) / STEPS;
}

/** @param {number} value @param {number} [digits] @returns {number} rounded, without trailing digits. */
export function rounded(value, digits = 4) {
  return Number(value.toFixed(digits));
}
