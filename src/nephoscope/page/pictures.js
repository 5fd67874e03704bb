/** The pictures of this session: read, sent and answered, two at a time; a failure affects one picture only. */

import { readNpz } from './npz.js';
import { ask, fileName, Gone, Problem } from './requests.js';
import { outlineOf } from './regions.js';
import { megabytes } from './words.js';

const AT_ONCE = 2;
const THUMBNAIL = 96; // px high, twice what is shown

/**
 * The server's answer for a picture.
 * @typedef {object} Answer
 * @property {object} about - name, size, satellite, date, bounds, patterns with their scores, rules.
 * @property {number} width - of the rules' grid, in pixels.
 * @property {number} height
 * @property {Uint8Array[]} values - one array per pattern: probabilities in steps of 1/200, row by row.
 * @property {number} withData - how many pixels have data; at least 1.
 * @property {boolean} anyData
 * @property {Path2D} nodata - outline of the pixels without data.
 */

/** One picture and its state. */
export class Picture {
  /**
   * @param {string} name
   * @param {() => Promise<File>} load
   */
  constructor(name, load) {
    this.name = name;
    this.load = load;
    /** @type {File | null} as it is sent */
    this.file = null;
    /** @type {Blob | null} as a browser can show it */
    this.shown = null;
    /** @type {ImageBitmap | null} */
    this.thumbnail = null;
    /** @type {'waiting' | 'working' | 'done' | 'failed'} */
    this.state = 'waiting';
    /** why it failed, or what it is waiting for */
    this.reason = '';
    /** whether a retry would fail again */
    this.hopeless = false;
    /** what the user states of place and day: `{bounds, day}` as the API takes them */
    this.stated = {};
    /** what was stated before, in case the server refuses it */
    this.statedBefore = {};
    /** @type {Answer | null} */
    this.answer = null;
    this.stop = new AbortController();
  }
}

/** Pictures in order, and the queue that processes them. Calls `changed` whenever one of them changes. */
export class Pictures {
  /** @param {(picture: Picture) => void} changed @param {(error: Gone) => void} gone */
  constructor(changed, gone) {
    /** @type {Picture[]} */
    this.all = [];
    this.limits = {};
    /** name of the model; the server's first if empty */
    this.model = '';
    this.changed = changed;
    this.gone = gone;
    this.working = 0;
    /** until the limits are known, and while the server does not respond */
    this.paused = true;
  }

  /** @param {Iterable<File>} files @returns {Picture[]} */
  addFiles(files) {
    return this.add([...files].map((file) => new Picture(file.name || 'picture', async () => file)));
  }

