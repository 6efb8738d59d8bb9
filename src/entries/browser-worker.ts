/** The engine's worker in a browser (`dist/worker.js`). */
import { serveEngine } from '../engine/service.ts';
import { createBrowserPlatform } from '../platform/browser-engine.ts';
import { scopeEndpoint } from '../worker/endpoints.ts';

serveEngine(scopeEndpoint(globalThis), createBrowserPlatform());
