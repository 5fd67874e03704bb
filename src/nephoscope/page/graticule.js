/** Lines of longitude and latitude over a picture of known place. */

import { degreesOf, SPACINGS, wrapped } from './geography.js';

const CLOSEST = 90; // px between two lines
const INK = 'rgb(255 255 255 / 45%)';
const PAPER = 'rgb(24 28 36 / 75%)';

/**
 * @param {CanvasRenderingContext2D} pen - whose unit is a px of the screen.
 * @param {import('./geography.js').Bounds} bounds - of the picture.
 * @param {{left: number, top: number, width: number, height: number}} place - of the picture, in px.
 */
export function drawGraticule(pen, bounds, place) {
  const degrees = degreesOf(bounds);
  const spacing = SPACINGS.find((each) => each * place.width / degrees.width >= CLOSEST) ?? SPACINGS.at(-1);
  pen.save();
  pen.beginPath();
  pen.rect(place.left, place.top, place.width, place.height);
  pen.clip();
  pen.strokeStyle = INK;
  pen.lineWidth = 1;
  pen.font = '11px system-ui, sans-serif';
  pen.textAlign = 'left';
  const [left, top] = [Math.max(0, place.left), Math.max(0, place.top)];
  const first = (edge) => Math.ceil(edge / spacing) * spacing;
  for (let longitude = first(bounds.west); longitude <= bounds.west + degrees.width; longitude += spacing) {
    const x = place.left + (longitude - bounds.west) / degrees.width * place.width;
    line(pen, x, place.top, x, place.top + place.height);
    label(pen, angle(longitude, 'E', 'W'), x + 4, top + 2);
  }
  for (let latitude = first(bounds.south); latitude <= bounds.north; latitude += spacing) {
    const y = place.top + (bounds.north - latitude) / degrees.height * place.height;
    line(pen, place.left, y, place.left + place.width, y);
    label(pen, angle(latitude, 'N', 'S'), left + 4, y - 15);
  }
  pen.restore();
}

function line(pen, ...[x0, y0, x1, y1]) {
  pen.beginPath();
  pen.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  pen.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  pen.stroke();
}

function label(pen, words, x, y) {
  pen.fillStyle = PAPER;
  pen.fillRect(x - 2, y, pen.measureText(words).width + 4, 13);
  pen.fillStyle = '#ffffff';
  pen.textBaseline = 'top';
  pen.fillText(words, x, y + 1);
}

/** A longitude or latitude as text, such as `61° W`. */
function angle(degrees, positive, negative, digits = 1) {
  const turned = positive === 'E' ? wrapped(degrees) : degrees;
  const size = Number(Math.abs(turned).toFixed(digits));
  return `${size}°\u202f${turned < 0 ? negative : positive}`;
}

/**
 * The place of a pixel, as text.
 * @param {import('./geography.js').Bounds} bounds - of the picture.
 * @param {number} x - across the picture, 0 to 1.
 * @param {number} y - down the picture, 0 to 1.
 * @returns {string} such as `14.20° N, 52.31° W`.
 */
export function placeOf(bounds, x, y) {
  const degrees = degreesOf(bounds);
  const [longitude, latitude] = [bounds.west + x * degrees.width, bounds.north - y * degrees.height];
  return `${angle(latitude, 'N', 'S', 2)}, ${angle(longitude, 'E', 'W', 2)}`;
}
