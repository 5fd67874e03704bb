/** Saves labels: as a data set in a ZIP archive, or to the server that collects them. */

import { saveFile } from '../downloads.js';
import { quoted } from '../files/tables.js';
import { zip } from '../files/zip.js';
import { keepLabels } from '../session.js';
import { listed } from '../words.js';
import { Labels } from './labels.js';

const ARCHIVE = 'nephoscope_labels.zip';
const KINDS = ['.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp']; // that a data set holds
const NAME = 'nephoscope-annotator';

const $ = (id) => document.getElementById(id);

/** @typedef {import('../pictures.js').Picture} Picture */

export class Saving {
  /** What the server has. @type {{pictures: number, own: number} | null} */
  #counts = null;
  /** For whom the server was asked, by picture. */
  #recalled = new WeakMap();

  /**
   * @param {import('../engine.js').Engine} engine
   * @param {boolean} collects - whether its server keeps labels.
   * @param {() => Picture[]} pictures - all of them.
   */
  constructor(engine, collects, pictures) {
    this.engine = engine;
    this.collects = collects;
    this.pictures = pictures;
    $('annotator').value = storedName();
    $('annotator').addEventListener('change', () => {
      storeName(this.annotator);
      this.#tried(() => this.#refresh());
    });
    $('save-labels').addEventListener('click', () => this.#tried(() => this.#download()));
    $('accept').firstChild.textContent = collects ? 'Save as labels' : 'Accept';
    $('save-labels').firstChild.textContent = collects ? 'Download labels' : 'Save as labels';
    $('labels-words').textContent = collects
      ? 'The server saves the labels and the pictures in its folder of labels.'
      : 'Accept each picture when its regions are right; then save them all as a data set to train on.';
    this.#tried(() => this.#refresh());
  }

  get annotator() {
    return $('annotator').value.trim();
  }

  /** The user is done with a picture. @param {Picture} picture @returns {Promise<boolean>} whether it could be saved. */
  accept(picture) {
    return this.#tried(async () => {
      const { labels } = picture;
      const { version } = labels;
      checkKind(picture);
      if (this.collects) {
        if (!this.annotator) {
          $('annotator').focus();
          throw new Error('State your name first: labels are kept by the name of who drew them.');
        }
        await this.engine.saveLabels(picture, this.annotator, labels.texts);
      }
      if (labels.version !== version) {
        throw new Error(`${picture.name}: its labels changed while they were saved. Save them again.`);
      }
      labels.isAccepted = true;
      keepLabels(picture.number, labels);
      await this.#refresh();
      if (this.pictures().every((each) => each.labels?.isAccepted)) say('All pictures are accepted.');
    });
  }

  /**
   * Take what this person has saved of a picture before, if nothing was drawn on it meanwhile.
   * @param {Picture} picture
   * @returns {Promise<boolean>} whether its labels are others now.
   */
  async recall(picture) {
    if (!this.collects || !this.annotator || this.#recalled.get(picture) === this.annotator) return false;
    this.#recalled.set(picture, this.annotator);
    let labels = null;
    await this.#tried(async () => ({ labels } = await this.engine.labelled(this.annotator, picture.name)));
    if (!labels || picture.labels.isAccepted || picture.labels.history.canUndo) return false;
    picture.labels = Labels.saved(picture.labels.patterns, labels);
    say('These are the labels that you have saved of this picture.');
    return true;
  }

  /** Show how many are done. */
  show() {
    const drawn = this.pictures().filter(({ labels }) => labels);
    const done = drawn.filter(({ labels }) => labels.isAccepted);
    $('save-labels').disabled = !done.length;
    const here = `${done.length} of ${this.pictures().length} accepted`;
    const there = this.#counts && `the server's folder has ${this.#counts.pictures}, ${this.#counts.own} of them by you`;
    $('labels-done').textContent = [here, there].filter(Boolean).join('; ');
  }

  /** Show what the server has of this person, too. */
  async #refresh() {
    if (this.collects) this.#counts = await this.engine.labelled(this.annotator, '');
    this.show();
  }

  async #download() {
    const done = this.pictures().filter(({ labels }) => labels?.isAccepted);
    say(`${saveFile(await dataSet(done, this.annotator || 'unnamed'), ARCHIVE)}: ${done.length} labelled`);
  }

  async #tried(work) {
    say('');
    try {
      await work();
      return true;
    } catch (error) {
      say(error.message);
      return false;
    }
  }
}

/** A data set in the contest's layout, with who drew what. @param {Picture[]} pictures @param {string} annotator */
async function dataSet(pictures, annotator) {
  const labels = ['Image_Label,EncodedPixels'];
  const annotations = ['image,annotator,pattern,EncodedPixels'];
  const files = [];
  for (const { name, file, labels: { patterns, texts } } of pictures) {
    files.push({ name: `train_images/${name}`, content: new Uint8Array(await file.arrayBuffer()) });
    labels.push(...patterns.map((pattern) => `${quoted(`${name}_${pattern}`)},${texts[pattern] ?? ''}`));
    const drawn = Object.entries(texts);
    for (const [pattern, text] of drawn.length ? drawn : [['', '']]) {
      annotations.push([name, annotator, pattern, text].map(quoted).join(','));
    }
  }
  const encoded = (lines) => new TextEncoder().encode(`${lines.join('\n')}\n`);
  return zip([
    { name: 'train.csv', content: encoded(labels) }, { name: 'annotations.csv', content: encoded(annotations) }, ...files,
  ]);
}

function checkKind({ name }) {
  if (KINDS.some((kind) => name.toLowerCase().endsWith(kind))) return;
  throw new Error(`${name}: a data set holds pictures whose names end in ${listed(KINDS, 'or')}.`);
}

/** Say what was done, or why it was not. @param {string} words */
export function say(words) {
  $('labels-state').textContent = words;
}

function storedName() {
  try {
    return localStorage.getItem(NAME) ?? '';
  } catch {
    return ''; // storage is forbidden
  }
}

function storeName(name) {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // it is asked for again
  }
}
