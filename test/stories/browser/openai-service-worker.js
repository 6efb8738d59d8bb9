// A service worker that answers OpenAI's API from a model on the device: what pages of its scope fetch from /v1/ does not leave the browser.
import { Octavo } from '/dist/in-scope.js';
import { createFetch } from '/dist/openai.js';

const answer = createFetch(() =>
  Octavo.load(new URL('/models/nano.gguf', self.location.href).href, { device: 'wasm' }),
);

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname.startsWith('/v1/')) event.respondWith(answer(event.request));
});
