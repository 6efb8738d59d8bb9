/** Octavo in browsers: compact models on the device itself. */
import { createFace } from './face/octavo.ts';
import { createBrowserFace } from './platform/browser.ts';
import { startEngineWorker } from './platform/engine-worker.ts';

/** Loads models, opens documents and libraries, and lists what is kept. The engine runs in a worker. */
export const Octavo = /* @__PURE__ */ createFace(
  /* @__PURE__ */ createBrowserFace(
    startEngineWorker,
    typeof WebAssembly === 'object',
    async () => (await import('./platform/browser-documents.ts')).browserDocuments,
  ),
);
export * from './public.ts';
