/** Elements of the page, made in one go. Texts are always texts: nothing that came from elsewhere is read as HTML. */

/**
 * An element with its properties and children.
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