  /**
   * Add a picture that the server has or fetches.
   * @param {string} name - until the server names another.
   * @param {string} address
   * @returns {Picture[]}
   */
  addFrom(name, address) {
    const picture = new Picture(name, async () => {
      const answer = await ask(address, { signal: picture.stop.signal, onBusy: this.#busy(picture) });
      const blob = await answer.blob();
      return new File([blob], fileName(answer, name), { type: blob.type });
    });
    return this.add([picture]);
  }

  /** @param {Picture[]} pictures */
  add(pictures) {
    this.all.push(...pictures);
    pictures.forEach(this.changed);
    this.#next();
    return pictures;
  }

  /** @param {Picture} picture */
  remove(picture) {
    picture.stop.abort();
    picture.thumbnail?.close();
    this.all = this.all.filter((other) => other !== picture);
  }

  /**
   * Send a picture again with the place and day that the user states.
   * @param {Picture} picture
   * @param {{bounds?: string, day?: string}} stated
   */
  state(picture, stated) {
    picture.statedBefore = picture.stated;
    picture.stated = { ...picture.stated, ...stated };
    this.again(picture);
  }

  /** Send a picture once more. @param {Picture} picture */
  again(picture) {
    Object.assign(picture, { state: 'waiting', reason: '' });
    this.changed(picture);
    this.#next();
  }

  /** Use another model, for all pictures again. @param {string} model - its name. */
  ask(model) {
    this.model = model;
    for (const picture of this.all) {
      if (picture.state === 'done') Object.assign(picture, { answer: null, state: 'waiting', reason: '' });
      this.changed(picture);
    }
    this.#next();
  }

  /** Start, or continue. */
  resume() {
    this.paused = false;
    this.#next();
  }

  /** The query parameter for the model. */
  get asked() {
    return this.model ? { model: this.model } : {};
  }

  /** @returns {Picture[]} */
  get done() {
    return this.all.filter((picture) => picture.state === 'done');
  }

  #next() {
    while (!this.paused && this.working < AT_ONCE) {
      const picture = this.all.find(({ state }) => state === 'waiting');
      if (!picture) return;
      this.working += 1;
      picture.state = 'working';
      this.changed(picture);
      this.#work(picture).finally(() => {
        this.working -= 1;
        if (this.all.includes(picture)) this.changed(picture);
        this.#next();
      });
    }
  }

  async #work(picture) {
    const { model } = this;
    try {
      if (!picture.file) {
        picture.reason = 'Getting the picture…';
        this.changed(picture);
        picture.file = await picture.load();
        picture.name = this.#uniqueName(picture.file.name || picture.name, picture);
        picture.reason = '';
      }
      this.#refuseTooLarge(picture.file);
      const readable = await isShown(picture.file);
      if (readable && !picture.shown) await show(picture, picture.file);
      this.changed(picture);
      const answer = await this.#send(picture, readable);
      if (answer.preview) await show(picture, answer.preview);
      if (model === this.model) Object.assign(picture, { answer, state: 'done', reason: '' });
      else Object.assign(picture, { answer: null, state: 'waiting', reason: '' }); // the model was changed meanwhile
    } catch (error) {
      if (error instanceof Gone) {
        Object.assign(picture, { state: 'waiting', reason: '' });
        this.paused = true;
        this.gone(error);
      } else if (picture.answer) {
        // The older answer stays.
        Object.assign(picture, { state: 'done', reason: error.message, stated: picture.statedBefore });
      } else {
        Object.assign(picture, { state: 'failed', reason: error.message, hopeless: error.isLasting ?? false });
      }
    }
  }

  /** A name that no other picture has: downloads are told apart by it. */
  #uniqueName(name, picture) {
    const taken = new Set(this.all.filter((other) => other.file && other !== picture).map((other) => other.name));
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${stem}-${number}${ending ?? ''}`;
    return free;
  }

  #refuseTooLarge(file) {
    const most = this.limits.picture_bytes;
    if (file.size > most) {
      const sizes = [file.size, most].map(megabytes);
      throw new Problem(`${file.name}: ${sizes[0]}, the limit of this server is ${sizes[1]} per picture.`, 413);
    }
  }

  async #send(picture, readable) {
    const query = new URLSearchParams({
      steps: 200, ...this.asked, ...picture.stated, ...(!readable && { picture: true }),
    });
    const body = new FormData();
    body.append('picture', picture.file, picture.name);
    const answer = await ask(`/api/v1/segment?${query}`, {
      method: 'POST',
      headers: { Accept: 'application/x-npz' },
      body,
      signal: picture.stop.signal,
      onBusy: this.#busy(picture),
    });
    return readAnswer(await answer.arrayBuffer());
  }

  #busy(picture) {
    return (seconds) => {
      picture.reason = `The server is busy; retrying in ${seconds} s.`;
      this.changed(picture);
    };
  }
}

/** @param {ArrayBuffer} buffer - an NPZ file as the API documents it. @returns {Promise<Answer>} */
async function readAnswer(buffer) {
  const members = await readNpz(buffer);
  const { shape: [count, height, width], data } = members.get('probabilities');
  const size = width * height;
  const nodata = members.get('valid').data.map((valid) => 1 - valid);
  const withData = nodata.reduce((sum, missing) => sum - missing, size);
  const preview = members.get('picture');
  return {
    about: JSON.parse(new TextDecoder().decode(members.get('about').data)),
    width,
    height,
    values: Array.from({ length: count }, (_, index) => data.subarray(index * size, (index + 1) * size)),
    withData: Math.max(1, withData),
    anyData: withData > 0,
    nodata: outlineOf(nodata, width, height),
    preview: preview && new Blob([preview.data], { type: 'image/jpeg' }),
  };
}

/** Whether browsers can show a file: all but TIFFs, recognised by their signature. */
async function isShown(file) {
  const [one, two, three, four] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const little = one === 0x49 && two === 0x49 && (three === 42 || three === 43) && four === 0;
  const big = one === 0x4d && two === 0x4d && three === 0 && (four === 42 || four === 43);
  return !(little || big);
}

/** Decode the thumbnail of a picture. One that fails is sent nevertheless: the server says why. */
async function show(picture, blob) {
  try {
    picture.thumbnail = await createImageBitmap(blob, { resizeHeight: THUMBNAIL, resizeQuality: 'medium' });
    picture.shown = blob;
  } catch {
    picture.shown = null;
  }
}
