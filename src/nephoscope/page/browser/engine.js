/** The engine of a site without a server: the models run in the visitor's browser, and pictures stay there. */

import { makeFile, OWN_FORMATS } from '../files/files.js';
import { resultOf } from '../files/result.js';
import { npz } from './npz_file.js';

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
    return { available: false, isManual: true, satellites: [], regions: this.state.regions };
  }

  async fetchPicture(address, name) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${name} could not be loaded (status ${answer.status}).`);
    const blob = await answer.blob();
    return new File([blob], name, { type: blob.type });
  }

  async segment(picture, model) {
    return { ...await this.#ask(this.#requestOf(picture, model)), preview: null };
  }

  async render(format, picture, model, rules) {
    if (format.name === NPZ.name) {
      return npz(await this.#ask({ ...this.#requestOf(picture, model), exact: true }));
    }
    return makeFile(format, resultOf(picture, this.#modelOf(model).card, rules, this.state));
  }

  /** What the worker is asked; bounds of a region in place of its name. */
  #requestOf({ file, name, stated }, model) {
    const region = this.state.regions.find((each) => each.name === stated.bounds);
    const bounds = region ? { bounds: region.bounds.join() } : {};
    return { file, name, stated: { ...stated, ...bounds }, model: this.#modelOf(model) };
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
