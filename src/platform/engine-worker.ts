/**
 * Starts the engine's worker from a page. The script is looked for in three places:
 *
 * 1. beside this one, which works where files are served as they are in the package and where a bundler has included
 *    them;
 * 2. on another origin (a CDN), through a script of this origin that only imports it, since browsers refuse workers
 *    from other origins;
 * 3. in the page's own bundle (embedded.ts), where a bundler took the code but not the files.
 */
import { DeviceError } from '../errors.ts';
import { workerEndpoint } from '../worker/endpoints.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { filesBeside, type EngineFiles } from './engine-files.ts';
import { ENGINE_STARTED, type EngineStart } from './engine-start.ts';
import { hostPool } from './pool-port.ts';

/** A worker that has not answered by then is considered unusable. */
const START_MILLISECONDS = 30_000;

interface EngineScripts {
  readonly worker: (name: string) => Worker;
  readonly pool: (name: string) => Worker;
  readonly files: EngineFiles;
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const beside = (): EngineScripts => ({
  worker: (name) => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name }),
  pool: (name) => new Worker(new URL('./pool.js', import.meta.url), { type: 'module', name }),
  files: filesBeside(),
});

function elsewhere(): EngineScripts {
  const importing =
    (url: URL) =>
    (name: string): Worker => {
      const script = URL.createObjectURL(
        new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }),
      );
      const worker = new Worker(script, { type: 'module', name });
      setTimeout(() => URL.revokeObjectURL(script), START_MILLISECONDS);
      return worker;
    };
  const files = filesBeside();
  return {
    worker: importing(new URL('./worker.js', files.wasm.scalar)),
    pool: importing(new URL('./pool.js', files.wasm.scalar)),
    files,
  };
}

async function embedded(): Promise<EngineScripts> {
  const { openEmbedded } = await import('./embedded.ts');
  const { worker, pool, files } = await openEmbedded();
  return {
    worker: (name) => new Worker(worker, { type: 'module', name }),
    pool: (name) => new Worker(pool, { type: 'module', name }),
    files,
  };
}

/** The place that worked, for later engines of the page. */
let known: EngineScripts | undefined;

/** Throws `DeviceError('unavailable')` with the error of each place. */
export async function startEngineWorker(): Promise<Endpoint> {
  if (typeof Worker !== 'function')
    throw new DeviceError(
      'unavailable',
      'no worker can be started from here (a service worker or a shared worker has none): import Octavo from octavo/in-scope, which runs its engine in the calling scope',
    );
  if (known !== undefined) return start(known);
  const problems: string[] = [];
  for (const find of [beside, elsewhere, embedded]) {
    // A script that imports another of the same origin would fail in the same way.
    if (find === elsewhere && !problems.some((problem) => problem.startsWith('SecurityError'))) continue;
    try {
      const scripts = await find();
      const endpoint = await start(scripts);
      known = scripts;
      return endpoint;
    } catch (error) {
      problems.push(error instanceof DOMException ? `${error.name}: ${error.message}` : message(error));
    }
  }
  throw new DeviceError(
    'unavailable',
    `the engine's worker could not be started (${problems.join('; ')}); serve the files of octavo/dist as they are, or allow 'worker-src blob:' in the content security policy`,
    { problems: problems.join('; ') },
  );
}

async function start({ worker: make, pool, files }: EngineScripts): Promise<Endpoint> {
  const worker = make('octavo');
  const channel = new MessageChannel();
  try {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`no answer within ${START_MILLISECONDS / 1000} s`)),
        START_MILLISECONDS,
      );
      worker.onmessage = ({ data }: MessageEvent<unknown>): void => {
        if (data !== ENGINE_STARTED) return;
        clearTimeout(late);
        resolve();
      };
      worker.onerror = (event): void => {
        event.preventDefault();
        clearTimeout(late);
        reject(new Error(event.message || 'its script could not be loaded'));
      };
      worker.postMessage({ kind: 'octavo-start', files, pool: channel.port2 } satisfies EngineStart, [channel.port2]);
    });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  const host = hostPool(channel.port1, pool);
  const endpoint = workerEndpoint(worker);
  return {
    ...endpoint,
    close: () => {
      endpoint.close();
      void host.close();
    },
  };
}
