/**
 * Starts pool threads in Node and Electron's main process. The script is given as text, so that no path must be found
 * from within a bundle.
 */
import { Worker } from 'node:worker_threads';
import type { PoolStart, PoolWorker } from '../backend/pool.ts';
import { POOL_LOST } from '../backend/wasm/layouts.ts';

/** A block: Deno declares `module` and others before a script. */
const SCRIPT = `{
const { parentPort, workerData } = require('node:worker_threads');
const { module, memory, pool, thread } = workerData;
try {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  parentPort.postMessage('ready');
  exports.workerLoop(pool, thread);
} catch (error) {
  Atomics.store(new Int32Array(memory.buffer), (pool + ${POOL_LOST}) >>> 2, 1);
  throw error;
}
}`;

export function spawnPoolWorker(start: PoolStart): PoolWorker {
  const worker = new Worker(SCRIPT, {
    eval: true,
    workerData: start,
    name: `octavo pool ${start.thread}`,
    stdout: false,
    stderr: false,
    execArgv: [],
  });
  let end: (error: Error | undefined) => void;
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    let failure: Error | undefined;
    worker.once('message', () => {
      resolve();
      // An idle pool must not keep the process alive.
      worker.unref();
    });
    worker.once('error', (error) => {
      failure = new Error(`pool thread ${start.thread}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    });
    worker.once('exit', (code) => {
      const error =
        failure ?? (code === 0 ? undefined : new Error(`pool thread ${start.thread} ended with code ${code}`));
      reject(error ?? new Error(`pool thread ${start.thread} ended`));
      end(error);
    });
  });
  return { ready, ended, terminate: () => void worker.terminate() };
}
