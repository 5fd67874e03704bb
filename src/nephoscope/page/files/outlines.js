/** Outlines of masks along the edges of their pixels, as polygons. */

const MOVES = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // east, south, west, north
const AHEAD_LEFT = [[0, -1], [0, 0], [-1, 0], [-1, -1]]; // the pixel on the left of a move from a corner
const AHEAD_RIGHT = [[0, 0], [-1, 0], [-1, -1], [0, -1]];

/** @typedef {[number, number][]} Ring - corners (x, y), of which the first is not repeated. */

/**
 * Trace a component. Pixels that touch at a corner are connected.
 * @param {(x: number, y: number) => boolean} isInside - of every place, also outside the grid.
 * @param {[number, number, number, number]} box - left, top, right, bottom of the component.
 * @returns {Ring[][]} polygons: an outer ring each, then its holes. Outer rings run clockwise on the screen.
 */
export function tracePolygons(isInside, [left, top, right, bottom]) {
  const across = right - left + 1;
  const visited = new Uint8Array(across * (bottom - top + 1));
  const outer = [];
  const holes = [];
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      // Every ring has a pixel's top edge, which is walked from west to east.
      if (!isInside(x, y) || isInside(x, y - 1) || visited[(y - top) * across + x - left]) continue;
      const ring = walk(x, y);
      (signedArea(ring) > 0 ? outer : holes).push(ring);
    }
  }
  return outer.map((ring) => [ring, ...holes.filter((hole) => outer.length === 1 || contains(ring, hole))]);

  /** Walk with the inside on the right hand until the walk is back where it began. */
  function walk(beginX, beginY) {
    const ring = [[beginX, beginY]];
    let [x, y, heading] = [beginX, beginY, 0];
    for (;;) {
      if (heading === 0) visited[(y - top) * across + x - left] = 1;
      x += MOVES[heading][0];
      y += MOVES[heading][1];
      const at = ([dx, dy]) => isInside(x + dx, y + dy);
      let next = heading;
      if (at(AHEAD_LEFT[heading])) next = (heading + 3) % 4;
      else if (!at(AHEAD_RIGHT[heading])) next = (heading + 1) % 4;
      if (x === beginX && y === beginY && next === 0) return ring;
      if (next !== heading) ring.push([x, y]);
      heading = next;
    }
  }
}

/** Twice the area; above 0 for a ring that runs clockwise on the screen. */
export function signedArea(ring) {
  return ring.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    return sum + x * nextY - nextX * y;
  }, 0);
}

/** Whether a hole lies inside a ring, by the ray to the east of a point just inside the hole's first corner. */
function contains(ring, hole) {
  const [px, py] = [hole[0][0] + 0.5, hole[0][1] - 0.5];
  return ring.reduce((inside, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    const crosses = (y > py) !== (nextY > py) && px < x + (nextX - x) * (py - y) / (nextY - y);
    return crosses ? !inside : inside;
  }, false);
}
