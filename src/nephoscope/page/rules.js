/**
 * Segment one pattern: threshold, presence, connected components, minimum area.
 * Same steps, order and numbering as `segment_pattern` of `nephoscope.inference.postprocess`.
 *
 * Probabilities come in whole steps of 1/200, rounded up: for a threshold that is a whole number of steps,
 * `probability > threshold` is exactly `value > STEPS * threshold`.
 */

/** Steps from probability 0 to 1. */
export const STEPS = 200;

/**
 * @typedef {object} Rule
 * @property {number} threshold - a pixel belongs to the pattern where its probability is above this.
 * @property {number} presence - the pattern is present if its score reaches this...
 * @property {number} least_cover - ...and this many pixels are above the threshold.
 * @property {number} minimum_area - smaller components are removed.
 * @property {number} [join] - components with at most this many pixels between them count as one.
 */

/**
 * @typedef {object} Components
 * @property {Int32Array} numbers - of each pixel's component from 1, largest first; 0 elsewhere. Row by row.
 * @property {number[]} areas - in pixels; the first is that of component 1.
 */

/** What sliders and the switch change, and the values that each may have. */
const CHANGEABLE = {
  threshold: (value) => Number.isFinite(value) && value >= 0 && value <= 1,
  minimum_area: (value) => Number.isInteger(value) && value >= 0,
  presence: (value) => value === 0,
  least_cover: (value) => value === 0,
};

/**
 * Changes of rules that come from a link or from storage; what is none is left out.
 * @param {any} value
 * @returns {Object<string, object>} attributes of rules, by pattern.
 */
export function readChanges(value) {
  const isObject = (each) => each !== null && typeof each === 'object';
  const changes = Object.entries(isObject(value) ? value : {}).map(([pattern, rule]) => {
    const entries = Object.entries(isObject(rule) ? rule : {});
    return [pattern, entries.filter(([name, number]) => Object.hasOwn(CHANGEABLE, name) && CHANGEABLE[name](number))];
  });
  return Object.fromEntries(changes.filter(([, rule]) => rule.length).map(([pattern, rule]) => (
    [pattern, Object.fromEntries(rule)]
  )));
}

/**
 * @param {Uint8Array} values - probabilities in steps of 1/200, row by row; 0 where there is no data.
 * @param {number} width - of the grid, in pixels.
 * @param {number} height - of the grid, in pixels.
 * @param {Rule} rule
 * @param {number} score - the pattern's presence score, 0 to 1; it does not depend on the rules that have sliders.
 * @returns {Components}
 */
export function segmentPattern(values, width, height, rule, score) {
  const mask = new Uint8Array(values.length);
  const limit = Math.round(rule.threshold * STEPS);
  let above = 0;
  for (let index = 0; index < values.length; index += 1) {
    if (values[index] > limit) {
      mask[index] = 1;
      above += 1;
    }
  }
  const present = score >= rule.presence && above >= Math.max(1, rule.least_cover);
  if (!present) return { numbers: new Int32Array(values.length), areas: [] };
  const joined = rule.join ? dilate(mask, width, height, rule.join + 1) : mask;
  return removeSmallComponents(labelComponents(joined, width, height), mask, rule.minimum_area);
}

/**
 * Number the connected components of a mask from 1, 0 where it is off; diagonal neighbours connect. Numbers follow
 * rows of 2x2 blocks, as in OpenCV: they decide the order of components of equal area.
 */
function labelComponents(mask, width, height) {
  const labels = new Int32Array(mask.length);
  const parent = [0];
  const find = (label) => {
    let root = label;
    while (parent[root] !== root) root = parent[root];
    while (parent[label] !== root) [parent[label], label] = [root, parent[label]];
    return root;
  };
  for (let y = 0, index = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, index += 1) {
      if (!mask[index]) continue;
      const west = x ? labels[index - 1] : 0;
      const north = y ? labels[index - width] : 0;
      const northWest = x && y ? labels[index - width - 1] : 0;
      const northEast = y && x + 1 < width ? labels[index - width + 1] : 0;
      let label = north || northWest || west;
      if (!north && northEast) {
        // Only here two components can merge: otherwise the north pixel connects all three.
        if (label) {
          const [one, other] = [find(label), find(northEast)];
          if (one !== other) parent[Math.max(one, other)] = Math.min(one, other);
        } else {
          label = northEast;
        }
      }
      if (!label) {
        label = parent.length;
        parent.push(label);
      }
      labels[index] = label;
    }
  }
  const numbers = new Int32Array(parent.length);
  let count = 0;
  const number = (index) => {
    const root = find(labels[index]);
    numbers[root] ||= count += 1;
  };
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      // All pixels of a block that are on touch each other: any of them identifies the component.
      const index = y * width + x;
      const right = x + 1 < width;
      const below = y + 1 < height;
      if (labels[index]) number(index);
      else if (right && labels[index + 1]) number(index + 1);
      else if (below && labels[index + width]) number(index + width);
      else if (right && below && labels[index + width + 1]) number(index + width + 1);
    }
  }
  for (let label = 1; label < parent.length; label += 1) numbers[label] = numbers[find(label)];
  for (let index = 0; index < labels.length; index += 1) labels[index] = numbers[labels[index]];
  return labels;
}

/** Clip components to the mask, remove the small ones, and number the others from 1, largest first. */
function removeSmallComponents(numbers, mask, minimumArea) {
  const areas = [0];
  for (let index = 0; index < numbers.length; index += 1) {
    if (!mask[index]) numbers[index] = 0;
    else areas[numbers[index]] = (areas[numbers[index]] ?? 0) + 1;
  }
  const kept = [...areas.keys()].slice(1)
    .filter((number) => areas[number] >= Math.max(1, minimumArea))
    .sort((one, other) => areas[other] - areas[one]);
  const renumbered = new Int32Array(areas.length);
  kept.forEach((number, place) => { renumbered[number] = place + 1; });
  for (let index = 0; index < numbers.length; index += 1) numbers[index] = renumbered[numbers[index]];
  return { numbers, areas: kept.map((number) => areas[number]) };
}

/** Grow a mask by an ellipse of `side` pixels, as `cv2.dilate` with `cv2.MORPH_ELLIPSE` does. */
function dilate(mask, width, height, side) {
  const grown = new Uint8Array(mask.length);
  const runs = ellipse(side);
  const before = new Int32Array(width + 1); // how many pixels of a row are on before each
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) before[x + 1] = before[x] + mask[y * width + x];
    if (!before[width]) continue;
    for (const { dy, first, last } of runs) {
      const row = y - dy;
      if (row < 0 || row >= height) continue;
      for (let x = 0; x < width; x += 1) {
        const from = Math.max(0, x + first);
        const to = Math.min(width, x + last + 1);
        if (from < to && before[to] > before[from]) grown[row * width + x] = 1;
      }
    }
  }
  return grown;
}

/** Rows of OpenCV's ellipse: `dy` from its anchor, and the first and last column from it. */
function ellipse(side) {
  const radius = Math.floor(side / 2);
  const rows = [];
  for (let row = 0; row < side; row += 1) {
    const dy = row - radius;
    const reach = radius * Math.sqrt((radius * radius - dy * dy) * (radius ? 1 / (radius * radius) : 0));
    const dx = roundHalfEven(reach);
    rows.push({ dy, first: Math.max(radius - dx, 0) - radius, last: Math.min(radius + dx + 1, side) - 1 - radius });
  }
  return rows;
}

/** Round as Python and OpenCV do. @param {number} value @returns {number} */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
