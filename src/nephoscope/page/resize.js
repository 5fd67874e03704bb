/** Resizes pictures as Pillow does, and fields of numbers as OpenCV does: the network knows no other. */

const PRECISION = 22; // bits of a weight after the point, as in Pillow
const SUPPORT = 2; // of the bicubic kernel

/**
 * Resize a picture: bicubic, with antialiasing where it shrinks. As `Image.resize` of Pillow with `BICUBIC`.
 * @param {Uint8Array} pixels - `bands` values a pixel, row by row.
 * @param {{width: number, height: number}} from
 * @param {{width: number, height: number}} to
 * @param {number} [bands]
 * @returns {Uint8Array}
 */
export function resizePicture(pixels, from, to, bands = 3) {
  let resized = pixels;
  let { width } = from;
  if (to.width !== width) {
    resized = alongRows(resized, from.height, width, weightsOf(width, to.width), bands);
    width = to.width;
  }
  if (to.height !== from.height) resized = alongColumns(resized, width * bands, weightsOf(from.height, to.height));
  return resized;
}

function bicubic(distance) {
  const x = Math.abs(distance);
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** First source pixel and whole weights of each pixel of a line. */
function weightsOf(from, to) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = SUPPORT * stretch;
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const weights = Array.from({ length: last - first }, (__, k) => bicubic((k + first - centre + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const whole = weights.map((weight) => {
      const scaled = weight / sum * 2 ** PRECISION;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights: Int32Array.from(whole) };
  });
}

function alongRows(pixels, height, width, lines, bands) {
  const resized = new Uint8Array(height * lines.length * bands);
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    const row = y * width * bands;
    for (const { first, weights } of lines) {
      for (let band = 0; band < bands; band += 1) {
        let sum = 0.5 * 2 ** PRECISION;
        let from = row + first * bands + band;
        for (let k = 0; k < weights.length; k += 1, from += bands) sum += pixels[from] * weights[k];
        resized[at] = clipped(sum);
        at += 1;
      }
    }
  }
  return resized;
}

function alongColumns(pixels, across, lines) {
  const resized = new Uint8Array(lines.length * across);
  const sums = new Float64Array(across);
  lines.forEach(({ first, weights }, y) => {
    sums.fill(0.5 * 2 ** PRECISION);
    for (let k = 0; k < weights.length; k += 1) {
      const from = (first + k) * across;
      const weight = weights[k];
      for (let x = 0; x < across; x += 1) sums[x] += pixels[from + x] * weight;
    }
    for (let x = 0; x < across; x += 1) resized[y * across + x] = clipped(sums[x]);
  });
  return resized;
}

function clipped(sum) {
  return Math.max(0, Math.min(255, Math.floor(sum / 2 ** PRECISION)));
}

/**
 * Resize a field: means of areas where it gets coarser, else linear. As `cv2.resize` with `INTER_AREA` or
 * `INTER_LINEAR`, which `nephoscope.inference.postprocess.resample` chooses in the same way.
 * @param {Float32Array | Uint8Array} values - row by row.
 * @param {{width: number, height: number}} from
 * @param {{width: number, height: number}} to
 * @returns {Float32Array | Uint8Array} the same array if the size does not change.
 */
export function resizeField(values, from, to) {
  if (from.width === to.width && from.height === to.height) return values;
  const lines = to.width * to.height < from.width * from.height ? areaLines : linearLines;
  const [across, down] = [lines(from.width, to.width), lines(from.height, to.height)];
  const rows = new Float32Array(to.width * from.height);
  for (let y = 0; y < from.height; y += 1) {
    for (let x = 0; x < to.width; x += 1) {
      const { first, weights } = across[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k += 1) sum += values[y * from.width + first + k] * weights[k];
      rows[y * to.width + x] = sum;
    }
  }
  const resized = new Float32Array(to.width * to.height);
  for (let y = 0; y < to.height; y += 1) {
    const { first, weights } = down[y];
    for (let k = 0; k < weights.length; k += 1) {
      const from0 = (first + k) * to.width;
      for (let x = 0; x < to.width; x += 1) resized[y * to.width + x] += rows[from0 + x] * weights[k];
    }
  }
  return resized;
}

/**
 * Resize a mask: a pixel is on where at least half of its area is. As `resize_mask_by_area` of nephoscope.
 * @param {Uint8Array} mask - 0 and 1.
 * @param {{width: number, height: number}} from
 * @param {{width: number, height: number}} to
 * @returns {Uint8Array}
 */
export function resizeMask(mask, from, to) {
  return Uint8Array.from(resizeField(mask, from, to), (share) => (Math.round(share * 255) >= 128 ? 1 : 0));
}

function linearLines(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    const place = Math.min(from - 1, Math.max(0, (index + 0.5) * scale - 0.5));
    const first = Math.min(Math.floor(place), Math.max(0, from - 2));
    return { first, weights: from === 1 ? [1] : [1 - (place - first), place - first] };
  });
}

function areaLines(from, to) {
  if (from < to) return linearLines(from, to);
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    const [begin, end] = [index * scale, Math.min(from, (index + 1) * scale)];
    const first = Math.floor(begin + 1e-6);
    const last = Math.min(from, Math.ceil(end - 1e-6));
    const weights = Array.from({ length: last - first }, (__, k) => (
      (Math.min(end, first + k + 1) - Math.max(begin, first + k)) / (end - begin)
    ));
    return { first, weights };
  });
}
