/** The pictures of this session: read and segmented, two at a time; a failure affects one picture only. */

import { addressOf, inShort } from './days.js';
import { outlineOf } from './regions.js';
import { Gone, Problem } from './requests.js';
import { forget, keep } from './session.js';
import { megabytes } from './words.js';

const AT_ONCE = 2;
const THUMBNAIL = 96; // px high, twice what is shown

/**
 * What was found in a picture.
 * @typedef {object} Answer
 * @property {object} about - name, size, satellite, date, bounds, patterns with their scores, rules.
 * @property {number} width - of the rules' grid, in pixels.
 * @property {number} height
 * @property {Uint8Array[]} values - one array per pattern: probabilities in steps of 1/200, row by row.
 * @property {number} withData - how many pixels have data; at least 1.
 * @property {boolean} anyData
 * @property {Uint8Array} valid - 1 where there is data, row by row.
 * @property {Path2D} nodata - outline of the pixels without data.
 */

/** One picture and its state. */
export class Picture {
  /**
   * @param {string} name
   * @param {(waiting: import('./engine.js').Waiting) => Promise<File>} load
   */
  constructor(name, load) {
    this.name = name;
    this.load = load;
    /** by which it is kept over a reload */
    this.number = 0;
    /** what was fetched from NASA Worldview; else null @type {import('./days.js').Overpass | null} */
    this.overpass = null;
    /** @type {File | null} as it was given */
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
    /** what the user states of place, day and scale: `{bounds, day, extent}` as the API takes them */
    this.stated = {};
    /** what was stated before, in case the server refuses it */
    this.statedBefore = {};
    /** @type {Answer | null} */
    this.answer = null;
    /** what the user draws @type {import('./drawing/labels.js').Labels | null} */
    this.labels = null;
    /** the same for models with other patterns, by their names @type {Map<string, object>} */
    this.otherLabels = new Map();
    this.stop = new AbortController();
  }
}

