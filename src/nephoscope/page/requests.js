/** Requests to the server: the token, waiting when it is busy, and what went wrong in words. */

const TOKEN = 'nephoscope-token';
const PAUSE = 2; // seconds, where a busy server names none

/** The server said why it does not do something; `message` is a sentence for people. */
export class Problem extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request will meet with it again. */
  get isLasting() {
    return [406, 413, 415, 422].includes(this.status);
  }
}

/** There was no answer at all. */
export class Gone extends Error {
  constructor() {
    super('The server does not answer. It may have been stopped, or the connection is gone.');
  }
}

/** Keep the token that `nephoscope serve` puts behind the address, and take it out of the address bar. */
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  sessionStorage.setItem(TOKEN, token);
  history.replaceState(null, '', location.pathname + location.search);
}

/** @type {(again: boolean) => Promise<string>} */
let askForToken;
let asking = null; // two requests that need the token ask once

/**
 * Say how a person is asked for the token.
 * @param {(again: boolean) => Promise<string>} way - told whether another token was refused; rejects where none is
 *   given.
 */
export function whenTokenIsNeeded(way) {
  askForToken = way;
}

/**
 * Ask the server, and go on asking while it is too busy or wants a token.
 * @param {string} address - on this server.
 * @param {RequestInit & {onBusy?: (seconds: number) => void}} [options] - `onBusy` is told of each pause.
 * @returns {Promise<Response>} an answer that is no problem.
 * @throws {Problem} the server says why not.
 * @throws {Gone} there is no answer.
 * @throws {DOMException} `AbortError`, where `options.signal` says so.
 */
export async function ask(address, { onBusy, ...options } = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    let answer;
    try {
      answer = await fetch(address, { ...options, headers });
    } catch (error) {
      throw error.name === 'AbortError' ? error : new Gone();
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      // While this request was on its way another may have got the token already.
      if (sessionStorage.getItem(TOKEN) === token) {
        asking ??= askForToken(token !== null).finally(() => { asking = null; });
        sessionStorage.setItem(TOKEN, await asking);
      }
    } else if (answer.status === 429 || answer.status === 503) {
      const seconds = Number(answer.headers.get('Retry-After')) || PAUSE;
      onBusy?.(seconds);
      await pause(seconds, options.signal);
    } else {
      throw new Problem(await reason(answer), answer.status);
    }
  }
}

/** @param {string} address @returns {Promise<any>} the answer's JSON. @throws as `ask` does. */
export async function askJson(address) {
  return (await ask(address, { headers: { Accept: 'application/json' } })).json();
}

/**
 * @param {Response} answer
 * @param {string} otherwise
 * @returns {string} the file name that the server gives its answer.
 */
export function fileName(answer, otherwise) {
  const header = answer.headers.get('Content-Disposition') ?? '';
  const encoded = /filename\*=(?:UTF-8'')?([^;]+)/i.exec(header)?.[1];
  try {
    if (encoded) return decodeURIComponent(encoded.trim());
  } catch {
    // not percent-encoded as it should be: the plain name is as good
  }
  return /filename="([^"]+)"/i.exec(header)?.[1] ?? otherwise;
}

async function reason(answer) {
  const problem = await answer.json().catch(() => ({})); // a proxy between us answers in HTML
  return problem.detail || problem.title || `The server answered ${answer.status} ${answer.statusText}.`;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException('removed', 'AbortError'));
    if (signal?.aborted) stop();
    setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
