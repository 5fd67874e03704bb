/** Shows the model's card in a dialog: licence, scores and training data. */

import { element } from './element.js';

/**
 * @param {HTMLDialogElement} dialog - with `#card-title` and `#card-text`.
 * @param {object} card - as `nephoscope models default` prints it.
 */
export function fillCard(dialog, card) {
  dialog.querySelector('#card-title').textContent = `Model ${card.name}`;
  const [height, width] = card.grid;
  const facts = [
    ['Licence', card.licence],
    ['Network', [card.network?.architecture, card.network?.encoder].filter(Boolean).join(', ')],
    ['Rules count on', `${width} × ${height} pixels for a picture of 21° × 14°`],
    ...Object.entries(card.training ?? {}).map(([name, value]) => [capital(name), String(value)]),
  ];
  dialog.querySelector('#card-text').replaceChildren(
    element('p', { className: 'lead' }, card.description),
    element('h3', {}, 'Scores'),
    figures(card.figures ?? []),
    element('h3', {}, 'Details'),
    element('dl', {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [
      element('dt', {}, name), element('dd', {}, value),
    ])),
  );
}

/** One table for all figures that were measured on the same data. */
function figures(all) {
  const tables = Map.groupBy(all, ({ on }) => on);
  return element('div', {}, ...[...tables].map(([on, some]) => element(
    'table', { className: 'figures' },
    element('caption', { className: 'faint' }, `On ${on}`),
    element('tbody', {}, ...some.map(({ what, value }) => element(
      'tr', {},
      element('th', { scope: 'row' }, what),
      element('td', {}, typeof value === 'number' ? value.toFixed(3) : String(value)),
    ))),
  )));
}

function capital(name) {
  const words = name.replaceAll('_', ' ');
  return words[0].toUpperCase() + words.slice(1);
}

/**
 * Offer the choice between several models.
 * @param {HTMLElement} root - with the list; hidden where there is one model.
 * @param {object[]} cards - of the models.
 * @param {object} first - the one that is chosen now.
 * @param {(card: object) => void} chosen
 */
export function offerModels(root, cards, first, chosen) {
  const choice = root.querySelector('select');
  choice.replaceChildren(...cards.map(({ name }) => element('option', {}, name)));
  choice.selectedIndex = cards.indexOf(first);
  choice.onchange = () => chosen(cards[choice.selectedIndex]);
  root.hidden = cards.length < 2;
}
