/**
 * Which pictures to label first: those whose patterns are in doubt, few of one day. The same measure as that of
 * `nephoscope.inference.suggestion`, but for pictures that look alike or unlike the training pictures.
 */

const SAME_DAY = 0.5; // factor for each picture of the same day and place that comes earlier

/** @typedef {import('../pictures.js').Picture} Picture */

/**
 * @param {Picture[]} pictures
 * @param {object} card - of the model.
 * @returns {Picture[]} those that are accepted, then those with an answer, the most doubtful first, then the others.
 */
export function doubtfulFirst(pictures, card) {
  const isAccepted = ({ labels }) => labels?.isAccepted;
  const left = pictures.filter((picture) => picture.answer && !isAccepted(picture));
  const doubts = new Map(left.map((picture) => [picture, doubtOf(picture.answer.about, card)]));
  const days = new Map();
  const ordered = [];
  while (left.length) {
    const worth = (picture) => doubts.get(picture) * SAME_DAY ** (days.get(dayOf(picture)) ?? 0);
    const best = left.reduce((one, other) => (worth(other) > worth(one) ? other : one));
    left.splice(left.indexOf(best), 1);
    ordered.push(best);
    if (dayOf(best)) days.set(dayOf(best), (days.get(dayOf(best)) ?? 0) + 1);
  }
  const rest = pictures.filter((picture) => !picture.answer && !isAccepted(picture));
  return [...pictures.filter(isAccepted), ...ordered, ...rest];
}

/** Mean over the patterns, 0 to 1. */
function doubtOf({ patterns }, { rules }) {
  const each = Object.entries(patterns).map(([name, { score, probability }]) => (
    Math.max(entropy(probability ?? 0), entropy(position(score, rules[name].presence)))
  ));
  return each.reduce((sum, doubt) => sum + doubt, 0) / each.length;
}

/** A presence score as 0 to 1, with the cut of the rule in the middle. */
function position(score, cut) {
  if (score < cut) return 0.5 * score / cut;
  return cut < 1 ? 0.5 + 0.5 * (score - cut) / (1 - cut) : 0.5;
}

/** Of a yes or no, in bits: 1 at 0.5, 0 at 0 and 1. */
function entropy(probability) {
  return [probability, 1 - probability].filter((part) => part > 0)
    .reduce((sum, part) => sum - part * Math.log2(part), 0);
}

function dayOf({ answer: { about } }) {
  return about.date ? JSON.stringify([about.date, about.bounds]) : '';
}
