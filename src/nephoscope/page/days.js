/** Fetched days: the day before and after one, and a link that fetches days again. */

const DAY = 86_400_000; // ms

/**
 * What was fetched from NASA Worldview.
 * @typedef {{satellite: string, day: string, place: string}} Overpass
 */

/** @param {Overpass} overpass @param {number} days @returns {Overpass} so many days later. */
export function shifted(overpass, days) {
  const time = new Date(`${overpass.day}T00:00Z`).getTime() + days * DAY;
  return { ...overpass, day: new Date(time).toISOString().slice(0, 10) };
}

/** @param {Overpass} overpass @returns {string} such as `Aqua/2020-02-01/barbados`. */
export function inShort({ satellite, day, place }) {
  return `${satellite}/${day}/${place}`;
}

/** @param {Overpass} overpass @returns {string} the address of its picture, relative to the page. */
export function addressOf(overpass) {
  return `api/v1/worldview/picture?${new URLSearchParams(overpass)}`;
}

/**
 * A link that fetches the same days, with the same rules.
 * @param {Overpass[]} overpasses
 * @param {object} rules - changes of the card's, by pattern.
 * @returns {string}
 */
export function linkOf(overpasses, rules) {
  const fragment = new URLSearchParams(overpasses.map((overpass) => ['scene', inShort(overpass)]));
  if (Object.keys(rules).length) fragment.set('rules', JSON.stringify(rules));
  return `${location.origin}${location.pathname}#${fragment}`;
}

/**
 * What the page's own address asks for; it is removed from the address bar.
 * @returns {{overpasses: Overpass[], rules: object}}
 */
export function takeFromAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const overpasses = fragment.getAll('scene').map((text) => {
    const [satellite, day, ...place] = text.split('/');
    return { satellite, day, place: place.join('/') };
  }).filter(({ place }) => place);
  let rules = {};
  try {
    rules = JSON.parse(fragment.get('rules') ?? '{}');
  } catch {
    // a link that was cut: the days are fetched all the same
  }
  if (overpasses.length) history.replaceState(null, '', location.pathname + location.search);
  return { overpasses, rules };
}
