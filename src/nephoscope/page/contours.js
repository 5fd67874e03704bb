/** Marching squares: outlines of connected components at subpixel precision. */

const EAST = 0, SOUTH = 1, WEST = 2, NORTH = 3;

/**
 * @typedef {object} Ring
 * @property {number} component - the number of the component it bounds.
 * @property {number[]} points - x, y, x, y, ... in pixels of the grid from its top left corner; closed.
 */

/**
 * Trace the edges of components where the values pass a level. Outer edges and holes are both rings: fill them by
 * the even-odd rule. Pixels above the level that are in no component count as 0.
 *
 * @param {Uint8Array} values - row by row.
 * @param {Int32Array} components - component numbers from 1, whose values are above the level; 0 elsewhere.
 * @param {number} width - of the grid, in pixels.
 * @param {number} height - of the grid, in pixels.
 * @param {number} level - no value may equal it.
 * @returns {Ring[]}
 */
export function traceRings(values, components, width, height, level) {
  // A margin of one pixel around the grid lets every ring close. Places are those of pixel centres in it.
  const across = width + 2;
  const heights = new Uint8Array(across * (height + 2));
  const inside = new Int32Array(heights.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const index = y * width + x;
      const place = (y + 1) * across + x + 1;
      inside[place] = components[index];
      heights[place] = components[index] || values[index] < level ? values[index] : 0;
    }
  }
  const visited = new Uint8Array(heights.length);
  const rings = [];
  for (let y = 1; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      const place = y * across + x;
      // Every ring has a place where its inside begins, from left to right.
      if (inside[place] || !inside[place + 1] || visited[place]) continue;
      rings.push({ component: inside[place + 1], points: follow(x, y) });
    }
  }
  return rings;

  /** Walk from cell to cell, the inside on the right hand, until the walk is back where it began. */
  function follow(beginX, beginY) {
    const points = [];
    // A cell lies between four pixels and is named by its top left one; this one is entered from below.
    let [x, y, heading] = [beginX, beginY - 1, NORTH];
    visited[beginY * across + beginX] = 1;
    cross(points, beginX, beginY, beginX + 1, beginY);
    for (;;) {
      heading = turn(y * across + x, heading);
      if (heading === EAST) cross(points, x + 1, y, x + 1, y + 1);
      else if (heading === WEST) cross(points, x, y, x, y + 1);
      else if (heading === SOUTH) cross(points, x, y + 1, x + 1, y + 1);
      else {
        const place = y * across + x;
        if (visited[place]) return points;
        visited[place] = 1;
        cross(points, x, y, x + 1, y);
      }
      if (heading === EAST) x += 1;
      else if (heading === WEST) x -= 1;
      else if (heading === SOUTH) y += 1;
      else y -= 1;
    }
  }

  /** Where a cell is left that was entered with a heading: components that touch at a corner are one. */
  function turn(place, heading) {
    const [northWest, northEast] = [inside[place], inside[place + 1]];
    const [southWest, southEast] = [inside[place + across], inside[place + across + 1]];
    // Ahead of the walker, to the left and to the right.
    const [left, right] = [
      [northEast, southEast], [southEast, southWest], [southWest, northWest], [northWest, northEast],
    ][heading];
    if (left) return (heading + 3) % 4;
    return right ? heading : (heading + 1) % 4;
  }

  /** Add the point between two neighbours, of which one is inside, where the level lies. */
  function cross(points, x0, y0, x1, y1) {
    const one = heights[y0 * across + x0];
    const other = heights[y1 * across + x1];
    const margin = x0 === 0 || y0 === 0 || x1 === width + 1 || y1 === height + 1;
    const share = margin ? 0.5 : (level - one) / (other - one); // of a pixel; in the margin, its edge
    points.push(x0 + (x1 - x0) * share - 0.5, y0 + (y1 - y0) * share - 0.5);
  }
}
