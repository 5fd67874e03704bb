/** The page: pictures come in, are shown with what was found in them, and go out as files. */

import { fillCard } from './card.js';
import { Downloads } from './downloads.js';
import { listen } from './gestures.js';
import { legendEntry, PatternRow, regionInWords, RegionTable } from './panel.js';
import { Pictures } from './pictures.js';
import { placeForm, worldviewForm } from './place.js';
import { describeRegions } from './regions.js';
import { askJson, Gone, person, takeTokenFromAddress } from './requests.js';
import { findGroups, STEPS } from './rules.js';
import { Strip } from './strip.js';
import { View } from './view.js';
import { briefName, dayInWords, percent, placeInWords, whole } from './words.js';

const SETTLED = 250; // ms without a move, after which tables and readers are told what sliders changed
const SAMPLE = '/synthetic_sample.jpg';
const ZOOM_STEP = 1.5;

const $ = (id) => document.getElementById(id);

/** @type {import('./panel.js').Pattern[]} */
let patterns = [];
/** @type {Map<string, string>} */
let colours = new Map();
/** The card of the model that answers; null until the server has told. */
let card = null;
/** @type {PatternRow[]} one a pattern, in the card's order */
let rows = [];
/** @type {import('./pictures.js').Picture | null} the one that is shown */
let current = null;
/** What was found in the picture shown: one entry a pattern; `groups.areas` are in pixels of the grid. */
let found = [];
/** Patterns whose rules moved since the last frame. */
const moved = new Set();
let settling = 0;

takeTokenFromAddress();

const view = new View($('picture'), $('marks'));
const pictures = new Pictures(changed, gone);
const strip = new Strip($('strip'), { choose: select, remove, turn });
const table = new RegionTable($('regions'), $('regions-note'), {
  point: (regions) => view.mark(regions),
  choose: (region) => view.reveal(region),
});
const downloads = new Downloads({
  one: $('downloads'),
  all: $('all-downloads').querySelector('ul'),
  note: $('downloads-note'),
  state: $('download-state'),
}, {
  picture: () => current,
  pictures: () => pictures.done,
  rules: changedRules,
  limits: () => pictures.limits,
});
const worldviewSays = worldviewForm($('worldview'), (name, address) => added(pictures.addFrom(name, address)));
const place = placeForm($('place'), (stated) => {
  current.stated = stated;
  $('stating').open = false;
  pictures.again(current);
});

/* What the server is. */

async function begin() {
  try {
    const server = await askJson('/api/v1/server');
    pictures.limits = server.limits;
    patterns = server.patterns;
    colours = new Map(patterns.map(({ name, colour }) => [name, colour]));
    $('legend').replaceChildren(...patterns.map(legendEntry));
    $('version').textContent = `nephoscope ${server.nephoscope}`;
    [card] = (await askJson('/api/v1/models')).models;
    fillCard($('card'), card);
    $('model').textContent = card.name;
    const pixels = card.grid[0] * card.grid[1];
    rows = card.patterns.map((name, index) => new PatternRow(
      patterns.find((pattern) => pattern.name === name), card.rules[name], pixels,
      { moved: () => rulesMoved([index]), toggled: redraw },
    ));
    $('patterns').replaceChildren(...rows.map((row) => row.element));
    refresh();
    askWorldview(); // it takes seconds where there is no network, and nothing waits for it
  } catch (error) {
    if (error instanceof Gone) gone(error);
    else say(error.message);
  }
}

async function askWorldview() {
  try {
    const service = await askJson('/api/v1/worldview');
    worldviewSays(service);
    place.fill(service.regions);
  } catch (error) {
    worldviewSays({ available: false, reason: error.message });
  }
}

/* Pictures come in. */

function addFiles(files) {
  if (files.length) added(pictures.addFiles(files));
}

/** Show the first of the pictures that came. */
function added([first]) {
  if ($('adding').open) $('adding').close();
  const wasEmpty = !current;
  select(first);
  if (wasEmpty) $('viewer').focus({ preventScroll: true }); // what had the focus is gone
}

function select(picture) {
  current = picture;
  found = [];
  refresh();
  showBitmap();
}

function remove(picture) {
  const { all } = pictures;
  const neighbour = all[all.indexOf(picture) + 1] ?? all[all.indexOf(picture) - 1] ?? null;
  pictures.remove(picture);
  if (picture === current) select(neighbour);
  else refresh();
  if (!current) $('choose').focus();
}

function turn(step) {
  const next = pictures.all[pictures.all.indexOf(current) + step];
  if (next) select(next);
}

