/** GeoJSON (RFC 7946): every region with its outline in longitude and latitude, as `nephoscope` writes it. */

import { degreesOf, rowAreas, wrapped } from '../geography.js';
import { signedArea } from './outlines.js';
import { meanProbability, rounded, statedRules } from './result.js';
import { boxesOf, polygonsOf } from './scenes_json.js';

const DIGITS = 6; // after the point: a tenth of a metre
const REFERENCES = 'doi:10.1002/qj.3662 (patterns), doi:10.1175/BAMS-D-19-0324.1 (labels)';
const DEFAULT_NAMES = ['Fish', 'Flower', 'Gravel', 'Sugar'];

/**
 * @param {import('./result.js').Result} result - of a picture whose bounds are known.
 * @returns {Blob}
 */
export function geoJson(result) {
  const { about } = result;
  const collection = {
    type: 'FeatureCollection',
    bbox: boundingBox(about.bounds),
    features: result.patterns.flatMap((pattern) => features(result, pattern)),
    provenance: { ...provenance(result), rules: statedRules(result) },
  };
  return new Blob([`${JSON.stringify(collection)}\n`], { type: 'application/geo+json' });
}

function provenance({ about, card, name, nephoscope }) {
  const others = card.patterns.slice(0, -1).join(', ');
  const known = {
    title: `${others ? `${others} and ` : ''}${card.patterns.at(-1)} in ${name}`,
    picture: name,
    satellite: about.satellite,
    date: about.date,
    software: `nephoscope ${nephoscope}`,
    model: card.name,
    license: `${card.licence} (weights of the model)`,
    references: card.patterns.every((pattern) => DEFAULT_NAMES.includes(pattern)) ? REFERENCES : '',
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value));
}

function features({ about, name, width, height, withData }, { name: pattern, colour, values, components }) {
  const { bounds } = about;
  const areas = rowAreas(bounds, width, height);
  const { numbers } = components;
  return boxesOf(components, width).map((box, index) => {
    const number = index + 1;
    let km2 = 0;
    for (let y = box[1]; y < box[3]; y += 1) {
      for (let x = box[0]; x < box[2]; x += 1) if (numbers[y * width + x] === number) km2 += areas[y];
    }
    const polygons = placed(components, number, box, about.bounds, width, height);
    const geometry = polygons.length === 1
      ? { type: 'Polygon', coordinates: polygons[0] }
      : { type: 'MultiPolygon', coordinates: polygons };
    return {
      type: 'Feature',
      bbox: boundingBox(part(bounds, box, width, height)),
      geometry,
      properties: {
        pattern,
        area_km2: rounded(km2, 1),
        cover: rounded(components.areas[index] / withData),
        mean_probability: rounded(meanProbability(values, numbers, number)),
        scene: name,
        date: about.date,
        satellite: about.satellite,
        stroke: colour,
        fill: colour,
        'fill-opacity': 0.3,
      },
    };
  });
}

/** Polygons in degrees, cut where they cross the antimeridian. */
function placed(components, number, box, bounds, width, height) {
  const degrees = degreesOf(bounds);
  const seam = Math.round((180 - bounds.west) / degrees.width * width * 1e6) / 1e6;
  const inDegrees = (polygons, least, most, turn) => polygons.map((polygon) => polygon.map((ring, index) => {
    const points = ring.map(([x, y]) => [
      rounded(bounds.west + Math.min(Math.max(x, least), most) / width * degrees.width - turn, DIGITS),
      rounded(bounds.north - y / height * degrees.height, DIGITS),
    ]);
    // Counter-clockwise, or clockwise around a hole; latitudes grow upwards.
    if ((signedArea(points) > 0) === (index > 0)) points.reverse();
    return [...points, points[0]];
  }));
  if (seam >= width) return inDegrees(polygonsOf(components, width, number, box), 0, width, 0);
  const west = polygonsOf(components, width, number, box, 0, Math.ceil(seam));
  const east = polygonsOf(components, width, number, box, Math.floor(seam), width);
  return [...inDegrees(west, 0, seam, 0), ...inDegrees(east, seam, width, 360)];
}

/** Bounds of a box of pixels of a grid. */
function part(bounds, [left, top, right, bottom], width, height) {
  const degrees = degreesOf(bounds);
  const longitude = (x) => wrapped(bounds.west + x / width * degrees.width);
  const latitude = (y) => bounds.north - y / height * degrees.height;
  return { west: longitude(left), south: latitude(bottom), east: longitude(right), north: latitude(top) };
}

function boundingBox(bounds) {
  const [west, south, east, north] = ['west', 'south', 'east', 'north'].map((edge) => rounded(bounds[edge], DIGITS));
  if (degreesOf(bounds).width >= 360) return [-180, south, 180, north];
  return [west === 180 ? -180 : west, south, east === -180 ? 180 : east, north];
}
