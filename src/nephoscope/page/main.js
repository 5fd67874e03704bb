/** The page: adds pictures, shows results, offers downloads. */

import { watchArrivals } from './arrivals.js';
import { fillCard, offerModels } from './card.js';
import { CoverTable } from './covers.js';
import { linkOf, shifted, takeFromAddress } from './days.js';
import { Details, heading } from './details.js';
import { Downloads } from './downloads.js';
import { copyText } from './element.js';
import { PageEngine } from './engine.js';
import { Findings } from './findings.js';
import { legendEntry } from './panel.js';
import { Pictures } from './pictures.js';
import { placeForm } from './place.js';
import { Gone, Problem, whenTokenIsNeeded } from './requests.js';
import { Results } from './results.js';
import { readChanges } from './rules.js';
import { keepSettings, kept, keptLabels, keptSettings } from './session.js';
import { Stage } from './stage.js';
import { Strip } from './strip.js';
import { Tools } from './tools.js';
import { listed } from './words.js';

const PROBE_INTERVAL = 5000; // ms between two probes of a server that does not respond

const $ = (id) => document.getElementById(id);

/** @type {import('./pictures.js').Picture | null} */
let current = null;
/** Draws labels; null until somebody wants to. @type {import('./drawing/labelling.js').Labelling | null} */
let labelling = null;
/** What the engine has; null until it is known. @type {import('./engine.js').State | null} */
let state = null;

const engine = new PageEngine();
const pictures = new Pictures(engine, changed, stuck);
const stage = new Stage({ regionsAt: (pixel) => labelling?.regionsAt(pixel) ?? findings.regionsAt(pixel), turn });
const findings = new Findings(stage.view, {
  chosen: (region) => stage.reveal(region),
  hidden: () => downloads.show(current, findings.someHidden),
  settled,
});
const tools = new Tools(stage.view);
const strip = new Strip($('strip'), { choose: select, remove, turn });
const downloads = new Downloads({
  one: $('downloads'),
  all: $('all-downloads').querySelector('ul'),
  note: $('downloads-note'),
  state: $('download-state'),
}, {
  picture: () => current,
  pictures: () => pictures.done,
  render: (format, picture) => engine.render(format, picture, pictures.model, findings.changedRules),
  result: (picture) => results.of(picture),
});
const results = new Results({
  card: () => pictures.card,
  rules: () => findings.changedRules,
  state: () => state,
  computed: (picture, result) => strip.showCovers(picture, result),
});
const covers = new CoverTable($('cover-table'), (picture) => {
  $('covers').close();
  select(picture);
});
const place = placeForm($('place'), (stated) => pictures.state(current, stated), () => pictures.forgetStated(current));
const details = new Details(place);
const open = (name, address) => added(pictures.addFrom(name, address));
const showWorldview = watchArrivals({
  files: (files) => added(pictures.addFiles(files)),
  address: open,
  overpass: (overpass) => added(pictures.addOverpass(overpass)),
});

/** Ask the engine what it has. */
async function begin() {
  try {
    const begun = await engine.begin();
    const { nephoscope, patterns, limits, formats } = begun;
    pictures.limits = limits;
    downloads.offer(formats);
    $('legend').replaceChildren(...patterns.map((pattern) => legendEntry(pattern, open)));
    $('pattern-names').textContent = listed(patterns.map(({ name }) => name), 'or');
    $('version').textContent = `nephoscope ${nephoscope}`;
    $('privacy').textContent = engine.privacy;
    $('api').hidden = !engine.hasApi;
    $('kinds').textContent = listed(engine.kinds, 'or');
    const models = await engine.models();
    const use = (chosen) => {
      pictures.card = chosen;
      fillCard($('card'), chosen);
      $('model').textContent = chosen.name;
      findings.begin(chosen, patterns);
      tools.begin(patternsOf(chosen, begun));
      labelling?.begin(patternsOf(chosen, begun));
    };
    const settings = keptSettings();
    const first = models.find(({ name }) => name === settings.model) ?? models[0];
    if (first !== models[0]) pictures.model = first.name;
    use(first);
    offerModels($('by'), models, first, (chosen) => {
      use(chosen);
      pictures.ask(chosen.name);
    });
    state = begun;
    await restore(settings);
    refresh();
    if (settings.draws && current) (await loadLabelling()).toggle();
    pictures.resume();
    askWorldview(); // takes seconds without a network; nothing waits for it
  } catch (error) {
    stuck(error);
  }
}

/** Add what was there before a reload, and what the page's address asks for. */
async function restore({ rules, current: number, tools: shown }) {
  tools.restore(shown ?? {});
  const asked = takeFromAddress();
  const linked = readChanges(asked.rules);
  const changes = Object.keys(linked).length ? linked : readChanges(rules);
  if (Object.keys(changes).length) findings.change(changes);
  const restored = pictures.restore(await kept());
  const labels = await keptLabels();
  if (labels.size) (await loadLabelling()).restore(restored, labels);
  const fetched = asked.overpasses.flatMap((overpass) => pictures.addOverpass(overpass));
  // A picture that was added meanwhile stays in sight.
  current ??= fetched[0] ?? restored.find((picture) => picture.number === number) ?? restored[0] ?? null;
}

async function askWorldview() {
  try {
    const service = await engine.worldview();
    showWorldview(service);
    place.fill(service.regions);
  } catch (error) {
    showWorldview({ available: false, reason: error.message });
  }
}