/** Pictures in order, and the queue that processes them. Calls `changed` whenever one of them changes. */
export class Pictures {
  /**
   * @param {import('./engine.js').Engine} engine
   * @param {(picture: Picture) => void} changed
   * @param {(error: Gone) => void} gone
   */
  constructor(engine, changed, gone) {
    this.engine = engine;
    /** @type {Picture[]} */
    this.all = [];
    this.limits = {};
    /** name of the model; the default one if empty */
    this.model = '';
    /** card of that model */
    this.card = null;
    this.last = 0; // number of the newest picture
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
   * Add a picture that the engine has or fetches.
   * @param {string} name - until the engine names another.
   * @param {string} address
   * @returns {Picture[]}
   */
  addFrom(name, address) {
    return this.add([new Picture(name, (waiting) => this.engine.fetchPicture(address, name, waiting))]);
  }

  /**
   * Add a day from NASA Worldview; one that is there already is not fetched again.
   * @param {import('./days.js').Overpass} overpass
   * @param {Picture | null} [beside] - before or after which it belongs, by its day.
   * @returns {Picture[]}
   */
  addOverpass(overpass, beside = null) {
    const known = this.all.find((picture) => picture.overpass && inShort(picture.overpass) === inShort(overpass));
    if (known) return [known];
    const picture = new Picture(inShort(overpass).replaceAll('/', ' '), (waiting) => (
      this.engine.fetchPicture(addressOf(overpass), picture.name, waiting)
    ));
    picture.overpass = overpass;
    const place = this.all.indexOf(beside) + (beside && overpass.day < beside.overpass.day ? 0 : 1);
    return this.add([picture], beside ? place : this.all.length);
  }

  /**
   * Add what was kept over a reload.
   * @param {object[]} records - by `keep`.
   * @returns {Picture[]}
   */
  restore(records) {
    return this.add(records.flatMap((record) => {
      try {
        return [this.#restored(record)];
      } catch (error) {
        console.info(`nephoscope: a kept picture cannot be used: ${error.message}`);
        forget(record.number);
        return [];
      }
    }));
  }

  #restored({ number, name, file, stated, overpass, result, card }) {
    if (!(file instanceof Blob) || typeof name !== 'string') throw new Error('it has no file');
    const picture = new Picture(name, async () => file);
    Object.assign(picture, { number, file, stated: stated ?? {}, overpass: overpass ?? null });
    if (result && card === JSON.stringify(this.card)) {
      checkResult(result, this.card.patterns);
      Object.assign(picture, { state: 'done', answer: answerOf(result) });
      show(picture, result.preview ?? file).then(() => this.changed(picture));
    }
    return picture;
  }

  /** @param {Picture[]} pictures @param {number} [place] - in the order. */
  add(pictures, place = this.all.length) {
    for (const picture of pictures) {
      this.last = Math.max(this.last + 1, Date.now()); // larger than any before a reload
      picture.number ||= this.last;
    }
    this.all.splice(place, 0, ...pictures);
    pictures.forEach(this.changed);
    this.#next();
    return pictures;
  }

  /** @param {Picture} picture */
  remove(picture) {
    picture.stop.abort();
    picture.thumbnail?.close();
    this.all = this.all.filter((other) => other !== picture);
    forget(picture.number);
  }

  /**
   * Send a picture again with the place and day that the user states.
   * @param {Picture} picture
   * @param {{bounds?: string, day?: string, extent?: string}} stated
   */
  state(picture, stated) {
    picture.statedBefore = picture.stated;
    picture.stated = { ...picture.stated, ...stated };
    if (stated.bounds) delete picture.stated.extent;
    this.again(picture);
  }

  /** Take back what the user stated of a picture. @param {Picture} picture */
  forgetStated(picture) {
    picture.statedBefore = picture.stated;
    picture.stated = {};
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
    const waiting = { signal: picture.stop.signal, onBusy: this.#busy(picture) };
    try {
      if (!picture.file) {
        picture.reason = 'Getting the picture…';
        this.changed(picture);
        picture.file = await picture.load(waiting);
        picture.name = this.#uniqueName(picture.file.name || picture.name, picture);
        picture.reason = '';
      }
      this.#refuseTooLarge(picture.file);
      if (!picture.shown) await show(picture, picture.file);
      this.changed(picture);
      const result = await this.engine.segment(picture, model, waiting);
      if (result.preview) await show(picture, result.preview);
      const answer = answerOf(result);
      if (model === this.model) {
        Object.assign(picture, { answer, state: 'done', reason: '' });
        if (this.all.includes(picture)) this.#keep(picture, result);
      } else Object.assign(picture, { answer: null, state: 'waiting', reason: '' }); // the model was changed meanwhile
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

  #keep({ number, name, file, stated, overpass }, result) {
    keep({ number, name, file, stated, overpass, result, card: JSON.stringify(this.card) });
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

  #busy(picture) {
    return (seconds) => {
      picture.reason = `The server is busy; retrying in ${seconds} s.`;
      this.changed(picture);
    };
  }
}

/** @param {import('./engine.js').EngineResult} result @returns {Answer} */
function answerOf({ about, width, height, values, valid }) {
  const nodata = valid.map((each) => 1 - each);
  const withData = valid.reduce((sum, each) => sum + each, 0);
  return {
    about,
    width,
    height,
    values,
    valid,
    withData: Math.max(1, withData),
    anyData: withData > 0,
    nodata: outlineOf(nodata, width, height),
  };
}

/** Check that what was kept is whole. */
function checkResult({ about, width, height, values, valid }, patterns) {
  const size = width * height;
  const isWhole = valid.length === size && values.length === patterns.length
    && values.every(({ length }) => length === size) && patterns.every((name) => about.patterns[name]);
  if (!isWhole) throw new Error('its result is damaged');
}

/** Decode the thumbnail of a picture. One that this browser cannot show is segmented nevertheless. */
async function show(picture, blob) {
  try {
    picture.thumbnail = await createImageBitmap(blob, { resizeHeight: THUMBNAIL, resizeQuality: 'medium' });
    picture.shown = blob;
  } catch {
    picture.shown = null;
  }
}
