/** ZIP archives, uncompressed. */

import { checksum, joined } from './png.js';

const VERSION = 20; // that is needed to extract: 2.0
const UTF8_NAMES = 0x0800;
const FIRST_DAY = 0x21; // 1980-01-01, as files of unknown age have it

/**
 * @param {{name: string, content: Uint8Array}[]} files
 * @param {string} [type] - of the Blob.
 * @returns {Blob}
 */
export function zip(files, type = 'application/zip') {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, content } of files) {
    const bytes = new TextEncoder().encode(name);
    const shared = [VERSION, UTF8_NAMES, 0, 0, FIRST_DAY];
    const sizes = [checksum(content), content.length, content.length];
    const local = record(0x04034b50, [...shared], sizes, [bytes.length, 0], bytes);
    directory.push(record(
      0x02014b50, [VERSION, ...shared], sizes, [bytes.length, 0, 0, 0, 0, 0, 0], bytes, offset,
    ));
    parts.push(local, content);
    offset += local.length + content.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return new Blob([joined([...parts, ...directory, new Uint8Array(end.buffer)])], { type });
}

/** A header: signature, 16-bit numbers, three 32-bit numbers, 16-bit numbers, the offset of a directory's entry, name. */
function record(signature, before, sizes, after, name, offset = null) {
  const length = 4 + 2 * before.length + 12 + 2 * after.length + (offset === null ? 0 : 4);
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const number of before) at = put16(view, at, number);
  for (const number of sizes) {
    view.setUint32(at, number, true);
    at += 4;
  }
  for (const number of after) at = put16(view, at, number);
  if (offset !== null) view.setUint32(at, offset, true);
  return joined([new Uint8Array(view.buffer), name]);
}

function put16(view, at, number) {
  view.setUint16(at, number, true);
  return at + 2;
}
