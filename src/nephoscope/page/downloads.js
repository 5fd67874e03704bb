/** Downloads: files of the current picture and of all, by the rules as the sliders are now. */

import { element } from './element.js';
import { fileNameOf, makeFile, makeFileOfAll, OWN_FORMATS } from './files/files.js';
import { listed } from './words.js';

/** @typedef {import('./engine.js').Format} Format */
/** @typedef {import('./pictures.js').Picture} Picture */

export class Downloads {
  /**
   * @param {{one: HTMLElement, all: HTMLElement, note: HTMLElement, state: HTMLElement}} places - lists of buttons
   *   for the current picture and for all; what is missing; the state of a download.
   * @param {{picture: () => Picture, pictures: () => Picture[], render: (format: Format, picture: Picture) =>
   *   Promise<Blob>, result: (picture: Picture) => import('./files/result.js').Result}} now - the current picture
   *   and all that are done; the file of one by the engine; what was found in one.
   */
  constructor(places, now) {
    this.places = places;
    this.now = now;
    this.formats = [];
    this.buttons = [];
  }

  /** @param {Format[]} rendered - by the engine, of one picture. The page makes its own formats that are not among them. */
  offer(rendered) {
    const own = OWN_FORMATS.filter(({ name }) => !rendered.some((format) => format.name === name));
    this.formats = [...rendered, ...own];
    this.buttons = this.formats.map((format) => this.#button(format, () => this.#one(format, own.includes(format))));
    this.places.one.replaceChildren(...this.buttons.map((button) => element('li', {}, button)));
    this.places.all.replaceChildren(...OWN_FORMATS.map((format) => element(
      'li', {}, this.#button({ ...format, kind: format.makeAll ? format.kind : 'ZIP' }, () => this.#all(format)),
    )));
  }

  /**
   * @param {Picture} picture - the one shown.
   * @param {boolean} someHidden - whether patterns are hidden.
   */
  show(picture, someHidden) {
    const { bounds, date } = picture.answer?.about ?? {};
    const known = { place: Boolean(bounds), day: Boolean(date) };
    this.formats.forEach(({ needs }, index) => {
      this.buttons[index].disabled = picture.state !== 'done' || !needs.every((need) => known[need]);
    });
    const missing = Object.keys(known).filter((need) => !known[need]);
    const wanting = this.formats.filter(({ needs }) => needs.some((need) => !known[need])).map(({ kind }) => kind);
    const needed = missing.filter((need) => this.formats.some(({ needs }) => needs.includes(need)));
    this.places.note.textContent = [
      picture.answer && wanting.length
        && `${listed(wanting)} ${wanting.length > 1 ? 'need' : 'needs'} the picture's ${listed(needed)}; `
        + `state ${needed.length > 1 ? 'them' : 'it'} below.`,
      someHidden && 'Files contain all patterns, including hidden ones.',
    ].filter(Boolean).join(' ');
  }

  #button({ label, kind, description }, work) {
    const button = element(
      'button', { type: 'button', title: description }, element('span', {}, label), element('small', {}, kind),
    );
    button.addEventListener('click', async () => {
      this.#say(`Making ${kind}…`);
      try {
        this.#say(`Downloaded ${await work()}`);
      } catch (error) {
        this.#say(error.message);
        this.places.state.scrollIntoView({ block: 'nearest' });
      }
    });
    return button;
  }

  #say(words) {
    this.places.state.textContent = words;
  }

  async #one(format, isOwn) {
    const picture = this.now.picture();
    const blob = await (isOwn ? makeFile(format, this.now.result(picture)) : this.now.render(format, picture));
    return saveFile(blob, fileNameOf(format, picture.name));
  }

  /** Of all pictures that have what the format needs. */
  async #all(format) {
    const pictures = this.now.pictures().filter(({ answer }) => !format.needs.includes('place') || answer.about.bounds);
    if (!pictures.length) throw new Error(`${format.kind}: the place of none of the pictures is known.`);
    const progress = (done) => this.#say(`Making ${format.kind}: ${done} of ${pictures.length}…`);
    const { blob, name } = await makeFileOfAll(format, pictures.map(this.now.result), progress);
    const left = this.now.pictures().length - pictures.length;
    return `${saveFile(blob, name)}${left ? `, without ${left} of unknown place` : ''}`;
  }
}

/** Let the user save a file. @param {Blob} blob @param {string} name @returns {string} the name. */
export function saveFile(blob, name) {
  const link = element('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may still be reading
  return name;
}
