/** The stage: shows the picture, zoom controls, a tooltip of regions, and progress. */

import { element } from './element.js';
import { IDLE, listen } from './gestures.js';
import { placeOf } from './graticule.js';
import { regionInWords } from './panel.js';
import { View } from './view.js';

const ZOOM_STEP = 1.5;

const $ = (id) => document.getElementById(id);

/** @typedef {import('./pictures.js').Picture} Picture */

export class Stage {
  #picture = null;
  /** The decoded picture, and its source. */
  #bitmap = null;
  #source = null;

  /**
   * @param {{regionsAt: (pixel: {x: number, y: number}) => import('./regions.js').Region[],
   *   turn: (step: number) => void}} handlers - `regionsAt`
   *   returns the regions at a pixel of the grid; `turn` shows the next picture or the one before.
   */
  constructor({ regionsAt, turn }) {
    /** What draws on the picture. @type {import('./gestures.js').Hand} */
    this.hand = IDLE;
    this.view = new View($('picture'), $('marks'));
    this.regionsAt = regionsAt;
    listen($('viewer'), this.view, { hover: (at) => this.#hover(at), turn, hand: () => this.hand });
    this.view.whenMoved(() => {
      $('zoom-out').disabled = this.view.zoom <= 1;
      $('zoom-reset').disabled = this.view.zoom <= 1;
      $('zoom-in').disabled = !this.view.canZoomIn;
      $('viewer').classList.toggle('zoomed', this.view.zoom > 1);
    });
    $('zoom-in').addEventListener('click', () => this.view.zoomBy(ZOOM_STEP));
    $('zoom-out').addEventListener('click', () => this.view.zoomBy(1 / ZOOM_STEP));
    $('zoom-reset').addEventListener('click', () => this.view.reset());
  }

  /** Show a picture as far as it is loaded. @param {Picture | null} picture */
  show(picture) {
    if (picture !== this.#picture) this.#hover(null);
    this.#picture = picture;
    if (picture) note(picture);
    const source = picture?.shown ?? null;
    if (source !== this.#source) this.#decode(source);
  }

  /** Zoom to a region. @param {import('./regions.js').Region} region */
  reveal(region) {
    this.view.reveal(region);
    $('stage').scrollIntoView({ block: 'nearest' });
  }

  /** Decode a picture; only one is held at full size. */
  async #decode(source) {
    this.#source = source;
    const bitmap = source && await createImageBitmap(source).catch(() => null); // too large for this device
    if (source !== this.#source) {
      bitmap?.close();
      return;
    }
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    $('viewer').classList.toggle('empty', !bitmap);
    this.view.showPicture(bitmap);
  }

  /** Show which regions are under the pointer, and which place. */
  #hover(at) {
    const share = at && this.view.shareAt(at);
    const bounds = this.#picture?.answer?.about.bounds;
    $('coordinates').textContent = share && bounds ? placeOf(bounds, share.x, share.y) : '';
    const pixel = at && this.view.pixelAt(at);
    const under = pixel ? this.regionsAt(pixel) : [];
    this.view.mark(under);
    const tip = $('tip');
    tip.hidden = !under.length;
    if (!under.length) return;
    tip.replaceChildren(...under.map((region) => element(
      'p', {}, element('strong', {}, region.pattern), regionInWords(region).join(' · '),
    )));
    const { offsetWidth, offsetHeight } = tip;
    const left = Math.max(8, Math.min(at.x + 14, this.view.width - offsetWidth - 8));
    const top = at.y + 18 + offsetHeight > this.view.height ? at.y - offsetHeight - 10 : at.y + 18;
    tip.style.transform = `translate(${left}px, ${Math.max(8, top)}px)`;
  }
}

/** The message over the picture: progress, or why it failed. */
function note({ state, reason, hopeless }) {
  const words = { waiting: 'Queued', working: reason || 'Finding patterns…', done: '', failed: reason };
  const box = $('stage-note');
  box.hidden = !words[state];
  box.dataset.state = state;
  box.setAttribute('role', state === 'failed' ? 'alert' : 'status');
  box.querySelector('p').textContent = words[state];
  $('retry').hidden = state !== 'failed' || hopeless;
}