function changed(picture) {
  if (picture === current) {
    if (picture.shown !== shown) showBitmap();
    found = [];
  }
  refresh();
}

/** What `view` shows, and the picture it was decoded from. */
let shown = null;
let bitmap = null;

/** Decode the picture that is shown; only one is held at its full size. */
async function showBitmap() {
  const picture = current;
  if (shown === picture?.shown && bitmap) return view.reset();
  shown = picture?.shown ?? null;
  const decoded = shown && await createImageBitmap(shown);
  if (picture !== current) return decoded?.close();
  bitmap?.close();
  bitmap = decoded;
  return view.showPicture(bitmap);
}

/* What was found. */

/** The rule that is in force for a pattern. */
function ruleNow(row) {
  return $('absent').checked ? { ...row.rule, presence: 0, least_cover: 0 } : row.rule;
}

/** Rules that differ from the model's, by pattern, as the server takes them. */
function changedRules() {
  const differing = rows.map((row) => {
    const entries = Object.entries(ruleNow(row)).filter(([name, value]) => value !== row.card[name]);
    return [row.name, Object.fromEntries(entries)];
  });
  return Object.fromEntries(differing.filter(([, rule]) => Object.keys(rule).length));
}

function find(index) {
  const { about, values, width, height, withData } = current.answer;
  const row = rows[index];
  const rule = ruleNow(row);
  const groups = findGroups(values[index], width, height, rule, about.patterns[row.name].score);
  const limit = Math.round(rule.threshold * STEPS);
  const grid = { width, height, withData, limit, bounds: about.bounds };
  const pixels = groups.areas.reduce((sum, area) => sum + area, 0);
  found[index] = { groups, regions: describeRegions(row.name, groups, values[index], grid), pixels };
  row.say(pixels / withData);
  row.cover.title = `${whole(pixels)} of ${whole(withData)} pixels with data`;
}

function rulesMoved(indices) {
  if (!moved.size) requestAnimationFrame(redraw);
  for (const index of indices) moved.add(index);
}

/** Find again what moved, and draw; words follow when the sliders rest. */
function redraw() {
  if (current?.answer && rows.length) {
    rows.forEach((_, index) => {
      if (moved.has(index) || !found[index]) find(index);
    });
  }
  moved.clear();
  draw();
  $('reset').disabled = !Object.keys(changedRules()).length;
  clearTimeout(settling);
  settling = setTimeout(tell, SETTLED);
}

function draw() {
  const layers = rows.flatMap((row, index) => (row.shown.checked && found[index]
    ? [{ name: row.name, colour: colours.get(row.name), regions: found[index].regions }]
    : []));
  view.showLayers(found.length ? current.answer : null, layers, Number($('opacity').value) / 100);
}

/** Regions that are shown, pattern by pattern. */
function shownRegions() {
  return found.flatMap(({ regions }, index) => (rows[index].shown.checked ? regions : []));
}

function tell() {
  const words = inWords();
  if ($('summary').textContent !== words) $('summary').textContent = words;
  $('marks').setAttribute('aria-label', current ? `${current.name}. ${words}` : 'No picture');
  table.show(shownRegions(), colours);
}

function inWords() {
  if (!current) return '';
  if (!found.length) return current.state === 'failed' ? '' : 'Finding patterns…';
  if (!current.answer.anyData) return 'No data in this picture';
  const covers = found.flatMap(({ pixels }, index) => (
    pixels ? [`${rows[index].name} ${percent(pixels / current.answer.withData)}`] : []
  ));
  return covers.join(', ') || 'No pattern found';
}

/* The page around it. */

function refresh() {
  const any = Boolean(current);
  document.body.classList.toggle('full', any);
  $('welcome').hidden = any;
  for (const id of ['stage', 'panel', 'add']) $(id).hidden = !any;
  strip.show(pictures.all, current);
  if (!any) {
    $('welcome').querySelector('.lead').after($('start'));
    return;
  }
  const name = briefName(current.name);
  $('picture-name').textContent = name;
  $('picture-name').title = current.name;
  $('picture-facts').textContent = facts(current);
  $('all-downloads').hidden = pictures.done.length < 2;
  note();
  downloads.show(current);
  if (!current.answer) rows.forEach((row) => row.say(null));
  redraw();
}

function facts({ answer }) {
  if (!answer) return '';
  const { satellite, date, bounds, width, height } = answer.about;
  return [
    satellite, date && dayInWords(date), bounds && placeInWords(bounds), `${whole(width)} × ${whole(height)} px`,
  ].filter(Boolean).join(' · ');
}

