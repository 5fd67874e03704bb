/** Writes NPZ, as the server answers programs: `probabilities`, `valid`, `about`, `card` and `heads`. */

import { joined } from '../files/png.js';
import { zip } from '../files/zip.js';

/**
 * @param {{about: object, card: object, width: number, height: number, probabilities: Float32Array[],
 *   valid: Uint8Array, heads: Float32Array | null}} prediction
 * @returns {Blob}
 */
export function npz({ about, card, width, height, probabilities, valid, heads }) {
  const fields = joined(probabilities.map((field) => new Uint8Array(field.buffer, field.byteOffset, field.byteLength)));
  const text = (value) => new TextEncoder().encode(JSON.stringify(value));
  const members = [
    ['probabilities', '<f4', [probabilities.length, height, width], fields],
    ['valid', '|b1', [height, width], valid],
    ...[['about', about], ['card', card]].map(([name, value]) => [name, '|u1', [text(value).length], text(value)]),
    ...(heads ? [['heads', '<f4', [heads.length], new Uint8Array(heads.slice().buffer)]] : []),
  ];
  const files = members.map(([name, type, shape, bytes]) => ({ name: `${name}.npy`, content: npy(type, shape, bytes) }));
  return zip(files, 'application/x-npz');
}

function npy(type, shape, bytes) {
  const sides = `${shape.join(', ')}${shape.length === 1 ? ',' : ''}`;
  const words = `{'descr': '${type}', 'fortran_order': False, 'shape': (${sides}), }`;
  const padded = words.padEnd(Math.ceil((words.length + 11) / 64) * 64 - 11) + '\n';
  const start = new Uint8Array(10);
  start.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  return joined([start, new TextEncoder().encode(padded), bytes]);
}
