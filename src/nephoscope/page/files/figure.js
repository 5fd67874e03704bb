/** A figure for a paper or slide: the patterns with degrees, a scale bar, a title and credits. */

import { degreesOf, SPACINGS, wrapped } from '../geography.js';
import { dayInWords, percent } from '../words.js';
import { drawPatterns } from './overlay.js';

const WIDTH = 1600; // px of the picture
const MARGIN = { left: 110, right: 40, top: 80, bottom: 190 };
const PAPER = '#ffffff';
const INK = '#17202b';
const FAINT = '#556170';
const MOST_TICKS = 8;
const LENGTHS = [10, 20, 50, 100, 200, 500, 1000, 2000]; // km
const DEGREE = 111.195; // km of latitude
const UNIT = 2; // px of a thin line

/**
 * @param {import('./result.js').Result} result
 * @param {ImageBitmap} bitmap - the picture.
 * @returns {Promise<Blob>} PNG.
 */
export async function figurePng(result, bitmap) {
  const { about } = result;
  const size = { width: WIDTH, height: Math.round(WIDTH * about.height / about.width) };
  const canvas = new OffscreenCanvas(
    MARGIN.left + size.width + MARGIN.right, MARGIN.top + size.height + MARGIN.bottom,
  );
  const pen = canvas.getContext('2d');
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.translate(MARGIN.left, MARGIN.top);
  pen.save();
  pen.beginPath();
  pen.rect(0, 0, size.width, size.height);
  pen.clip();
  drawPatterns(pen, result, bitmap, size, UNIT);
  pen.restore();
  pen.strokeStyle = INK;
  pen.lineWidth = 2;
  pen.strokeRect(0, 0, size.width, size.height);
  const { bounds } = about;
  if (bounds) drawDegrees(pen, bounds, size);
  drawScaleBar(pen, bounds, about.assumed_extent, size);
  drawWords(pen, result, size);
  return canvas.convertToBlob({ type: 'image/png' });
}

function drawDegrees(pen, bounds, size) {
  const degrees = degreesOf(bounds);
  pen.fillStyle = INK;
  pen.font = '26px system-ui, sans-serif';
  const ticks = (from, span) => {
    const spacing = SPACINGS.find((each) => span / each <= MOST_TICKS) ?? SPACINGS.at(-1);
    const first = Math.ceil(from / spacing) * spacing;
    return Array.from({ length: Math.floor((from + span - first) / spacing + 1e-9) + 1 }, (_, k) => first + k * spacing);
  };
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  for (const longitude of ticks(bounds.west, degrees.width)) {
    const x = (longitude - bounds.west) / degrees.width * size.width;
    tick(pen, x, size.height, 0, 10);
    const turned = wrapped(longitude);
    pen.fillText(`${Math.abs(turned)}°${turned < 0 ? 'W' : 'E'}`, x, size.height + 16);
  }
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  for (const latitude of ticks(bounds.south, degrees.height)) {
    const y = (bounds.north - latitude) / degrees.height * size.height;
    tick(pen, 0, y, -10, 0);
    pen.fillText(`${Math.abs(latitude)}°${latitude < 0 ? 'S' : 'N'}`, -18, y);
  }
}

function tick(pen, x, y, dx, dy) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + dx, y + dy);
  pen.stroke();
}

/** Of a round length, at the middle latitude; of an assumed scale, it says so. */
function drawScaleBar(pen, bounds, assumed, size) {
  const degrees = bounds ? degreesOf(bounds).width : assumed?.width;
  if (!degrees) return;
  const latitude = bounds ? (bounds.north + bounds.south) / 2 : 0;
  const kilometres = degrees * DEGREE * Math.cos(latitude * Math.PI / 180);
  const length = LENGTHS.findLast((each) => each <= kilometres / 4) ?? LENGTHS[0];
  const width = length / kilometres * size.width;
  const [right, y] = [size.width - 30, size.height - 30];
  const words = `${length} km${bounds ? '' : ' (assumed)'}`;
  pen.font = '600 26px system-ui, sans-serif';
  const room = Math.max(width, pen.measureText(words).width) + 30;
  pen.fillStyle = 'rgb(24 28 36 / 75%)';
  pen.fillRect(right - room + 15, y - 45, room, 62);
  pen.fillStyle = '#ffffff';
  pen.fillRect(right - width, y, width, 6);
  pen.textAlign = 'right';
  pen.textBaseline = 'bottom';
  pen.fillText(words, right, y - 6);
}

function drawWords(pen, { name, about, card, patterns, nephoscope }, size) {
  pen.textAlign = 'left';
  pen.textBaseline = 'alphabetic';
  pen.fillStyle = INK;
  pen.font = '600 34px system-ui, sans-serif';
  const title = [about.satellite ?? name, about.date && dayInWords(about.date)].filter(Boolean).join(', ');
  pen.fillText(title, 0, -24, size.width);
  let x = 0;
  const y = size.height + 95;
  pen.font = '28px system-ui, sans-serif';
  for (const { name: pattern, colour, cover } of patterns) {
    const words = cover ? `${pattern} covers ${percent(cover)}` : `${pattern} not found`;
    pen.strokeStyle = pen.fillStyle = cover ? colour : FAINT;
    if (cover) pen.fillRect(x, y - 21, 22, 22);
    else pen.strokeRect(x, y - 21, 22, 22);
    pen.fillStyle = cover ? INK : FAINT;
    pen.fillText(words, x + 32, y);
    x += pen.measureText(words).width + 80;
  }
  pen.fillStyle = FAINT;
  pen.font = '22px system-ui, sans-serif';
  const imagery = about.satellite ? 'Imagery: NASA Worldview, part of NASA EOSDIS. ' : '';
  const scale = about.bounds || !about.assumed_extent ? '' : 'Place unknown, scale assumed. ';
  pen.fillText(`${imagery}${scale}Patterns: nephoscope ${nephoscope}, model ${card.name}.`, 0, y + 50, size.width);
}
