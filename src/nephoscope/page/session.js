/**
 * Keeps pictures and settings over a reload, in this browser, until they are removed. What a closed tab has left
 * goes when the page is opened a day later.
 */

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

/** Use the browser's storage; one that forbids it keeps nothing, and the page works all the same. */
async function tried(work) {
  try {
    return await work();
  } catch (error) {
    console.info(`nephoscope: not kept over a reload: ${error?.message ?? error}`);
    return null;
  }
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

/** Run one operation of the store. */
async function operate(mode, operation) {
  const store = (await database()).transaction(STORE, mode).objectStore(STORE);
  return new Promise((resolve, reject) => {
    const request = operation(store);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Keep a picture.
 * @param {object} record - `number` of the picture in this session, and what can be cloned of it.
 */
export function keep(record) {
  return tried(() => operate('readwrite', (store) => store.put({ ...record, tab: tab(), saved: Date.now() })));
}

/** @param {number} number - of a picture that is no longer needed. */
export function forget(number) {
  return tried(() => operate('readwrite', (store) => store.delete([tab(), number])));
}

/** @returns {Promise<object[]>} what was kept in this tab, in order; what other tabs left long ago is removed. */
export async function kept() {
  return await tried(async () => {
    const all = await operate('readonly', (store) => store.getAll());
    const old = all.filter((record) => record.tab !== tab() && !(record.saved > Date.now() - OLDEST));
    await Promise.all(old.map((record) => operate('readwrite', (store) => store.delete([record.tab, record.number]))));
    return all.filter((record) => record.tab === tab()).sort((one, other) => one.number - other.number);
  }) ?? [];
}

/** @param {object} settings - plain values. */
export function keepSettings(settings) {
  tried(() => sessionStorage.setItem(SETTINGS, JSON.stringify(settings)));
}

/** @returns {object} as they were kept; empty if there are none. */
export function keptSettings() {
  try {
    return JSON.parse(sessionStorage.getItem(SETTINGS)) ?? {};
  } catch {
    return {}; // not ours, or storage is forbidden
  }
}
