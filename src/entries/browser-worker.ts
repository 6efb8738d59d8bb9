/** The engine's worker in a browser (`dist/worker.js`): waits to be told where its files are, then serves the page. */
import { serveEngine } from '../engine/service.ts';
import { createBrowserPlatform } from '../platform/browser-engine.ts';
import { ENGINE_STARTED, type EngineStart } from '../platform/engine-start.ts';
import { poolOver } from '../platform/pool-port.ts';
import { scopeEndpoint } from '../worker/endpoints.ts';

self.onmessage = ({ data }: MessageEvent<EngineStart>): void => {
  const { files, pool } = data;
  // The loader that rollup.config.mjs puts in front of this script finds the engine's parts here.
  globalThis.__octavo?.place(files.parts);
  serveEngine(scopeEndpoint(globalThis), createBrowserPlatform(files.wasm, poolOver(pool)));
  self.postMessage(ENGINE_STARTED);
};
