/** Forms for a place: a named region, or bounds in degrees. */

import { element } from './element.js';

const OTHER = 'other'; // no region has this name

/** A choice of regions, with an input for other bounds. */
export class PlaceChoice {
  /** Options before the regions. */
  #more = [];
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

  /** Set the regions; what is chosen stays. @param {{name: string}[]} regions */
  fill(regions) {
    const value = this.select.value === OTHER && !this.box.value ? '' : this.select.value;
    this.regions = regions.map(({ name }) => element('option', { value: name }, inWords(name)));
    this.offer(this.#more);
    if ([...this.select.options].some((option) => option.value === value)) this.select.value = value;
    this.#follow();
  }

  /** @param {HTMLOptionElement[]} more - options before the regions. */
  offer(more) {
    this.#more = more;
    this.select.replaceChildren(...more, ...this.regions, element('option', { value: OTHER }, 'other box…'));
    this.select.selectedIndex = 0; // options that were there before keep their choice otherwise
    this.#follow();
  }

  /** @returns {string} as the API takes a place; empty if none is chosen. */
  get value() {
    return this.select.value === OTHER ? this.box.value.replace(/\s/g, '') : this.select.value;
  }

  #follow() {
    this.label.hidden = this.select.value !== OTHER;
    this.box.required = !this.label.hidden;
    this.box.disabled = this.label.hidden; // hidden inputs are not validated
  }
}

function inWords(name) {
  return name.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');
}

/**
 * The form that fetches a picture from NASA Worldview.
 * @param {HTMLFormElement} form
 * @param {(overpass: import('./days.js').Overpass) => void} fetched - called with what to fetch.
 * @returns {(service: object) => void} called with the JSON of `/api/v1/worldview`.
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
    fetched({ satellite: satellite.value, day: day.value, place: place.value });
  });
  return (service) => {
    satellites = service.satellites ?? [];
    satellite.replaceChildren(...satellites.map(({ name }) => element('option', { value: name }, name)));
    place.fill(service.regions ?? []);
    fieldset.disabled = !service.available;
    fieldset.hidden = service.isManual ?? false;
    why.hidden = service.isManual ?? false;
    form.querySelector('.manual').hidden = service.available;
    why.textContent = service.available ? '' : `This server cannot reach NASA Worldview (${service.reason}).`;
    follow();
  };

  /** Limit the day to those that the satellite has pictures of. */
  function follow() {
    day.min = satellites.find(({ name }) => name === satellite.value)?.first ?? '';
  }
}

/**
 * The form in which a user states where and when a picture was taken.
 * @param {HTMLFormElement} form
 * @param {(stated: {bounds?: string, day?: string, extent?: string}) => void} stated - called with the input, as the API
 *   takes it.
 * @param {() => void} forgotten - called when the user takes it back.
 * @returns {{fill: (regions: {name: string}[]) => void, show: (about: object, isStated: boolean) => void}} sets the
 *   regions, and shows what is known of the current picture.
 */
export function placeForm(form, stated, forgotten) {
  const place = new PlaceChoice(form);
  const { day, extent } = form.elements;
  form.querySelector('.forget').addEventListener('click', forgotten);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const bounds = place.value;
    stated({
      ...(bounds && { bounds }), ...(day.value && { day: day.value }),
      ...(extent.value && !bounds && !extent.disabled && { extent: extent.value }),
    });
  });
  return {
    fill: (regions) => place.fill(regions),
    show: ({ bounds, date }, isStated) => {
      place.offer([element('option', { value: '' }, bounds ? 'as it is' : 'unknown')]);
      day.value = date ?? '';
      extent.closest('label').hidden = Boolean(bounds);
      extent.disabled = Boolean(bounds);
      extent.value = '';
      form.querySelector('.forget').hidden = !isStated;
    },
  };
}
