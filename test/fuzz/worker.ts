/** Runs one fuzzer in a thread of its own, so that tools/fuzz.mjs can tell a case that hangs, and end it. */
import { parentPort, workerData } from 'node:worker_threads';
import { KINDS, type Kind } from './kinds.ts';
import { fuzz, type RunOptions } from './run.ts';

const { kind, options, progress } = workerData as {
  readonly kind: Kind;
  readonly options: RunOptions;
  readonly progress: SharedArrayBuffer;
};
const running = new Int32Array(progress);
const report = await fuzz(kind, KINDS[kind], {
  ...options,
  onCase: (number) => Atomics.store(running, 0, number),
});
parentPort?.postMessage(report);
