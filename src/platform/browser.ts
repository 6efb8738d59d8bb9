/** What the page needs in browsers, web views and Electron's renderers. */
import type { FacePlatform } from '../face/octavo.ts';
import type { ModelInput } from '../load/index.ts';
import { IndexedShelf } from '../store/indexed-shelf.ts';
import { ModelStore } from '../store/model-store.ts';
import { SessionStore } from '../store/session-store.ts';
import { readImage } from '../vision/index.ts';
import { workerEndpoint } from '../worker/endpoints.ts';
import { cloneable } from './input.ts';

export function createBrowserFace(): FacePlatform {
  return {
    startEngine: async () =>
      workerEndpoint(new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'octavo' })),
    input: (input: ModelInput) => {
      if (input === 'nano') return new URL('../models/nano/nano.gguf', import.meta.url).href;
      if (typeof input === 'string' && !input.startsWith('hf:')) return new URL(input, globalThis.location?.href).href;
      return cloneable(input);
    },
    readPicture: (input, signal) => readImage(input, { signal }),
    capable: typeof WebAssembly === 'object' && typeof Worker === 'function',
    store: () => (ModelStore.supported ? new ModelStore() : undefined),
    sessions: async () => (ModelStore.supported ? new SessionStore(new IndexedShelf()) : undefined),
  };
}
