/** Masks at the picture's own size, one PNG a pattern, in a ZIP archive. */

import { resizeMask } from '../resize.js';
import { maskPng } from './png.js';
import { stemOf } from './result.js';
import { zip } from './zip.js';

/**
 * @param {import('./result.js').Result} result
 * @returns {Promise<Blob>}
 */
export async function masksZip(result) {
  return zip(await maskFiles(result));
}

/**
 * @param {import('./result.js').Result} result
 * @returns {Promise<{name: string, content: Uint8Array}[]>} a file a pattern.
 */
export async function maskFiles(result) {
  const { about, width, height, valid, patterns } = result;
  const size = { width: about.width, height: about.height };
  const data = resizeMask(valid, { width, height }, size);
  const stem = stemOf(result.name);
  const files = [];
  for (const { name, colour, components } of patterns) {
    const on = Uint8Array.from(components.numbers, (number) => (number ? 1 : 0));
    const mask = resizeMask(on, { width, height }, size).map((each, index) => each & data[index]);
    files.push({ name: `${stem}_${name}.png`, content: await maskPng(mask, size.width, size.height, colour) });
  }
  return files;
}
