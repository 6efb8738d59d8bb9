/**
 * Starts the engine's worker thread in Node. The script is looked for beside this one, then in the installed package,
 * for code that a bundler has moved, and last in the bundle itself (archive.ts), when nothing of the package is left.
 */
import { join } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { WasmBuild } from '../wasm.ts';
import { packagedFile } from './packaged-file.ts';

/** What the worker receives when it starts: the WASM builds, if they are not beside its script. */
export interface NodeEngineData {
  readonly wasm?: Readonly<Partial<Record<WasmBuild, Uint8Array>>>;
}

/** Not a literal within `new URL`, since a bundler would treat the worker as a file of the app. */
const SCRIPT = 'node-worker.js';

/** Flags of the caller's process, such as --input-type, do not apply to a worker that is a file. */
const OPTIONS: WorkerOptions = { name: 'octavo', execArgv: [] };

/** Not `new Worker(…)`, since Next.js would bundle every file of the package as a possible entry of the thread. */
const startThread = (script: string | URL, options: WorkerOptions): Worker =>
  Reflect.construct(Worker, [script, options]);

export async function startNodeWorker(): Promise<Worker> {
  const script = packagedFile(SCRIPT);
  if (script !== undefined) return startThread(script, OPTIONS);
  const { unpackArchive } = await import('./archive.ts');
  const files = await unpackArchive();
  const source = files.get(SCRIPT) ?? new Uint8Array();
  const wasm = Object.fromEntries(
    [...files].flatMap(([name, bytes]) => {
      const build = /^octavo\.(.*)\.wasm$/.exec(name)?.[1];
      return build === undefined ? [] : [[build, bytes]];
    }),
  );
  return startThread(new URL(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`), {
    ...OPTIONS,
    workerData: { wasm } satisfies NodeEngineData,
  });
}

/**
 * Returns the folder of the package if it is installed or run from there; its own files, such as the bundled model, are
 * below it.
 */
export function packageFolder(): string | undefined {
  const script = packagedFile(SCRIPT);
  return script === undefined ? undefined : join(script, '..', '..');
}
