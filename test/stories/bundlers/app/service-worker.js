import { Octavo } from 'octavo/in-scope';
import { use } from './use.js';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => {
  event.waitUntil(
    use(Octavo, new URL('/models/nano.gguf', self.location.href).href)
      .catch((error) => ({ error: `${error.name}: ${error.message}` }))
      .then((result) => event.source.postMessage(result)),
  );
});
