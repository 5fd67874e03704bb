/** Decodes a picture: pixels, and where there is no data. As `nephoscope.imagery` does. */

const BLACK = 10; // of 255: no data is black, and JPEG's ringing at its edge stays below this
const LEAST_SHARE = 0.0005; // of the picture: a smaller black patch is a shadow
const LEAST_SIDE = 32; // px
const LONGEST = 20; // times the shorter side
const MOST_PIXELS = 60_000_000; // 240 MB once decoded
const FACTORS = [8, 4, 2]; // by which a JPEG is decoded more coarsely

/** A picture that cannot be used; the message says why. */
export class PictureError extends Error {}

/**
 * A decoded picture.
 * @typedef {object} Raster
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} pixels - red, green, blue, row by row.
 * @property {Uint8Array} valid - 1 where there is data.
 */

/**
 * Open a picture.
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<{width: number, height: number, read: (least: {width: number, height: number}) => Raster}>}
 *   its size, and a function that decodes it once; a JPEG is decoded at a half, a quarter or an eighth of its
 *   size where that is at least `least`.
 * @throws {PictureError} not a picture that browsers read, too large, too small or too narrow.
 */
export async function openPicture(file, name) {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (!file.size) throw new PictureError(`${name}: the file is empty`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch {
    const tiff = (start[0] === 0x49 && start[1] === 0x49) || (start[0] === 0x4d && start[1] === 0x4d);
    throw new PictureError(tiff
      ? `${name}: browsers do not read TIFF; convert it to PNG, or use the command nephoscope segment`
      : `${name}: not a readable JPEG, PNG or WebP picture, or damaged`);
  }
  const { width, height } = bitmap;
  try {
    checkSize(name, width, height);
  } catch (error) {
    bitmap.close();
    throw error;
  }
  const isJpeg = start[0] === 0xff && start[1] === 0xd8;
  return {
    width,
    height,
    read(least) {
      const factor = isJpeg ? coarsest(width, height, least) : 1;
      const raster = withoutData(rgb(bitmap, factor));
      bitmap.close();
      return raster;
    },
  };
}

function checkSize(name, width, height) {
  const size = `${name}: ${width} x ${height} px`;
  if (Math.min(width, height) < LEAST_SIDE) {
    throw new PictureError(`${size} is too small: at least ${LEAST_SIDE} a side`);
  }
  if (Math.max(width, height) > LONGEST * Math.min(width, height)) {
    throw new PictureError(`${size} is more than ${LONGEST} times as long as wide`);
  }
  if (width * height > MOST_PIXELS) {
    throw new PictureError(`${size} is over the limit of ${MOST_PIXELS.toLocaleString('en')} pixels`);
  }
}

/** The factor at which Pillow would decode a JPEG of this size. */
function coarsest(width, height, least) {
  const most = Math.min(Math.floor(width / least.width), Math.floor(height / least.height));
  return FACTORS.find((factor) => factor <= most) ?? 1;
}

/**
 * Read pixels in strips, as means of squares of `factor` pixels: what libjpeg's reduced inverse transforms give.
 * @param {ImageBitmap} bitmap
 * @param {number} factor
 * @returns {{width: number, height: number, pixels: Uint8Array, transparent: Uint8Array | null}}
 */
function rgb(bitmap, factor) {
  const width = Math.ceil(bitmap.width / factor);
  const height = Math.ceil(bitmap.height / factor);
  const pixels = new Uint8Array(width * height * 3);
  let transparent = null;
  const rows = Math.max(1, Math.floor(1_000_000 / bitmap.width / factor)); // of the result in one strip
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(bitmap.height, rows * factor));
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    const wanted = Math.min(rows * factor, bitmap.height - top * factor);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, top * factor, bitmap.width, wanted, 0, 0, bitmap.width, wanted);
    const { data } = pen.getImageData(0, 0, bitmap.width, wanted);
    for (let y = 0; y < Math.ceil(wanted / factor); y += 1) {
      for (let x = 0; x < width; x += 1) {
        const index = (top + y) * width + x;
        let [red, green, blue, clear, count] = [0, 0, 0, 0, 0];
        const bottom = Math.min(wanted, (y + 1) * factor);
        const right = Math.min(bitmap.width, (x + 1) * factor);
        for (let row = y * factor; row < bottom; row += 1) {
          for (let column = x * factor; column < right; column += 1) {
            const at = (row * bitmap.width + column) * 4;
            red += data[at];
            green += data[at + 1];
            blue += data[at + 2];
            clear += data[at + 3] === 0;
            count += 1;
          }
        }
        pixels[index * 3] = Math.round(red / count);
        pixels[index * 3 + 1] = Math.round(green / count);
        pixels[index * 3 + 2] = Math.round(blue / count);
        if (clear) {
          transparent ??= new Uint8Array(width * height);
          transparent[index] = 1;
        }
      }
    }
  }
  return { width, height, pixels, transparent };
}

/** Find no data: transparent pixels, and connected black areas of at least 0.05 % of the picture. */
function withoutData({ width, height, pixels, transparent }) {
  const valid = new Uint8Array(width * height);
  for (let index = 0; index < valid.length; index += 1) {
    const at = index * 3;
    valid[index] = pixels[at] > BLACK || pixels[at + 1] > BLACK || pixels[at + 2] > BLACK ? 1 : 0;
  }
  keepSmallPatches(valid, width, height, Math.max(1, Math.round(LEAST_SHARE * valid.length)));
  if (transparent) {
    for (let index = 0; index < valid.length; index += 1) {
      if (!transparent[index]) continue;
      valid[index] = 0;
      pixels.fill(0, index * 3, index * 3 + 3);
    }
  }
  return { width, height, pixels, valid };
}

/** Count black patches of fewer than `least` pixels as data; diagonal neighbours connect. */
function keepSmallPatches(valid, width, height, least) {
  const visited = new Uint8Array(valid.length);
  const patch = [];
  for (let start = 0; start < valid.length; start += 1) {
    if (valid[start] || visited[start]) continue;
    patch.length = 0;
    patch.push(start);
    visited[start] = 1;
    for (let at = 0; at < patch.length; at += 1) {
      const x = patch[at] % width;
      const y = (patch[at] - x) / width;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row += 1) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column += 1) {
          const index = row * width + column;
          if (!valid[index] && !visited[index]) {
            visited[index] = 1;
            patch.push(index);
          }
        }
      }
    }
    if (patch.length < least) for (const index of patch) valid[index] = 1;
  }
}
