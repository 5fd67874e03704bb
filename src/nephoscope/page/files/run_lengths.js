/** Run lengths of masks as the contest of 2019 has them. */

/**
 * Pairs of start and length; pixels are counted from 1, column by column.
 * @param {Uint8Array} mask - row by row.
 * @param {{width: number, height: number}} size
 * @param {number} [bit] - that is set inside.
 * @returns {string} empty for an empty mask.
 */
export function runLengths(mask, { width, height }, bit = 1) {
  const runs = [];
  let length = 0;
  for (let x = 0, count = 1; x < width; x += 1) {
    for (let place = x; place < mask.length; place += width, count += 1) {
      if (mask[place] & bit) {
        length += 1;
      } else if (length) {
        runs.push(count - length, length);
        length = 0;
      }
    }
  }
  if (length) runs.push(width * height + 1 - length, length);
  return runs.join(' ');
}
