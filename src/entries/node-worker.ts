/** The engine's worker thread in Node (`dist/node-worker.js`). */
import { parentPort, workerData } from 'node:worker_threads';
import { serveEngine } from '../engine/service.ts';
import { createNodePlatform } from '../platform/node-engine.ts';
import type { NodeEngineData } from '../platform/node-worker.ts';
import { nodeEndpoint } from '../worker/endpoints.ts';

if (parentPort !== null)
  serveEngine(
    nodeEndpoint(parentPort, () => process.exit()),
    createNodePlatform(undefined, (workerData as NodeEngineData | null)?.wasm),
  );
