/** The page: pictures come in, are shown with what was found in them, and go out as files. */

import { watchArrivals } from './arrivals.js';
import { fillCard } from './card.js';
import { Downloads } from './downloads.js';
import { element } from './element.js';
import { Findings } from './findings.js';
import { legendEntry } from './panel.js';
import { Pictures } from './pictures.js';
import { placeForm } from './place.js';
import { askJson, Gone, Problem, takeTokenFromAddress, whenTokenIsNeeded } from './requests.js';
import { Stage } from './stage.js';
import { Strip } from './strip.js';
import { briefName, dayInWords, placeInWords } from './words.js';

const LOOK_AGAIN = 5000; // ms between two looks for a server that is gone

const $ = (id) => document.getElementById(id);

/** @type {import('./pictures.js').Picture | null} the one that is shown */
let current = null;
/** Whether the server has told what it is. */
let begun = false;
/** The picture or answer of which the form for place and day speaks; what is typed is kept until another comes. */
let placed = null;

takeTokenFromAddress();

const pictures = new Pictures(changed, stuck);
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
  model: () => pictures.asked,
  rules: () => findings.changedRules,
  limits: () => pictures.limits,
});
const place = placeForm($('place'), (stated) => pictures.state(current, stated));
const worldviewSays = watchArrivals({
  files: (files) => added(pictures.addFiles(files)),
  address: (name, address) => added(pictures.addFrom(name, address)),
});

/** Ask the server what it is. */
async function begin() {
  try {
    const { nephoscope, patterns, limits, formats } = await askJson('/api/v1/server');
    pictures.limits = limits;
    downloads.offer(formats);
    $('legend').replaceChildren(...patterns.map(legendEntry));
    $('version').textContent = `nephoscope ${nephoscope}`;
    const { models } = await askJson('/api/v1/models');
    const use = (card) => {
      fillCard($('card'), card);
      $('model').textContent = card.name;
      findings.begin(card, patterns);
    };
    use(models[0]);
    offer(models, (card) => {
      use(card);
      pictures.ask(card.name);
    });
    begun = true;
    refresh();
    pictures.resume();
    askWorldview(); // it takes seconds where there is no network, and nothing waits for it
  } catch (error) {
    stuck(error);
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

/** Nothing goes on until the user says so, or the server is there again. */
function stuck(error) {
  $('notice').hidden = false;
  $('notice').querySelector('p').textContent = error.message;
  if (error instanceof Gone) setTimeout(lookAgain, LOOK_AGAIN);
}

async function lookAgain() {
  if ($('notice').hidden) return;
  const answer = await fetch('/readyz').catch(() => null);
  if (answer?.ok) goOn();
  else setTimeout(lookAgain, LOOK_AGAIN);
}

function goOn() {
  $('notice').hidden = true;
  if (begun) pictures.resume();
  else begin();
}

$('try-again').addEventListener('click', goOn);

/** Let one of several models be chosen. */
function offer(models, chosen) {
  const choice = $('by').querySelector('select');
  choice.replaceChildren(...models.map(({ name }) => element('option', {}, name)));
  choice.onchange = () => chosen(models[choice.selectedIndex]);
  $('by').hidden = models.length < 2;
}

/* Which picture is shown. */

/** Show the first of those that came. */
function added([first]) {
  if ($('adding').open) $('adding').close();
  if (!begun && !$('notice').hidden) goOn();
  const focusGoes = $('welcome').contains(document.activeElement);
  select(first);
  if (focusGoes) $('viewer').focus({ preventScroll: true });
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
  if (!current) $('choose').focus(); // what had the focus is gone
  else if ($('strip').hidden) $('viewer').focus();
  else strip.focus();
}

$('retry').addEventListener('click', () => pictures.again(current));
$('remove').addEventListener('click', () => remove(current));

/* What is said of it. */

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

/** A snapshot that tells satellite and day is called by them, another by its file's name. */
function heading({ name, answer }) {
  const { satellite, date, bounds, width, height } = answer?.about ?? {};
  const told = Boolean(satellite && date);
  return {
    title: told ? `${satellite}, ${dayInWords(date)}` : briefName(name),
    facts: [
      !told && date && dayInWords(date), bounds && placeInWords(bounds), width && `${width} × ${height} px`,
      told && briefName(name),
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
  if (again) $('token-words').textContent = 'That token was not taken.';
  token.value = '';
  $('token').onsubmit = (event) => {
    event.preventDefault();
    resolve(token.value.trim());
    dialog.close();
  };
  dialog.onclose = () => reject(new Problem('This server asks for a token, and none was given.', 401));
  dialog.showModal();
}));

begin();
