/** What is known of the current picture: title, place, assumed scale, warnings, and how to get the same elsewhere. */

import { inShort } from './days.js';
import { copyText } from './element.js';
import { asCommand, asPython, leftOut } from './recipe.js';
import { briefName, dayInWords, placeInWords } from './words.js';

const $ = (id) => document.getElementById(id);

/** @typedef {import('./pictures.js').Picture} Picture */

export class Details {
  /** The picture or answer that the form for place and day shows; input is kept until another one is shown. */
  #placed = null;

  /** @param {{show: (about: object) => void}} form - for place and day. */
  constructor(form) {
    this.form = form;
    $('change-scale').addEventListener('click', () => {
      $('stating').open = true;
      $('place').elements.extent.focus();
    });
    for (const button of document.querySelectorAll('.copy')) {
      button.addEventListener('click', async () => {
        const copied = await copyText($(button.dataset.of).textContent);
        $('copied').textContent = copied ? 'Copied.' : 'This browser does not let pages copy: select the text.';
      });
    }
  }

  /**
   * @param {Picture} picture
   * @param {{model: string, rules: object}} settings - the model's name, and changes of its rules.
   */
  show(picture, settings) {
    const { title, facts } = heading(picture);
    document.title = `${title} – nephoscope`;
    $('picture-name').textContent = title;
    $('picture-facts').textContent = facts;
    $('panel').classList.toggle('failed', picture.state === 'failed');
    const about = picture.answer?.about;
    $('scale').hidden = !about || Boolean(about.bounds);
    if (about && !about.bounds) $('scale-words').textContent = scaleInWords(about, picture.stated.extent);
    $('days').hidden = !picture.overpass;
    $('warning').textContent = (picture.answer?.about.warnings ?? []).map(sentence).join(' ');
    const refused = picture.state === 'done' ? picture.reason : '';
    const isNew = refused && $('place-state').textContent !== refused;
    $('place-state').textContent = refused;
    if (isNew) $('place-state').scrollIntoView({ block: 'nearest' });
    if (this.#placed !== (picture.answer ?? picture)) {
      this.#placed = picture.answer ?? picture;
      this.form.show(picture.answer?.about ?? {}, Object.keys(picture.stated).length > 0);
    }
    this.showRecipe(picture, settings);
  }

  /** Show the same as a command and as Python. Parameters as of `show`. */
  showRecipe({ name, stated, overpass }, { model, rules }) {
    const recipe = { name, stated, model, rules, overpass: overpass ? inShort(overpass) : '' };
    $('as-command').textContent = asCommand(recipe);
    $('as-python').textContent = asPython(recipe);
    $('copied').textContent = leftOut(rules);
  }
}

/** The scale of a picture of unknown place: stated by the user, or assumed. */
function scaleInWords({ width, height, assumed_extent: assumed }, stated) {
  const extent = assumed ?? { width: Number(stated), height: Number(stated) * height / width };
  const [across, down] = [extent.width, extent.height].map((side) => Number(side.toPrecision(3)));
  return `Place unknown: ${assumed ? 'taken' : 'stated'} to show ${across}° × ${down}°.`;
}

/** Satellite and day where both are known, otherwise the file name; and the other facts. */
export function heading({ name, answer }) {
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
