/**
 * The engine's utility process (`dist/electron-engine.js`): Node's engine in the process's own thread, with its pool of WASM threads, and WebGPU where the package
 * `webgpu` is installed. It serves one page over one port and ends when the main process says so, or when the page is gone.
 */
import { serveEngine } from '../engine/service.ts';
import { createNodePlatform } from '../platform/node-engine.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { Caller } from '../worker/caller.ts';
import type { MainPort } from './electron.ts';
import { guard } from './guard.ts';
import { mainPortEndpoint } from './ports.ts';
import type { HostApi, LentApi, ProcessSettle, ProcessSettled, ProcessStart } from './process-api.ts';
import { GuardedFiles } from './reader.ts';

/** `process.parentPort` of a utility process. */
interface ParentPort {
  on(event: 'message', listener: (event: { readonly data: unknown; readonly ports: MainPort[] }) => void): unknown;
  postMessage(message: unknown): void;
}

const { parentPort } = process as typeof process & { readonly parentPort?: ParentPort };

let settled: (() => Promise<void>) | undefined;

parentPort?.on('message', ({ data, ports }) => {
  const message = data as ProcessStart | ProcessSettle;
  if (message.kind === 'settle') {
    void (async () => {
      await settled?.();
      // What the saves answer the page goes first, since the process may be ended when this arrives.
      await new Promise((resolve) => setImmediate(resolve));
      parentPort.postMessage({ kind: 'settled', number: message.number } satisfies ProcessSettled);
    })();
    return;
  }
  const [page, host] = ports;
  if (page === undefined || host === undefined || settled !== undefined) return;
  settled = start(message, page, host);
});

function start({ downloads }: ProcessStart, page: MainPort, host: MainPort): () => Promise<void> {
  const files = new GuardedFiles(new Caller<HostApi>(mainPortEndpoint(host)), nodeFiles);
  const guarded = guard(mainPortEndpoint(page), {
    downloads,
    lend: (port) => files.lend(new Caller<LentApi>(mainPortEndpoint(port))),
  });
  const node = createNodePlatform();
  const platform = { ...node, open: { ...node.open, files } };
  serveEngine(guarded.endpoint, platform);
  void guarded.gone.then(() => process.exit(0));
  return guarded.settled;
}
