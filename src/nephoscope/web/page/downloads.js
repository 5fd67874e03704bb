/** Files of what is shown: the server is asked again, with the rules as the sliders now say. */

import { element } from './element.js';
import { ask } from './requests.js';

const FORMATS = [
  {
    label: 'Overlay', kind: 'PNG', type: 'image/png', ending: '_overlay.png',
    holds: 'The picture with its patterns in colour',
  },
  {
    label: 'Masks', kind: 'ZIP', type: 'application/zip', ending: '_masks.zip',
    holds: 'A mask of 0 and 1 for each pattern',
  },
  {
    label: 'Regions', kind: 'JSON', type: 'application/json', ending: '.json',
    holds: 'Scores, covers and every region, in pixels',
  },
  {
    label: 'Contest', kind: 'CSV', type: 'text/csv', ending: '.csv',
    holds: 'Run lengths on 350 × 525, as the contest of 2019 wants them',
  },
  {
    label: 'Outlines', kind: 'GeoJSON', type: 'application/geo+json', ending: '.geojson', needs: ['place'],
    holds: 'Every region in longitude and latitude',
  },
  {
    label: 'Grid', kind: 'NetCDF', type: 'application/x-netcdf', ending: '.nc', needs: ['place', 'day'],
    holds: 'Probabilities and masks on longitude and latitude',
  },
];
const OF_ALL = FORMATS.filter(({ kind }) => kind === 'JSON' || kind === 'CSV');

/** @typedef {import('./pictures.js').Picture} Picture */

export class Downloads {
  /**
   * @param {{one: HTMLElement, all: HTMLElement, note: HTMLElement, state: HTMLElement}} places - lists of buttons
   *   for the picture shown and for all of them; what is missing; how a download goes.
   * @param {{picture: () => Picture, pictures: () => Picture[], model: () => object, rules: () => object,
   *   limits: () => object}} now - what to send: pictures, what is said of the model, and rules that differ from its.
   */
  constructor(places, now) {
    this.places = places;
    this.now = now;
    this.buttons = FORMATS.map((format) => this.#button(format, () => this.#one(format)));
    places.one.append(...this.buttons.map((button) => element('li', {}, button)));
    places.all.append(...OF_ALL.map((format) => (
      element('li', {}, this.#button(format, () => this.#all(format)))
    )));
  }

  /**
   * @param {Picture} picture - the one shown.
   * @param {boolean} someHidden - whether patterns are out of sight.
   */
  show(picture, someHidden) {
    const { bounds, date } = picture.answer?.about ?? {};
    const known = { place: Boolean(bounds), day: Boolean(date) };
    FORMATS.forEach(({ needs = [] }, index) => {
      this.buttons[index].disabled = picture.state !== 'done' || !needs.every((need) => known[need]);
    });
    const missing = Object.keys(known).filter((need) => !known[need]);
    const wanting = known.place ? 'NetCDF needs' : 'GeoJSON and NetCDF need';
    this.places.note.textContent = [
      picture.answer && missing.length && `${wanting} the picture's ${missing.join(' and ')}, which it does not tell.`,
      someHidden && 'Files hold all patterns, also those out of sight.',
    ].filter(Boolean).join(' ');
  }

  #button({ label, kind, holds }, work) {
    const button = element(
      'button', { type: 'button', title: holds }, element('span', {}, label), element('small', {}, kind),
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

  async #one({ type, ending }) {
    const picture = this.now.picture();
    const answer = await this.#send([picture], type);
    return save(await answer.blob(), stem(picture.name) + ending);
  }

  /** All pictures; as many at once as the server takes, joined to one file. */
  async #all({ type, kind }) {
    const parts = [];
    for (const pictures of batches(this.now.pictures(), this.now.limits())) {
      parts.push(await (await this.#send(pictures, type)).text());
    }
    if (kind === 'CSV') {
      const rows = parts.map((part, index) => (index ? part.slice(part.indexOf('\n') + 1) : part));
      return save(new Blob(rows, { type }), 'submission.csv');
    }
    const scenes = parts.flatMap((part) => JSON.parse(part).scenes);
    return save(new Blob([`${JSON.stringify({ scenes })}\n`], { type }), 'nephoscope.json');
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

/** Pictures in order, in requests that the server takes; those of one request share what is stated of them. */
function* batches(pictures, { pictures: most = Infinity, request_bytes: mostBytes = Infinity }) {
  const room = 0.95 * mostBytes; // the request has words of its own
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
