/**
 * Keeps pictures and settings over a reload, in this browser, until they are removed. What a closed tab has left
 * goes when the page is opened a day later.
 */

import { through } from './streams.js';

const DATABASE = 'nephoscope';
const PICTURES = 'pictures';
const LABELS = 'labels';
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
    const request = indexedDB.open(DATABASE, 2);
    request.onupgradeneeded = () => {
      for (const name of [PICTURES, LABELS]) {
        if (request.result.objectStoreNames.contains(name)) continue;
        request.result.createObjectStore(name, { keyPath: ['tab', 'number'] });
      }
    };
    request.onblocked = () => reject(new Error('another tab has an older page open'));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Run one operation of a store. */
async function operate(name, mode, operation) {
  const store = (await database()).transaction(name, mode).objectStore(name);
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
  return tried(() => operate(PICTURES, 'readwrite', (store) => store.put(stamped(record))));
}

/**
 * Keep the labels of a picture.
 * @param {number} number - of the picture.
 * @param {import('./drawing/labels.js').Labels} labels
 */
export function keepLabels(number, { patterns, mask, isAccepted }) {
  return tried(async () => {
    const packed = await through(mask.bits, new CompressionStream('gzip'));
    const record = stamped({ number, patterns, packed, isAccepted });
    await operate(LABELS, 'readwrite', (store) => store.put(record));
  });
}

/** @returns {Promise<Map<number, {patterns: string[], bits: Uint8Array, isAccepted: boolean}>>} by the picture's number. */
export async function keptLabels() {
  return await tried(async () => {
    const entries = (await own(LABELS)).map(async ({ number, patterns, packed, isAccepted }) => {
      const bits = await through(packed, new DecompressionStream('gzip'));
      return [number, { patterns, bits, isAccepted }];
    });
    return new Map(await Promise.all(entries));
  }) ?? new Map();
}

function stamped(record) {
  return { ...record, tab: tab(), saved: Date.now() };
}

/** @param {number} number - of a picture that is no longer needed. */
export function forget(number) {
  return tried(() => Promise.all([PICTURES, LABELS].map((name) => (
    operate(name, 'readwrite', (store) => store.delete([tab(), number]))
  ))));
}

/** @returns {Promise<object[]>} what was kept of this tab's pictures, in order. */
export async function kept() {
  return await tried(() => own(PICTURES)) ?? [];
}

/** This tab's records of a store, in order; what other tabs left long ago is removed. */
async function own(name) {
  const all = await operate(name, 'readonly', (store) => store.getAll());
  const old = all.filter((record) => record.tab !== tab() && !(record.saved > Date.now() - OLDEST));
  await Promise.all(old.map((record) => (
    operate(name, 'readwrite', (store) => store.delete([record.tab, record.number]))
  )));
  return all.filter((record) => record.tab === tab()).sort((one, other) => one.number - other.number);
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
