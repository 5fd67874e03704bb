/** Downloads: requests files from the server, with the rules as the sliders are now. */

import { element } from './element.js';
import { ask } from './requests.js';
import { listed } from './words.js';

/**
 * A format of files, as the server describes it.
 * @typedef {{name: string, label: string, kind: string, description: string, media_type: string, ending: string,
 *   file_name: string, needs: string[]}} Format
 */

/** Makes one file of the texts of several requests: its name and its parts. */
const JOIN = {
  csv: (texts) => ['submission.csv', texts.map((text, index) => (index ? text.slice(text.indexOf('\n') + 1) : text))],
  json: (texts) => {
    const scenes = texts.flatMap((text) => JSON.parse(text).scenes);
    return ['nephoscope.json', [`${JSON.stringify({ scenes })}\n`]];
  },
};

/** @typedef {import('./pictures.js').Picture} Picture */

export class Downloads {
  /**
   * @param {{one: HTMLElement, all: HTMLElement, note: HTMLElement, state: HTMLElement}} places - lists of buttons
   *   for the current picture and for all; what is missing; the state of a download.
   * @param {{picture: () => Picture, pictures: () => Picture[], model: () => object, rules: () => object,
   *   limits: () => object}} now - what to send: pictures, the
   *   query parameter for the model, and rules that differ from its card.
   */
  constructor(places, now) {
    this.places = places;
    this.now = now;
    this.formats = [];
    this.buttons = [];
  }

  /** @param {Format[]} formats - that the server makes. */
  offer(formats) {
    this.formats = formats;
    this.buttons = formats.map((format) => this.#button(format, () => this.#one(format)));
    this.places.one.replaceChildren(...this.buttons.map((button) => element('li', {}, button)));
    this.places.all.replaceChildren(...formats.filter((format) => format.file_name).map((format) => (
      element('li', {}, this.#button(format, () => this.#all(format)))
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
    this.places.note.textContent = [
      picture.answer && wanting.length
        && `${listed(wanting)} ${wanting.length > 1 ? 'need' : 'needs'} the picture's ${listed(missing)}; `
        + `state ${missing.length > 1 ? 'them' : 'it'} below.`,
      someHidden && 'Files contain all patterns, including hidden ones.',
    ].filter(Boolean).join(' ');
  }

  #button({ label, kind, description }, work) {
    const button = element(
      'button', { type: 'button', title: description }, element('span', {}, label), element('small', {}, kind),
    );
    button.addEventListener('click', async () => {
      this.places.state.textContent = `Making ${kind}…`;
      try {
        const name = await work();
        this.places.state.textContent = `Downloaded ${name}`;
      } catch (error) {
        this.places.state.textContent = error.message;
        this.places.state.scrollIntoView({ block: 'nearest' });
      }
    });
    return button;
  }

  async #one(format) {
    const picture = this.now.picture();
    const answer = await this.#send([picture], format.media_type);
    return save(await answer.blob(), stem(picture.name) + (format.ending || format.file_name.replace(/^.*(?=\.)/, '')));
  }

  /** All pictures, in requests within the limits, joined into one file. */
  async #all(format) {
    const { media_type: type, name } = format;
    const requests = [...batches(this.now.pictures(), this.now.limits())];
    if (!JOIN[name]) {
      if (requests.length > 1) throw new Error(`${format.kind}: more pictures than this server takes in one request.`);
      return save(await (await this.#send(requests[0], type)).blob(), format.file_name);
    }
    const texts = [];
    for (const pictures of requests) texts.push(await (await this.#send(pictures, type)).text());
    const [fileName, parts] = JOIN[name](texts);
    return save(new Blob(parts, { type }), fileName);
  }

  #send(pictures, type) {
    const rules = this.now.rules();
    const query = new URLSearchParams({ ...this.now.model(), ...pictures[0].stated });
    if (Object.keys(rules).length) query.set('rules', JSON.stringify(rules));
    const body = new FormData();
    for (const { file, name } of pictures) body.append('picture', file, name);
    return ask(`/api/v1/segment?${query}`, { method: 'POST', headers: { Accept: type }, body });
  }
}

/** Pictures in order, in batches within the limits; pictures of one batch have the same stated bounds and day. */
function* batches(pictures, { pictures: most = Infinity, request_bytes: mostBytes = Infinity }) {
  const room = 0.95 * mostBytes; // the form has some overhead
  let batch = [];
  let bytes = 0;
  for (const picture of pictures) {
    const alike = JSON.stringify(batch[0]?.stated) === JSON.stringify(picture.stated);
    if (batch.length && (!alike || batch.length >= most || bytes + picture.file.size > room)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(picture);
    bytes += picture.file.size;
  }
  if (batch.length) yield batch;
}

function stem(name) {
  return name.replace(/\.[^.]*$/, '');
}

function save(blob, name) {
  const link = element('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may still be reading
  return name;
}
