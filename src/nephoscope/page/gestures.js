/** Zoom and pan by wheel, pinch, drag and keys; drawing takes the drags and keys that it wants. */

const KEY_ZOOM = 1.5;
const KEY_PAN = 60; // px
const WHEEL = 0.0015; // of the zoom's logarithm a px of the wheel; touchpads that pinch send a sixth of that
const PINCH_WHEEL = 0.01;
const CONTROLS = 'button, .tools, .divider'; // over the picture, which is not dragged by them
const LINE = 16; // px; some wheels count in lines

/**
 * What draws on the picture, in place of panning it. Positions are in px from the stage's corner.
 * @typedef {object} Hand
 * @property {(at: {x: number, y: number}) => boolean} down - whether it takes what the pointer does until it is up.
 * @property {(at: {x: number, y: number}) => void} move
 * @property {(at: {x: number, y: number}) => void} up
 * @property {() => void} cancel - a second finger zooms instead.
 * @property {(at: {x: number, y: number} | null) => void} hover
 * @property {(event: KeyboardEvent) => boolean} key - whether it used the key.
 */

/** The hand while nobody draws. @type {Hand} */
export const IDLE = {
  down: () => false, move: () => {}, up: () => {}, cancel: () => {}, hover: () => {}, key: () => false,
};

/**
 * @param {HTMLElement} stage - takes the focus and the pointer.
 * @param {import('./view.js').View} view
 * @param {{hover: (at: {x: number, y: number} | null) => void, turn: (step: number) => void,
 *   hand: () => Hand}} handlers - `hover` gets the pointer's position in px from the stage's corner; `turn` gets left
 *   and right keys when there is nothing to pan; `hand` says what draws now.
 */
export function listen(stage, view, { hover, turn, hand }) {
  const pointers = new Map();
  let drawing = null; // the pointer whose moves the hand takes

  const place = (event) => {
    const { left, top } = stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    const distance = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * LINE : event.deltaY;
    view.zoomBy(Math.exp(-distance * (event.ctrlKey ? PINCH_WHEEL : WHEEL)), place(event));
  }, { passive: false });

  // Two fingers zoom the picture even where one scrolls the page.
  stage.addEventListener('touchmove', (event) => {
    if (event.touches.length > 1) event.preventDefault();
  }, { passive: false });

  stage.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.target.closest(CONTROLS)) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size > 1) {
      if (drawing !== null) hand().cancel();
      drawing = null;
    } else if (hand().down(place(event))) {
      drawing = event.pointerId;
    }
    hover(place(event)); // a finger hovers by touching
  });

  stage.addEventListener('pointermove', (event) => {
    const at = place(event);
    const before = pointers.get(event.pointerId);
    if (event.pointerType !== 'touch') hand().hover(event.target.closest(CONTROLS) ? null : at);
    if (event.pointerId === drawing) {
      for (const each of event.getCoalescedEvents?.() ?? []) hand().move(place(each));
      hand().move(at);
      pointers.set(event.pointerId, at);
      return;
    }
    if (!before) {
      if (event.pointerType === 'mouse') hover(event.target.closest(CONTROLS) ? null : at);
      return;
    }
    const still = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (still) {
      view.zoomBy(distance(at, still) / Math.max(1, distance(before, still)), middle(at, still));
      view.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
    } else if (view.zoom > 1) {
      view.panBy(at.x - before.x, at.y - before.y);
    }
    pointers.set(event.pointerId, at);
  });

  for (const name of ['pointerup', 'pointercancel']) {
    stage.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (event.pointerId !== drawing) return;
      drawing = null;
      if (name === 'pointerup') hand().up(place(event));
      else hand().cancel();
    });
  }
  stage.addEventListener('pointerleave', (event) => {
    if (event.pointerType !== 'mouse') return;
    hover(null);
    hand().hover(null);
  });
  stage.addEventListener('dblclick', (event) => {
    if (!event.target.closest(CONTROLS) && !stage.classList.contains('drawing')) view.reset();
  });

  const keys = {
    '+': () => view.zoomBy(KEY_ZOOM),
    '=': () => view.zoomBy(KEY_ZOOM), // where + is =, shifted
    '-': () => view.zoomBy(1 / KEY_ZOOM),
    '0': () => view.reset(),
    ArrowLeft: () => (view.zoom > 1 ? view.panBy(KEY_PAN, 0) : turn(-1)),
    ArrowRight: () => (view.zoom > 1 ? view.panBy(-KEY_PAN, 0) : turn(1)),
    ArrowUp: () => view.panBy(0, KEY_PAN),
    ArrowDown: () => view.panBy(0, -KEY_PAN),
  };
  stage.addEventListener('keydown', (event) => {
    if (event.target === stage && hand().key(event)) {
      event.preventDefault();
      return;
    }
    if (event.target !== stage || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

function middle(one, other) {
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}
