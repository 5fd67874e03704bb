/** Edits of a label mask, undone and done again without limit. */

/** @typedef {import('./label_mask.js').Flips} Flips */

export class History {
  #done = [];
  #undone = [];

  /** Note an edit; what was undone before is forgotten. @param {Flips[]} edit */
  add(edit) {
    this.#done.push(edit);
    this.#undone = [];
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** @param {import('./label_mask.js').LabelMask} mask @returns {Flips[]} what changed. */
  undo(mask) {
    return this.#shift(mask, this.#done, this.#undone);
  }

  /** @param {import('./label_mask.js').LabelMask} mask @returns {Flips[]} what changed. */
  redo(mask) {
    return this.#shift(mask, this.#undone, this.#done);
  }

  #shift(mask, from, to) {
    const edit = from.pop();
    if (!edit) return [];
    for (const flips of edit) mask.flip(flips); // flips are their own opposite; their order does not matter
    to.push(edit);
    return edit;
  }
}
