/** The worker that segments pictures: loads ONNX Runtime Web and the models, and answers one picture at a time. */

import { describe, predict, quantize } from './answer.js';
import { openPicture, PictureError } from './decode.js';
import { loadModel } from './network.js';
import { fromName, parseBounds } from './places.js';

const models = new Map(); // promises by name

/** @typedef {{card: object, file: string}} ModelFile - a model's card, and its file below `models/`. */

/** @param {ModelFile} model @returns {Promise<import('./answer.js').LoadedModel>} loaded once. */
function load(model) {
  const { name } = model.card;
  if (!models.has(name)) {
    models.set(name, loadModel(model).catch((error) => {
      models.delete(name); // it may succeed another time
      throw error;
    }));
  }
  return models.get(name);
}

/**
 * @param {{file: File, name: string, model: ModelFile, stated: {bounds?: string, day?: string,
 *   extent?: string}, exact: boolean}}
 *   request - `exact` for probabilities that are not quantized.
 */
async function answer({ file, name, model, stated, exact }) {
  const loaded = await load(model);
  const picture = await openPicture(file, name);
  const known = fromName(name);
  const bounds = stated.bounds ? parseBounds(stated.bounds) : known.bounds;
  const extent = bounds ? null : Number(stated.extent) || null;
  const prediction = await predict(loaded, picture, bounds, extent);
  const values = prediction.probabilities.map(quantize);
  const about = describe(loaded.card, prediction, values, {
    scene: name,
    width: picture.width,
    height: picture.height,
    satellite: known.satellite,
    date: stated.day || known.date,
    bounds,
  });
  const { width, height, probabilities, valid, heads } = prediction;
  return exact
    ? { about, width, height, probabilities, valid, heads, card: loaded.card }
    : { about, width, height, values, valid };
}

let before = Promise.resolve(); // a second picture would only share the same processors

self.addEventListener('message', ({ data: { id, request } }) => {
  before = before.then(async () => {
    try {
      const result = request.file ? await answer(request) : void await load(request.model);
      self.postMessage({ id, result });
    } catch (error) {
      self.postMessage({ id, error: error.message, isLasting: error instanceof PictureError });
    }
  });
});
