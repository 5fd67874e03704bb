/**
 * Keeps the site's files, so that it works without a network once it was seen. `VERSION` and `FILES` are written
 * before this script when the site is made: a hash of its content, and the addresses of its files.
 *
 * It also states that the page is isolated from other sites, which is what lets the runtime use threads. A server
 * need not be set up for that; it takes effect from the second visit on.
 */

/* global VERSION, FILES */

const NAME = `nephoscope-${new URL(self.registration.scope).pathname}`;
const CACHE = `${NAME}-${VERSION}`;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith(`${NAME}-`) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
  })());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(self.registration.scope)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    const answer = await cache.match(request, { ignoreSearch: true }) ?? await fetch(request);
    return isolated(answer);
  })());
});

function isolated(answer) {
  if (answer.type === 'opaqueredirect' || answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  const { status, statusText } = answer;
  return new Response(answer.body, { status, statusText, headers });
}
