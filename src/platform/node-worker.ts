/**
 * Starts the engine's worker thread in Node. The script is looked for beside this one, then in the installed package, where a bundler has taken the code
 * away from it, and last in the bundle itself (archive.ts), where nothing of the package is left.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { WasmBuild } from '../wasm.ts';

/** What the worker is given when it starts: the WASM builds, where they do not lie beside its script. */
export interface NodeEngineData {
  readonly wasm?: Readonly<Partial<Record<WasmBuild, Uint8Array>>>;
}

/** Not a literal within `new URL`: a bundler would take the worker for a file of the app. */
const SCRIPT = 'node-worker.js';

/** Flags of the caller's process, such as --input-type, are not for a file's worker. */
const OPTIONS: WorkerOptions = { name: 'octavo', execArgv: [] };

/** Not `new Worker(…)`: Next.js would bundle every file of the package as a possible entry of the thread. */
const startThread = (script: string | URL, options: WorkerOptions): Worker =>
  Reflect.construct(Worker, [script, options]);

/** Where the package's files lie: beside this script or in the installed package. */
function packagedScript(): string | undefined {
  try {
    const beside = fileURLToPath(new URL(SCRIPT, import.meta.url));
    if (existsSync(beside)) return beside;
  } catch {
    // A CommonJS bundle has no `import.meta.url`.
  }
  try {
    const manifest = createRequire(join(process.cwd(), 'package.json')).resolve('octavo/package.json');
    const installed = join(manifest, '..', 'dist', SCRIPT);
    if (existsSync(installed)) return installed;
  } catch {
    // Not installed where this runs.
  }
  return undefined;
}

export async function startNodeWorker(): Promise<Worker> {
  const script = packagedScript();
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

/** The package's folder, where it is installed or run from: files of its own, such as the bundled model, lie below it. */
export function packageFolder(): string | undefined {
  const script = packagedScript();
  return script === undefined ? undefined : join(script, '..', '..');
}
