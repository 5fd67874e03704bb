/** The picture with its patterns in colour, outlined and named, and a legend with their cover. */

import { describeRegions } from '../regions.js';
import { STEPS } from '../rules.js';
import { briefName, percent } from '../words.js';

const LONGEST_SIDE = 4096; // px; a larger picture is drawn smaller
const LEAST_WIDTH = 700; // px; a smaller picture is drawn larger, so that its legend can be read
const INK = '#eceff4';
const FAINT = '#808896';
const PAPER = '#181c24';
const STRENGTH = 0.28; // of a pattern's colour over the clouds
const NAMED = 10; // px from a region's edge to where it is widest; a smaller one has no name

/**
 * @param {import('./result.js').Result} result
 * @param {ImageBitmap} bitmap - the picture.
 * @returns {Promise<Blob>} PNG.
 */
export async function overlayPng(result, bitmap) {
  const { about } = result;
  const scale = Math.min(
    LONGEST_SIDE / Math.max(about.width, about.height), Math.max(1, LEAST_WIDTH / about.width),
  );
  const size = { width: Math.round(about.width * scale), height: Math.round(about.height * scale) };
  const unit = Math.max(1, size.width / 700);
  const canvas = new OffscreenCanvas(size.width, size.height + Math.round(44 * unit));
  const pen = canvas.getContext('2d');
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  drawPatterns(pen, result, bitmap, size, unit);
  legend(pen, result, size, unit);
  return canvas.convertToBlob({ type: 'image/png' });
}

/**
 * Draw a picture with its patterns.
 * @param {OffscreenCanvasRenderingContext2D} pen - at the picture's corner.
 * @param {import('./result.js').Result} result
 * @param {ImageBitmap} bitmap - the picture.
 * @param {{width: number, height: number}} size - of the drawing, in px.
 * @param {number} unit - px of a thin line.
 */
export function drawPatterns(pen, result, bitmap, size, unit) {
  const { about, width, height, withData, patterns } = result;
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(bitmap, 0, 0, size.width, size.height);
  const [sx, sy] = [size.width / width, size.height / height];
  const layers = patterns.map(({ name, colour, values, components }) => {
    const limit = Math.round(result.rules[name].threshold * STEPS);
    const grid = { width, height, withData, limit, bounds: about.bounds };
    return { name, colour, regions: describeRegions(name, components, values, grid) };
  });
  pen.save();
  pen.scale(sx, sy);
  pen.lineJoin = 'round';
  for (const { colour, regions } of layers) {
    pen.globalAlpha = STRENGTH;
    pen.fillStyle = colour;
    for (const { path } of regions) pen.fill(path, 'evenodd');
  }
  pen.globalAlpha = 1;
  for (const { colour, regions } of layers) {
    for (const { path } of regions) {
      for (const [style, line] of [[PAPER, 4], [colour, 2]]) {
        pen.strokeStyle = style;
        pen.lineWidth = line * unit / Math.sqrt(sx * sy);
        pen.stroke(path);
      }
    }
  }
  pen.restore();
  names(pen, layers, sx, sy, unit);
}

function names(pen, layers, sx, sy, unit) {
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  for (const { name, colour, regions } of layers) {
    const half = pen.measureText(name).width / 2 + 4 * unit;
    for (const { middle } of regions) {
      if (middle.depth * Math.min(sx, sy) < NAMED * unit) continue;
      const [x, y] = [middle.x * sx, middle.y * sy];
      pen.fillStyle = PAPER;
      pen.beginPath();
      pen.roundRect(x - half, y - 9 * unit, 2 * half, 18 * unit, 3 * unit);
      pen.fill();
      pen.fillStyle = colour;
      pen.fillText(name, x, y + unit / 2);
    }
  }
}

function legend(pen, { name, card, about, patterns }, { width, height }, unit) {
  const [first, second] = [height + 14 * unit, height + 32 * unit];
  const step = width / (patterns.length + 2);
  pen.textBaseline = 'middle';
  patterns.forEach(({ name: pattern, colour, cover }, index) => {
    const x = 12 * unit + index * step;
    pen.fillStyle = pen.strokeStyle = cover ? colour : FAINT;
    pen.lineWidth = unit;
    if (cover) pen.fillRect(x, first - 6 * unit, 12 * unit, 12 * unit);
    else pen.strokeRect(x, first - 6 * unit, 12 * unit, 12 * unit);
    pen.fillStyle = cover ? INK : FAINT;
    pen.textAlign = 'left';
    pen.font = `${13 * unit}px system-ui, sans-serif`;
    pen.fillText(pattern, x + 18 * unit, first, step - 20 * unit);
    pen.font = `${12 * unit}px system-ui, sans-serif`;
    pen.fillText(cover ? `covers ${percent(cover)}` : 'not found', x + 18 * unit, second, step - 20 * unit);
  });
  pen.textAlign = 'right';
  const right = width - 12 * unit;
  const missing = 1 - about.valid;
  const note = missing > 0.005 ? `, no data in ${percent(missing)}` : '';
  pen.fillStyle = INK;
  pen.fillText(briefName(name), right, first, 2 * step - 24 * unit);
  pen.fillStyle = FAINT;
  pen.fillText(`model ${card.name}${note}`, right, second, 2 * step - 24 * unit);
}
