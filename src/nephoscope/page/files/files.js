/** The files that the page makes itself, from what was found in pictures. */

import { figurePng } from './figure.js';
import { geoJson } from './geojson.js';
import { maskFiles, masksZip } from './masks.js';
import { overlayPng } from './overlay.js';
import { stemOf } from './result.js';
import { scenesJson } from './scenes_json.js';
import { contestCsv, coversCsv } from './tables.js';
import { zip } from './zip.js';

/** @typedef {import('./result.js').Result} Result */

/**
 * A format that the page makes: of one picture (`make`), or of several in one file (`makeAll`). `makeParts` makes
 * the files that `make` packs, for an archive of several pictures.
 * @typedef {import('../engine.js').Format & {make?: (result: Result) => Blob | Promise<Blob>,
 *   makeParts?: (result: Result) => Promise<{name: string, content: Uint8Array}[]>,
 *   makeAll?: (results: Result[]) => Blob}} OwnFormat
 */

/** @type {OwnFormat[]} */
export const OWN_FORMATS = [
  {
    name: 'overlay',
    label: 'Overlay',
    kind: 'PNG',
    description: 'The picture with its patterns in colour',
    ending: '_overlay.png',
    needs: [],
    make: async (result) => overlayPng(result, await createImageBitmap(result.shown)),
  },
  {
    name: 'figure',
    label: 'Figure',
    kind: 'PNG',
    description: 'The overlay with degrees, scale bar, title and credits, for a paper or slide',
    ending: '_figure.png',
    needs: [],
    make: async (result) => figurePng(result, await createImageBitmap(result.shown)),
  },
  {
    name: 'mask',
    label: 'Masks',
    kind: 'ZIP',
    description: 'A mask of 0 and 1 for each pattern',
    ending: '_masks.zip',
    needs: [],
    make: masksZip,
    makeParts: maskFiles,
  },
  {
    name: 'json',
    label: 'Regions',
    kind: 'JSON',
    description: 'Scores, covers and every region, in pixels',
    ending: '.json',
    file_name: 'scenes.json',
    needs: [],
    makeAll: scenesJson,
  },
  {
    name: 'covers',
    label: 'Covers',
    kind: 'CSV',
    description: "A row a picture: each pattern's cover and probability",
    ending: '_covers.csv',
    file_name: 'covers.csv',
    needs: [],
    makeAll: coversCsv,
  },
  {
    name: 'csv',
    label: 'Contest',
    kind: 'CSV',
    description: 'Run lengths on 350 × 525, as the contest of 2019 wants them',
    ending: '.csv',
    file_name: 'submission.csv',
    needs: [],
    makeAll: contestCsv,
  },
  {
    name: 'geojson',
    label: 'Outlines',
    kind: 'GeoJSON',
    description: 'Every region in longitude and latitude',
    ending: '.geojson',
    needs: ['place'],
    make: geoJson,
  },
];

/**
 * Make the file of one picture.
 * @param {OwnFormat} format
 * @param {Result} result
 * @returns {Promise<Blob>}
 */
export async function makeFile(format, result) {
  return format.make ? format.make(result) : format.makeAll([result]);
}

/**
 * Make the file of several pictures; a format that holds one picture gives a ZIP archive of files.
 * @param {OwnFormat} format
 * @param {Result[]} results
 * @param {(done: number) => void} progress - called with the number of pictures done.
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function makeFileOfAll(format, results, progress) {
  if (format.makeAll) return { blob: format.makeAll(results), name: format.file_name };
  const files = [];
  for (const result of results) {
    if (format.makeParts) {
      files.push(...await format.makeParts(result));
    } else {
      const content = new Uint8Array(await (await format.make(result)).arrayBuffer());
      files.push({ name: fileNameOf(format, result.name), content });
    }
    progress(results.indexOf(result) + 1);
    await new Promise((resolve) => { setTimeout(resolve); }); // the page stays responsive
  }
  return { blob: zip(withUniqueNames(files)), name: `${format.label.toLowerCase()}.zip` };
}

/** Pictures such as a.jpg and a.png have files of the same name. */
function withUniqueNames(files) {
  const taken = new Set();
  return files.map(({ name, content }) => {
    let unique = name;
    for (let number = 2; taken.has(unique); number += 1) unique = name.replace(/(?=\.[^.]*$)/, `-${number}`);
    taken.add(unique);
    return { name: unique, content };
  });
}

/** @param {import('../engine.js').Format} format @param {string} picture - its file's name. @returns {string} */
export function fileNameOf(format, picture) {
  return stemOf(picture) + (format.ending || format.file_name.replace(/^.*(?=\.)/, ''));
}
