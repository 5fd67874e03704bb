/** Makes DOM elements, and what else pages need of a browser. Text stays text: nothing is ever parsed as HTML. */

/** @param {string} colour - such as `#d55e00`. @returns {number[]} red, green, blue, 0 to 255. */
export function rgbOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/**
 * Copy text to the clipboard.
 * @param {string} text
 * @returns {Promise<boolean>} whether the browser lets pages do so.
 */
export async function copyText(text) {
  return await navigator.clipboard?.writeText(text).then(() => true, () => false) ?? false;
}

/**
 * Make an element with properties and children.
 * @param {string} name
 * @param {object} [properties] - of the element; `aria-...` and `data-...` become attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes('-')) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}
