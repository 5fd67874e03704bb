/** What the page shows, as a command and as Python. */

/**
 * @typedef {object} Settings
 * @property {string} name - of the picture's file.
 * @property {string} model - its name.
 * @property {Object<string, object>} rules - changes of the card's rules, by pattern.
 * @property {{bounds?: string, day?: string, extent?: string}} stated - by the user.
 * @property {string} overpass - such as `Aqua/2020-02-01/barbados`, of a fetched picture; else empty.
 */

/** @param {Settings} settings @returns {string} a command for a shell. */
export function asCommand({ name, model, rules, stated, overpass }) {
  const thresholds = Object.entries(rules)
    .filter(([, { threshold }]) => threshold !== undefined)
    .map(([pattern, { threshold }]) => `--threshold ${quoted(`${pattern}=${threshold}`)}`);
  const words = [
    'nephoscope segment',
    quoted(overpass ? `worldview:${overpass}` : name.replace(/^-/, './-')),
    model !== 'default' && `--model ${quoted(model)}`,
    stated.bounds && `--bounds ${quoted(`${stated.bounds}`)}`,
    stated.day && `--time ${stated.day}`,
    stated.extent && `--extent ${stated.extent}`,
    ...thresholds,
  ];
  return words.filter(Boolean).join(' ').replace('--bounds -', '--bounds=-');
}

/** @param {Settings} settings @returns {string} Python. */
export function asPython({ name, model, rules, stated, overpass }) {
  const changes = Object.entries(rules).map(([pattern, rule]) => {
    const entries = Object.entries(rule).map(([key, value]) => `${literal(key)}: ${literal(value)}`);
    return `${literal(pattern)}: {${entries.join(', ')}}`;
  });
  const words = [
    literal(overpass ? `worldview:${overpass}` : name),
    model !== 'default' && `model=${literal(model)}`,
    stated.bounds && `bounds=${literal(stated.bounds)}`,
    stated.day && `day=${literal(stated.day)}`,
    stated.extent && `extent=${stated.extent}`,
    changes.length && `rules={${changes.join(', ')}}`,
  ];
  return `import nephoscope\n\nresult = nephoscope.segment(${words.filter(Boolean).join(', ')})`;
}

/** Rules that a command cannot state, as words; empty if it states all. */
export function leftOut(rules) {
  const others = Object.entries(rules).filter(([, rule]) => Object.keys(rule).some((key) => key !== 'threshold'));
  return others.length ? `The command has no option for the other rules of ${others.map(([name]) => name).join(', ')}.` : '';
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function literal(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
