/** Forms that ask for a place: a region by name, or a box in degrees. */

import { element } from './element.js';

const OTHER = 'other'; // a region's name is never this: the server would take it for one

/** A choice of regions, with a line for any other box. */
export class PlaceChoice {
  /** @param {HTMLFormElement} form - has `region`, `box` and, around it, a label of class `box`. */
  constructor(form) {
    this.select = form.elements.namedItem('region');
    this.box = form.elements.namedItem('box');
    this.label = form.querySelector('.box');
    this.select.addEventListener('change', () => {
      this.#follow();
      if (!this.label.hidden) this.box.focus();
    });
    this.fill([]);
  }

  /** @param {{name: string}[]} regions */
  fill(regions) {
    this.regions = regions.map(({ name }) => element('option', { value: name }, inWords(name)));
    this.offer([]);
  }

  /** @param {HTMLOptionElement[]} more - what may be chosen before regions and boxes. */
  offer(more) {
    this.select.replaceChildren(...more, ...this.regions, element('option', { value: OTHER }, 'other box…'));
    this.#follow();
  }

  /** @returns {string} as the server takes a place; empty for a choice that is none. */
  get value() {
    return this.select.value === OTHER ? this.box.value.replace(/\s/g, '') : this.select.value;
  }

  #follow() {
    this.label.hidden = this.select.value !== OTHER;
    this.box.required = !this.label.hidden;
    this.box.disabled = this.label.hidden; // what is not seen is not checked
  }
}

function inWords(name) {
  return name.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');
}

/**
 * The form that fetches a picture from NASA Worldview.
 * @param {HTMLFormElement} form
 * @param {(name: string, address: string) => void} fetched - told what to get, and from where on this server.
 * @returns {(service: object) => void} to be told what `/api/v1/worldview` answered.
 */
export function worldviewForm(form, fetched) {
  const { day, satellite } = form.elements;
  const place = new PlaceChoice(form);
  const fieldset = form.querySelector('fieldset');
  const why = form.querySelector('.why');
  day.max = new Date().toISOString().slice(0, 10);
  let satellites = [];
  satellite.addEventListener('change', follow);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const query = new URLSearchParams({ satellite: satellite.value, day: day.value, place: place.value });
    fetched(`${satellite.value} ${day.value} ${place.value}`, `/api/v1/worldview/picture?${query}`);
  });
  return (service) => {
    satellites = service.satellites ?? [];
    satellite.replaceChildren(...satellites.map(({ name }) => element('option', { value: name }, name)));
    place.fill(service.regions ?? []);
    fieldset.disabled = !service.available;
    why.textContent = service.available ? '' : `This server cannot reach NASA Worldview (${service.reason}).`;
    follow();
  };

  /** A satellite has no pictures from before its first day. */
  function follow() {
    day.min = satellites.find(({ name }) => name === satellite.value)?.first ?? '';
  }
}

/**
 * The form by which a person says where and when a picture was taken.
 * @param {HTMLFormElement} form
 * @param {(stated: {bounds?: string, day?: string}) => void} told - of what was said, as the server takes it.
 * @returns {{fill: (regions: {name: string}[]) => void, show: (about: object) => void}} to be told which regions
 *   there are, and what is known of the picture shown.
 */
export function placeForm(form, told) {
  const place = new PlaceChoice(form);
  const { day } = form.elements;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    told({ ...(place.value && { bounds: place.value }), ...(day.value && { day: day.value }) });
  });
  return {
    fill: (regions) => place.fill(regions),
    show: ({ bounds, date }) => {
      place.offer([element('option', { value: '' }, bounds ? 'as the picture says' : 'choose…')]);
      day.value = date ?? '';
    },
  };
}
