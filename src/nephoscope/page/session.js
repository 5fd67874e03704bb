/** Keeps pictures and settings over a reload, in this browser, until they are removed or the tab is closed. */

const DATABASE = 'nephoscope';
const STORE = 'pictures';
const TAB = 'nephoscope-tab';
const SETTINGS = 'nephoscope-settings';
const OLDEST = 86_400_000; // ms; pictures of a closed tab are removed after that

/** The name of this tab's session; a reload keeps it. */
function tab() {
  if (!sessionStorage.getItem(TAB)) sessionStorage.setItem(TAB, crypto.randomUUID?.() ?? String(Math.random()));
  return sessionStorage.getItem(TAB);
}

let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ['tab', 'number'] });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Run one operation of the store; a browser that forbids storage keeps nothing, and the page works all the same. */
async function operate(mode, operation) {
  try {
    const store = (await database()).transaction(STORE, mode).objectStore(STORE);
    return await new Promise((resolve, reject) => {
      const request = operation(store);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch (error) {
    console.info(`nephoscope: not kept over a reload: ${error?.message ?? error}`);
    return null;
  }
}

/**
 * Keep a picture.
 * @param {object} record - `number` of the picture in this session, and what can be cloned of it.
 */
export function keep(record) {
  return operate('readwrite', (store) => store.put({ ...record, tab: tab(), saved: Date.now() }));
}

/** @param {number} number - of a picture that is no longer needed. */
export function forget(number) {
  return operate('readwrite', (store) => store.delete([tab(), number]));
}

/** @returns {Promise<object[]>} what was kept in this tab, in order; what other tabs left long ago is removed. */
export async function kept() {
  const all = await operate('readonly', (store) => store.getAll()) ?? [];
  const old = all.filter((record) => record.tab !== tab() && record.saved < Date.now() - OLDEST);
  await Promise.all(old.map((record) => operate('readwrite', (store) => store.delete([record.tab, record.number]))));
  return all.filter((record) => record.tab === tab()).sort((one, other) => one.number - other.number);
}

/** @param {object} settings - plain values. */
export function keepSettings(settings) {
  sessionStorage.setItem(SETTINGS, JSON.stringify(settings));
}

/** @returns {object} as they were kept; empty if there are none. */
export function keptSettings() {
  try {
    return JSON.parse(sessionStorage.getItem(SETTINGS)) ?? {};
  } catch {
    return {}; // not ours
  }
}
