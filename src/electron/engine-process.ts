/**
 * The engine's utility process (`dist/electron-engine.js`): Node's engine in the process's own thread, with its pool of WASM threads, and WebGPU where the package
 * `webgpu` is installed. It serves one page over one port and ends when the main process says so, or when the page is gone.
 */
import { openFile } from '../engine/loaded.ts';
import { serveEngine } from '../engine/service.ts';
import { createNodePlatform } from '../platform/node-engine.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { Caller } from '../worker/caller.ts';
import { respond } from '../worker/responder.ts';
import type { DownloadApi } from './downloads.ts';
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
      parentPort.postMessage({ kind: 'settled', number: message.number } satisfies ProcessSettled);
    })();
    return;
  }
  const [page, host] = ports;
  if (page === undefined || host === undefined || settled !== undefined) return;
  settled = start(message, page, host);
});

function start({ role, downloads }: ProcessStart, page: MainPort, host: MainPort): () => Promise<void> {
  const files = new GuardedFiles(new Caller<HostApi>(mainPortEndpoint(host)), nodeFiles);
  const guarded = guard(mainPortEndpoint(page), {
    downloads,
    lend: (port) => files.lend(new Caller<LentApi>(mainPortEndpoint(port))),
  });
  const node = createNodePlatform();
  const platform = { ...node, open: { ...node.open, files } };
  if (role === 'engine') serveEngine(guarded.endpoint, platform);
  else
    respond<DownloadApi>(guarded.endpoint, {
      download: async ({ input, settings }, { signal, event }) => {
        const model = await openFile(platform, input, settings, { signal, monitor: event });
        await model.close();
      },
    });
  void guarded.gone.then(() => process.exit(0));
  return guarded.settled;
}
