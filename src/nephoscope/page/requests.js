/** Requests to the server: token, retries while it is busy, and error messages. */

const TOKEN = 'nephoscope-token';
const PAUSE = 2; // seconds, without Retry-After

/** The server refused a request; `message` says why. */
export class Problem extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request would fail again. */
  get isLasting() {
    return [406, 413, 415, 422].includes(this.status);
  }
}

/** The server did not respond. */
export class Gone extends Error {
  constructor() {
    super('The server does not answer. It may have been stopped, or the connection is gone.');
  }
}

let inMemory = null; // where the browser forbids storage

function storedToken() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return inMemory;
  }
}

function storeToken(token) {
  inMemory = token;
  try {
    sessionStorage.setItem(TOKEN, token);
  } catch {
    // it is asked for again after a reload
  }
}

/** Store the token from the address that `nephoscope serve` prints, and remove it from the address bar. */
export function takeTokenFromAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get('token');
  if (!token) return;
  storeToken(token);
  fragment.delete('token');
  const rest = String(fragment);
  history.replaceState(null, '', location.pathname + location.search + (rest && `#${rest}`));
}

/** @type {(again: boolean) => Promise<string>} */
let askForToken;
let asking = null; // shared by requests that need the token at the same time

/**
 * Set how the user is asked for the token.
 * @param {(again: boolean) => Promise<string>} way - called with whether a token was refused; rejects if none is
 *   given.
 */
export function whenTokenIsNeeded(way) {
  askForToken = way;
}

/**
 * Send a request; retry while the server is busy or needs a token.
 * @param {string} address - on this server.
 * @param {RequestInit & {onBusy?: (seconds: number) => void}} [options] - `onBusy` is called before each pause.
 * @returns {Promise<Response>} a successful response.
 * @throws {Problem} the server refused.
 * @throws {Gone} the server did not respond.
 * @throws {DOMException} `AbortError`, where `options.signal` says so.
 */
export async function ask(address, { onBusy, ...options } = {}) {
  for (;;) {
    const token = storedToken();
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    let answer;
    try {
      answer = await fetch(address, { ...options, headers });
    } catch (error) {
      throw error.name === 'AbortError' ? error : new Gone();
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      // Another request may have obtained the token meanwhile.
      if (storedToken() === token) {
        asking ??= askForToken(token !== null).finally(() => { asking = null; });
        storeToken(await asking);
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
    // invalid percent-encoding: use the plain name
  }
  return /filename="([^"]+)"/i.exec(header)?.[1] ?? otherwise;
}

async function reason(answer) {
  const problem = await answer.json().catch(() => ({})); // proxies answer in HTML
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