/** Pause until the user tries again, or the server is back. */
function stuck(error) {
  $('notice').hidden = false;
  $('notice').querySelector('p').textContent = error.message;
  if (error instanceof Gone) setTimeout(probe, PROBE_INTERVAL);
}

async function probe() {
  if ($('notice').hidden) return;
  if (await engine.isThere()) resume();
  else setTimeout(probe, PROBE_INTERVAL);
}

function resume() {
  $('notice').hidden = true;
  if (state) pictures.resume();
  else begin();
}

$('try-again').addEventListener('click', resume);

/* Which picture is shown. */

/** Show the first of the added pictures. */
function added([first]) {
  if ($('adding').open) $('adding').close();
  if (!state && !$('notice').hidden) resume();
  const losesFocus = $('welcome').contains(document.activeElement);
  select(first);
  if (losesFocus) $('viewer').focus({ preventScroll: true });
}

function select(picture) {
  current = picture;
  refresh();
  if (state) remember();
}

function turn(step) {
  const next = pictures.all[pictures.all.indexOf(current) + step];
  if (next) select(next);
}

function remove(picture) {
  const { all } = pictures;
  const neighbour = all[all.indexOf(picture) + 1] ?? all[all.indexOf(picture) - 1] ?? null;
  pictures.remove(picture);
  if (picture === current) select(neighbour);
  else refreshStrip();
  if (!pictures.all.length) findings.reset();
  if (document.activeElement !== document.body) return;
  if (!current) $('choose').focus(); // the focused element is gone
  else if ($('strip').hidden) $('viewer').focus();
  else strip.focus();
}

$('retry').addEventListener('click', () => pictures.again(current));
$('remove').addEventListener('click', () => remove(current));

/* Details of the picture. */

function changed(picture) {
  if (picture === current) refresh();
  else refreshStrip();
  if (picture.state === 'done' && state) results.later([picture]);
}

function refresh() {
  const any = Boolean(current);
  document.body.classList.toggle('full', any);
  $('welcome').hidden = any;
  for (const id of ['stage', 'panel', 'add']) $(id).hidden = !any;
  refreshStrip();
  stage.show(current);
  findings.show(current?.answer ?? null);
  tools.show(current?.answer ?? null);
  labelling?.show(current);
  if (any) {
    describe();
  } else {
    document.title = 'nephoscope';
    $('welcome').querySelector('.lead').after($('start'));
  }
}

function refreshStrip() {
  strip.show(pictures.all, current);
  $('all-downloads').hidden = pictures.done.length < 2;
}

function describe() {
  downloads.show(current, findings.someHidden);
  details.show(current, { model: pictures.card?.name ?? 'default', rules: findings.changedRules });
}

/** The sliders rest: what depends on the rules follows. */
function settled() {
  if (!current || !state) return;
  details.showRecipe(current, { model: pictures.card.name, rules: findings.changedRules });
  results.later(pictures.done);
  remember();
}

function remember() {
  keepSettings({
    model: pictures.card?.name, rules: findings.changedRules, current: current?.number, tools: tools.settings,
    draws: labelling?.isWanted,
  });
}

tools.changed = remember;

/* Days. */

function goTo(days) {
  const [picture] = pictures.addOverpass(shifted(current.overpass, days), current);
  select(picture);
}

$('day-before').addEventListener('click', () => goTo(-1));
$('day-after').addEventListener('click', () => goTo(1));
$('copy-link').addEventListener('click', async () => {
  const link = linkOf(pictures.all.map(({ overpass }) => overpass).filter(Boolean), findings.changedRules);
  if (!await copyText(link)) window.prompt('The link to these days:', link);
  $('copy-link').textContent = 'Link copied';
  setTimeout(() => { $('copy-link').textContent = 'Copy link'; }, 2000);
});

/* Labels. */

$('draw').addEventListener('click', async () => (await loadLabelling()).toggle());

/** Load what draws: most visitors never do. */
async function loadLabelling() {
  const { Labelling } = await import('./drawing/labelling.js');
  labelling ??= new Labelling(stage, {
    engine,
    collects: state.labels ?? false,
    patterns: patternsOf(pictures.card, state),
    pictures: () => pictures.all,
    result: (picture) => results.of(picture),
    guides: () => findings.layers,
    toggled: () => {
      refresh();
      remember();
    },
    turn,
    changed: refreshStrip,
    order: (ordered) => {
      pictures.all = ordered(pictures.all, pictures.card);
      select(pictures.all.find(({ labels }) => !labels?.isAccepted) ?? current);
    },
  });
  return labelling;
}

/** The patterns of a model in its order, with their colours. */
function patternsOf({ patterns: names }, { patterns }) {
  return names.map((name) => patterns.find((pattern) => pattern.name === name));
}

/* Covers. */

$('show-covers').addEventListener('click', () => {
  covers.show(pictures.done.map((picture) => (
    { picture, title: heading(picture).title, result: results.of(picture) }
  )));
  $('covers').showModal();
});

/* Dialogs. */

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.querySelector('.close')?.addEventListener('click', () => dialog.close());
}
$('model').addEventListener('click', () => $('card').showModal());

whenTokenIsNeeded((again) => new Promise((resolve, reject) => {
  const dialog = $('asking');
  const { token } = $('token').elements;
  if (again) $('token-words').textContent = 'The token was refused.';
  token.value = '';
  $('token').onsubmit = (event) => {
    event.preventDefault();
    resolve(token.value.trim());
    dialog.close();
  };
  dialog.onclose = () => reject(new Problem('This server needs a token, and none was given.', 401));
  dialog.showModal();
}));

begin();
