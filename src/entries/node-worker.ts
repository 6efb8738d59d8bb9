/** The engine's worker thread in Node (`dist/node-worker.js`). */
import { parentPort } from 'node:worker_threads';
import { serveEngine } from '../engine/service.ts';
import { createNodePlatform } from '../platform/node-engine.ts';
import { nodeEndpoint } from '../worker/endpoints.ts';

if (parentPort !== null)
  serveEngine(
    nodeEndpoint(parentPort, () => process.exit()),
    createNodePlatform(),
  );
