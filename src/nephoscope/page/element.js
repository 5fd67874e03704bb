/** Makes DOM elements. Text stays text: nothing is ever parsed as HTML. */

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
