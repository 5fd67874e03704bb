/** Reads NPZ: zip archives of .npy files, as `numpy.savez` and the server write them. */

import { through } from './streams.js';

const END_OF_DIRECTORY = 0x06054b50;
const END_BYTES = 22;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

const KINDS = {
  '|u1': Uint8Array,
  '|b1': Uint8Array,
  '<f4': Float32Array,
  '<i4': Int32Array,
};

/**
 * One array.
 * @typedef {object} Member
 * @property {number[]} shape
 * @property {Uint8Array | Float32Array | Int32Array} data - in C order; booleans are 0 and 1.
 */

/**
 * Read an archive.
 * @param {ArrayBuffer} buffer - the whole file.
 * @returns {Promise<Map<string, Member>>} its arrays by name, without `.npy`.
 * @throws {Error} it is not an NPZ file, or is truncated.
 */
export async function readNpz(buffer) {
  const members = new Map();
  for (const { name, method, packed } of entries(new DataView(buffer))) {
    const bytes = method === STORED ? packed : await through(packed, new DecompressionStream('deflate-raw'));
    members.set(name.replace(/\.npy$/, ''), readNpy(bytes));
  }
  return members;
}

function* entries(view) {
  let end = view.byteLength - END_BYTES;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end -= 1;
  if (end < 0) throw new Error('truncated response: no zip directory');
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  for (let index = 0; index < count; index += 1) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error('damaged response: no zip entry');
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 20, true);
    const nameLength = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    if (method !== STORED && method !== DEFLATED) throw new Error(`unsupported zip method ${method}`);
    // The local header repeats the name, and may have other extra fields than the directory.
    const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    yield {
      name: new TextDecoder().decode(new Uint8Array(view.buffer, at + 46, nameLength)),
      method,
      packed: new Uint8Array(view.buffer, begin, size),
    };
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
}

function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0x934e554d) throw new Error('damaged response: not a NumPy array');
  const long = view.getUint8(6) > 1; // from version 2 on the header's length takes four bytes
  const begin = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(begin, begin + length));
  const kind = KINDS[/'descr': '([^']+)'/.exec(header)?.[1]];
  if (!kind || /'fortran_order': True/.test(header)) throw new Error(`unsupported array: ${header}`);
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(',').filter((side) => side.trim()).map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  const data = bytes.slice(begin + length, begin + length + count * kind.BYTES_PER_ELEMENT);
  return { shape, data: new kind(data.buffer) };
}
