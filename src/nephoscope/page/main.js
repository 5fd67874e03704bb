/** The page: adds pictures, shows results, offers downloads. */

import { watchArrivals } from './arrivals.js';
import { fillCard } from './card.js';
import { Downloads } from './downloads.js';
import { element } from './element.js';
import { PageEngine } from './engine.js';
import { resultOf } from './files/result.js';
import { Findings } from './findings.js';
import { legendEntry } from './panel.js';
import { Pictures } from './pictures.js';
import { placeForm } from './place.js';
import { Gone, Problem, whenTokenIsNeeded } from './requests.js';
import { Stage } from './stage.js';
import { Strip } from './strip.js';
import { briefName, dayInWords, listed, placeInWords } from './words.js';

const PROBE_INTERVAL = 5000; // ms between two probes of a server that does not respond

const $ = (id) => document.getElementById(id);

/** @type {import('./pictures.js').Picture | null} */
let current = null;
/** What the engine has; null until it is known. @type {import('./engine.js').State | null} */
let state = null;
/** The card of the model in use. */
let card = null;
/** The picture or answer that the form for place and day shows; input is kept until another one is shown. */
let placed = null;

const engine = new PageEngine();
const pictures = new Pictures(engine, changed, stuck);
const stage = new Stage({ regionsAt: (pixel) => findings.regionsAt(pixel), turn });
const findings = new Findings(stage.view, {
  chosen: (region) => stage.reveal(region),
  hidden: () => downloads.show(current, findings.someHidden),
});
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
  result: (picture) => resultOf(picture, card, findings.changedRules, state),
});
const place = placeForm($('place'), (stated) => pictures.state(current, stated));
const showWorldview = watchArrivals({
  files: (files) => added(pictures.addFiles(files)),
  address: (name, address) => added(pictures.addFrom(name, address)),
});

/** Ask the engine what it has. */
async function begin() {
  try {
    const begun = await engine.begin();
    const { nephoscope, patterns, limits, formats } = begun;
    pictures.limits = limits;
    downloads.offer(formats);
    $('legend').replaceChildren(...patterns.map(legendEntry));
    $('pattern-names').textContent = listed(patterns.map(({ name }) => name), 'or');
    $('version').textContent = `nephoscope ${nephoscope}`;
    $('privacy').textContent = engine.privacy;
    $('api').hidden = !engine.hasApi;
    const models = await engine.models();
    const use = (chosen) => {
      card = chosen;
      fillCard($('card'), card);
      $('model').textContent = card.name;
      findings.begin(card, patterns);
    };
    use(models[0]);
    offer(models, (chosen) => {
      use(chosen);
      pictures.ask(chosen.name);
    });
    state = begun;
    refresh();
    pictures.resume();
    askWorldview(); // takes seconds without a network; nothing waits for it
  } catch (error) {
    stuck(error);
  }
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

/** Offer the choice between several models. */
function offer(models, chosen) {
  const choice = $('by').querySelector('select');
  choice.replaceChildren(...models.map(({ name }) => element('option', {}, name)));
  choice.onchange = () => chosen(models[choice.selectedIndex]);
  $('by').hidden = models.length < 2;
}

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
}

function refresh() {
  const any = Boolean(current);
  document.body.classList.toggle('full', any);
  $('welcome').hidden = any;
  for (const id of ['stage', 'panel', 'add']) $(id).hidden = !any;
  refreshStrip();
  stage.show(current);
  findings.show(current?.answer ?? null);
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
  const { title, facts } = heading(current);
  document.title = `${title} – nephoscope`;
  $('picture-name').textContent = title;
  $('picture-facts').textContent = facts;
  $('panel').classList.toggle('failed', current.state === 'failed');
  downloads.show(current, findings.someHidden);
  $('warning').textContent = (current.answer?.about.warnings ?? []).map(sentence).join(' ');
  const refused = current.state === 'done' ? current.reason : '';
  const isNew = refused && $('place-state').textContent !== refused;
  $('place-state').textContent = refused;
  if (isNew) $('place-state').scrollIntoView({ block: 'nearest' });
  if (placed !== (current.answer ?? current)) {
    placed = current.answer ?? current;
    place.show(current.answer?.about ?? {});
  }
}

/** The title is satellite and day where both are known, otherwise the file name. */
function heading({ name, answer }) {
  const { satellite, date, bounds, width, height } = answer?.about ?? {};
  const dated = Boolean(satellite && date);
  return {
    title: dated ? `${satellite}, ${dayInWords(date)}` : briefName(name),
    facts: [
      !dated && date && dayInWords(date), bounds && placeInWords(bounds), width && `${width} × ${height} px`,
      dated && briefName(name),
    ].filter(Boolean).join(' · '),
  };
}

function sentence(words) {
  return `${words[0].toUpperCase()}${words.slice(1)}.`;
}

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
