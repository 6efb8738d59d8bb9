/** The platform of the engine in Node 20 and later, and in Electron's main and utility processes. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type * as Dawn from 'webgpu';
import { DeviceError } from '../errors.ts';
import { FolderShelf } from '../store/folder-shelf.ts';
import type { WasmBuild } from '../wasm.ts';
import { openDeviceRecords, openModelStore, sessionFolder } from './cache-folder.ts';
import { nodeFiles } from './node-files.ts';
import type { Platform } from './platform.ts';
import { spawnPoolWorker } from './pool-node.ts';

/** Before V8 12, relaxed SIMD is behind a flag, and `relaxed_dot_add` is miscompiled (its results are doubled). */
const FIRST_RELAXED_NODE = 22;

/** Not a literal, so that bundlers do not include the package, which has a binary for each system. */
const DAWN = 'webgpu';

/** Of the machine, or of the container that holds this process. */
function totalMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

let gpu: Promise<GPU | undefined> | undefined;

/**
 * WebGPU from the package `webgpu` (Dawn), if the user has installed it. It is kept, since Dawn must outlive its
 * devices.
 */
function findGpu(): Promise<GPU | undefined> {
  gpu ??= (async () => {
    try {
      const { create, globals } = (await import(DAWN)) as typeof Dawn;
      Object.assign(globalThis, globals);
      return create([]);
    } catch {
      return undefined;
    }
  })();
  return gpu;
}

/**
 * `assets` is the folder of the .wasm files, by default that of this script; `wasm` holds builds that are given without
 * a file.
 */
export function createNodePlatform(
  assets?: URL,
  wasm: Readonly<Partial<Record<WasmBuild, Uint8Array>>> = {},
): Platform {
  const compile = async (build: WasmBuild): Promise<WebAssembly.Module> => {
    const held = wasm[build];
    if (held !== undefined) return WebAssembly.compile(held as Uint8Array<ArrayBuffer>);
    const path = fileURLToPath(new URL(`octavo.${build}.wasm`, assets ?? import.meta.url));
    try {
      return await WebAssembly.compile(await readFile(path));
    } catch (cause) {
      throw new DeviceError(
        'unavailable',
        `${path}: could not be read or compiled; install octavo again, or build it (npm run build)`,
        { path },
        { cause },
      );
    }
  };
  const [major = 0] = process.versions.node.split('.').map(Number);
  return {
    name: 'node',
    wasm: compile,
    gpu: findGpu,
    sharedMemory: true,
    cores: availableParallelism(),
    memory: totalMemory(),
    distrusted: major < FIRST_RELAXED_NODE ? ['relaxed', 'relaxed-threads'] : [],
    spawnPool: spawnPoolWorker,
    sessions: () => new FolderShelf(sessionFolder()),
    records: openDeviceRecords,
    open: { files: nodeFiles, store: openModelStore() },
  };
}
