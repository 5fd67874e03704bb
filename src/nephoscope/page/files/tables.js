/** Tables: run lengths as the contest of 2019 wants them, and covers. */

import { resizeMask } from '../resize.js';
import { runLengths } from './run_lengths.js';

const CONTEST = { width: 525, height: 350 };

/**
 * Run lengths of all masks on 350 x 525, as `nephoscope segment --format csv` writes them.
 * @param {import('./result.js').Result[]} results
 * @returns {Blob}
 */
export function contestCsv(results) {
  const lines = results.flatMap((result) => result.patterns.map(({ name, components }) => (
    `${quoted(`${result.name}_${name}`)},${runLengths(contestMask(result, components.numbers), CONTEST)}`
  )));
  return new Blob([['Image_Label,EncodedPixels', ...lines, ''].join('\n')], { type: 'text/csv' });
}

function contestMask({ width, height, valid }, numbers) {
  const mask = Uint8Array.from(numbers, (number) => (number ? 1 : 0));
  if (width === CONTEST.width && height === CONTEST.height) return mask;
  const resized = resizeMask(mask, { width, height }, CONTEST);
  const data = resizeMask(valid, { width, height }, CONTEST);
  return resized.map((on, index) => on & data[index]);
}

/**
 * A row a picture: what is known of it, and each pattern's cover and probability of presence.
 * @param {import('./result.js').Result[]} results
 * @returns {Blob}
 */
export function coversCsv(results) {
  const patterns = results[0].card.patterns;
  const header = [
    'scene', 'satellite', 'date', 'west', 'south', 'east', 'north', 'valid',
    ...patterns.map((name) => `${name} cover`), ...patterns.map((name) => `${name} presence probability`),
  ];
  const rows = results.map(({ name, about, patterns: covered }) => [
    name, about.satellite, about.date,
    ...['west', 'south', 'east', 'north'].map((edge) => about.bounds?.[edge]),
    about.valid,
    ...covered.map(({ cover }) => cover.toFixed(4)),
    ...patterns.map((each) => about.patterns[each].probability),
  ]);
  const lines = [header, ...rows].map((row) => row.map((value) => quoted(String(value ?? ''))).join(','));
  return new Blob([`${lines.join('\n')}\n`], { type: 'text/csv' });
}

/** A value of a CSV file. @param {string} text @returns {string} */
export function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