/** Over the picture: what it waits for, or why there is nothing to see. */
function note() {
  const { state, reason } = current;
  const words = { waiting: 'Waiting for its turn', working: reason || 'Finding patterns…', done: '', failed: reason };
  const box = $('stage-note');
  box.hidden = !words[state];
  box.dataset.state = state;
  if (state === 'failed') box.setAttribute('role', 'alert');
  else box.removeAttribute('role');
  box.querySelector('p').textContent = words[state];
  $('retry').hidden = state !== 'failed';
}

function say(words, canTryAgain = false) {
  $('notice').hidden = false;
  $('notice').querySelector('p').textContent = words;
  $('try-again').hidden = !canTryAgain;
}

function gone(error) {
  say(error.message, true);
}

$('try-again').addEventListener('click', () => {
  $('notice').hidden = true;
  if (card) pictures.resume();
  else begin().then(() => pictures.resume());
});
$('dismiss').addEventListener('click', () => { $('notice').hidden = true; });
$('retry').addEventListener('click', () => pictures.again(current));
$('remove').addEventListener('click', () => remove(current));

$('choose').addEventListener('click', () => $('files').click());
$('files').addEventListener('change', () => {
  addFiles([...$('files').files]);
  $('files').value = ''; // the same file may be chosen again
});
$('sample').addEventListener('click', () => added(pictures.addFrom(SAMPLE.slice(1), SAMPLE)));
$('add').addEventListener('click', () => {
  $('adding').append($('start')); // the same ways in, in another place
  $('adding').showModal();
});
document.addEventListener('paste', (event) => {
  const { files } = event.clipboardData;
  if (!files.length) return;
  event.preventDefault();
  addFiles([...files]);
});

const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
window.addEventListener('dragover', (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = 'copy';
  $('drop-here').hidden = false;
});
window.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) $('drop-here').hidden = true;
});
window.addEventListener('drop', (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  $('drop-here').hidden = true;
  addFiles([...event.dataTransfer.files]);
});

$('absent').addEventListener('change', () => rulesMoved(rows.keys()));
$('opacity').addEventListener('input', () => {
  $('opacity-value').textContent = percent(Number($('opacity').value) / 100);
  draw();
});
$('opacity-value').textContent = percent(Number($('opacity').value) / 100);
$('reset').addEventListener('click', () => {
  rows.forEach((row) => row.reset());
  $('absent').checked = false;
  rulesMoved(rows.keys());
});

listen($('viewer'), view, { hover, turn });
view.moved = () => {
  $('zoom-out').disabled = view.zoom <= 1;
  $('zoom-reset').disabled = view.zoom <= 1;
  $('zoom-in').disabled = !view.canZoomIn;
  $('viewer').classList.toggle('zoomed', view.zoom > 1);
};
view.moved();
$('zoom-in').addEventListener('click', () => view.zoomBy(ZOOM_STEP));
$('zoom-out').addEventListener('click', () => view.zoomBy(1 / ZOOM_STEP));
$('zoom-reset').addEventListener('click', () => view.reset());

/** Tell which regions are under the pointer. */
function hover(at) {
  const pixel = at && found.length ? view.pixelAt(at) : null;
  const under = pixel ? found.flatMap(({ groups, regions }, index) => {
    const number = groups.numbers[pixel.y * current.answer.width + pixel.x];
    return number && rows[index].shown.checked ? [regions[number - 1]] : [];
  }) : [];
  view.mark(under);
  const tip = $('tip');
  tip.hidden = !under.length;
  tip.textContent = under.map(regionInWords).join('\n');
  if (!under.length) return;
  const { offsetWidth, offsetHeight } = tip;
  const left = Math.max(8, Math.min(at.x + 14, view.width - offsetWidth - 8));
  const top = at.y + 18 + offsetHeight > view.height ? at.y - offsetHeight - 10 : at.y + 18;
  tip.style.transform = `translate(${left}px, ${Math.max(8, top)}px)`;
}

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.querySelector('.close')?.addEventListener('click', () => dialog.close());
}
$('model').addEventListener('click', () => $('card').showModal());

person.askForToken = () => new Promise((resolve) => {
  const dialog = $('asking');
  const form = $('token');
  dialog.addEventListener('cancel', (event) => event.preventDefault()); // nothing works without it
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    dialog.close();
    resolve(form.elements.namedItem('token').value.trim());
  }, { once: true });
  dialog.showModal();
});

begin();
