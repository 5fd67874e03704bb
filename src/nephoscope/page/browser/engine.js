/** The engine of a site without a server: the models run in the visitor's browser, and pictures stay there. */

import { makeFile, OWN_FORMATS } from '../files/files.js';
import { resultOf } from '../files/result.js';
import { npz } from './npz_file.js';
import { REGIONS } from './places.js';

const NPZ = {
  name: 'npz',
  label: 'Fields',
  kind: 'NPZ',
  description: 'The probabilities of all patterns, for NumPy',
  ending: '.npz',
  file_name: '',
  needs: [],
};

/** @implements {import('../engine.js').Engine} */
export class BrowserEngine {
  privacy = 'Pictures stay on this device: nothing is sent; the browser keeps them until they are removed';
  hasApi = false;
  kinds = ['JPEG', 'PNG', 'WebP'];

  #worker = null;
  #waiting = new Map();
  #asked = 0;

  /** Start the worker, again if one has failed. */
  #start() {
    this.#worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data: { id, result, error, isLasting } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(Object.assign(new Error(error), { isLasting }));
      else resolve(result);
    });
    this.#worker.addEventListener('error', (event) => {
      const failed = new Error(`The worker that finds patterns failed: ${event.message ?? 'it could not be loaded'}`);
      this.#worker.terminate();
      this.#worker = null;
      for (const { reject } of this.#waiting.values()) reject(failed);
      this.#waiting.clear();
    });
  }

  async begin() {
    const answer = await fetch('site.json');
    if (!answer.ok) throw new Error(`site.json could not be loaded (status ${answer.status}).`);
    this.state = await answer.json();
    this.#ask({ model: this.#modelOf('') }) // so that it is there when the first picture is
      .then(() => navigator.serviceWorker?.register('service_worker.js'))
      .catch((error) => console.info(`nephoscope: ${error.message}`)); // the first picture tells the user
    return { ...this.state, limits: {}, formats: [...OWN_FORMATS, NPZ] };
  }

  async models() {
    return this.state.models;
  }

  async isThere() {
    return true;
  }

  async worldview() {
    const regions = Object.entries(REGIONS).map(([name, { west, south, east, north }]) => (
      { name, bounds: [west, south, east, north] }
    ));
    return { available: false, isManual: true, satellites: [], regions };
  }

  async fetchPicture(address, name) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${name} could not be loaded (status ${answer.status}).`);
    const blob = await answer.blob();
    return new File([blob], name, { type: blob.type });
  }

  async segment({ file, name, stated }, model) {
    const found = await this.#ask({ file, name, stated, model: this.#modelOf(model) });
    return { ...found, preview: null };
  }

  async render(format, picture, model, rules) {
    const { name, file, stated } = picture;
    const chosen = this.#modelOf(model);
    if (format.name === NPZ.name) return npz(await this.#ask({ file, name, stated, model: chosen, exact: true }));
    return makeFile(format, resultOf(picture, chosen.card, rules, this.state));
  }

  #modelOf(name) {
    const { files, models } = this.state;
    const card = models.find((each) => each.name === name) ?? models[0];
    return { card, file: files[card.name] };
  }

  #ask(request) {
    return new Promise((resolve, reject) => {
      if (!this.#worker) this.#start();
      this.#asked += 1;
      this.#waiting.set(this.#asked, { resolve, reject });
      this.#worker.postMessage({ id: this.#asked, request });
    });
  }
}
