/** Warns of pictures unlike those that the model was trained on, as `nephoscope.inference.input_check` does. */

const TOO_SMOOTH = 'too smooth';
const MESSAGES = {
  darkest: ['darker water', 'no dark water'],
  contrast: ['too little contrast', 'too much contrast'],
  tint: ['not blue enough', 'too blue'],
  red: ['', 'red in it'],
  grain: [TOO_SMOOTH, 'too grainy'],
};
const DARK = 0.1; // share of the pixels that are darkest
const RED = 8; // by which red exceeds blue, of 255
const STEP = 2; // every second row is measured
const EDGE = 2; // pixels this near to no data are left out
const APART = 4; // pixels
const LEAST_DETAIL = 0.44; // of a scene of 21 x 14 degrees

/**
 * Measure a picture at the network's resolution.
 * @param {Uint8Array} pixels - red, green, blue, row by row.
 * @param {Uint8Array} valid - 1 where there is data.
 * @param {{width: number, height: number}} size
 * @returns {Object<string, number>} empty if there is no data.
 */
export function measure(pixels, valid, { width, height }) {
  const inner = inside(valid, width, height);
  const levels = new Float64Array(256);
  let [count, sum, squares, blueSum, redSum, redder] = [0, 0, 0, 0, 0, 0];
  let [stepSum, steps, strideSum, strides] = [0, 0, 0, 0];
  const grey = new Uint8Array(width);
  for (let y = 0; y < height; y += STEP) {
    const row = y * width;
    for (let x = 0; x < width; x += 1) {
      const at = (row + x) * 3;
      const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
      grey[x] = (red * 9798 + green * 19235 + blue * 3735 + (1 << 14)) >> 15;
      if (!inner[row + x]) continue;
      count += 1;
      levels[grey[x]] += 1;
      sum += grey[x];
      squares += grey[x] ** 2;
      redSum += red;
      blueSum += blue;
      if (red - blue > RED) redder += 1;
    }
    for (let x = 1; x < width; x += 1) {
      if (!inner[row + x]) continue;
      stepSum += Math.abs(grey[x] - grey[x - 1]);
      steps += 1;
      if (x >= APART && inner[row + x - APART]) {
        strideSum += Math.abs(grey[x] - grey[x - APART]);
        strides += 1;
      }
    }
  }
  if (!count) return {};
  const contrast = Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
  const step = steps ? stepSum / steps : 0;
  let darkest = 0;
  for (let below = levels[0]; below < DARK * count; below += levels[darkest]) darkest += 1;
  return {
    darkest,
    contrast,
    tint: (blueSum - redSum) / count,
    red: redder / count,
    grain: step / Math.max(1, contrast),
    detail: step / Math.max(1, strides ? strideSum / strides : 0),
  };
}

/** Where there is data, and no missing data within `EDGE` pixels. */
function inside(valid, width, height) {
  const missing = valid.indexOf(0) >= 0;
  if (!missing) return valid;
  const inner = valid.slice();
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (valid[y * width + x]) continue;
      for (let row = Math.max(0, y - EDGE); row <= Math.min(height - 1, y + EDGE); row += 1) {
        inner.fill(0, row * width + Math.max(0, x - EDGE), row * width + Math.min(width - 1, x + EDGE) + 1);
      }
    }
  }
  return inner;
}

/**
 * Why results may be unreliable.
 * @param {Object<string, number>} measured
 * @param {object} card - of the model.
 * @param {{width: number, height: number} | null} assumed - degrees that the picture is taken to span; null where
 *   they are known.
 * @returns {string[]}
 */
export function warningsOf(measured, card, assumed) {
  if (!Object.keys(measured).length) return ['no data: all pixels are black or missing, so its masks are empty'];
  const reasons = Object.entries(card.scope ?? {}).flatMap(([name, [least, most]]) => (
    measured[name] < least || measured[name] > most ? [MESSAGES[name][measured[name] > most ? 1 : 0]] : []
  ));
  if (assumed && measured.detail < LEAST_DETAIL && reasons.every((reason) => reason === TOO_SMOOTH)) {
    const [width, height] = [assumed.width, assumed.height].map((side) => Number(side.toPrecision(3)));
    return [
      `too smooth for the assumed ${width} x ${height} degrees: it shows less, or has too few pixels; `
      + 'state the place that it shows',
    ];
  }
  return reasons.length
    ? [`unlike the pictures that the model ${card.name} was trained on (${reasons.join(', ')}): results may be unreliable`]
    : [];
}
