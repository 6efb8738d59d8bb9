/**
 * Octavo with its engine in the calling scope (`octavo/in-scope`): for service workers, shared workers and an app's own
 * workers, where no worker can be started or none is wanted. It uses one thread, and a long call blocks the scope
 * between its steps.
 */
import { serveEngine } from './engine/service.ts';
import { createFace } from './face/octavo.ts';
import { createBrowserPlatform } from './platform/browser-engine.ts';
import { createBrowserFace } from './platform/browser.ts';
import { filesBeside } from './platform/engine-files.ts';
import { portEndpoint } from './worker/endpoints.ts';
import type { Endpoint } from './worker/protocol.ts';

async function startEngine(): Promise<Endpoint> {
  const { port1, port2 } = new MessageChannel();
  serveEngine(portEndpoint(port1), createBrowserPlatform(filesBeside().wasm, undefined));
  return portEndpoint(port2);
}

/** As elsewhere, with the engine in the calling scope, on one thread. Documents are not read here. */
export const Octavo = /* @__PURE__ */ createFace(
  /* @__PURE__ */ createBrowserFace(startEngine, typeof WebAssembly === 'object'),
);
export * from './public.ts';
