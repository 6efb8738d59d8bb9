/** The platform of the engine's worker in browsers, web views and Electron's renderers. */
import type { SpawnPoolWorker } from '../backend/pool.ts';
import { DeviceError } from '../errors.ts';
import { Database } from '../store/database.ts';
import { ModelStore } from '../store/model-store.ts';
import type { EngineFiles } from './engine-files.ts';
import type { Platform } from './platform.ts';

async function compile(place: string): Promise<WebAssembly.Module> {
  const unavailable = (problem: string, cause?: unknown): DeviceError =>
    new DeviceError(
      'unavailable',
      `${place}: ${problem}; serve the .wasm files beside Octavo's scripts`,
      { url: place },
      { cause },
    );
  let response: Response;
  try {
    response = await fetch(place);
  } catch (cause) {
    throw unavailable('could not be fetched', cause);
  }
  if (!response.ok) throw unavailable(`HTTP status ${response.status}`);
  try {
    // On servers that do not know the type of .wasm files, streaming compilation fails.
    if (response.headers.get('content-type')?.startsWith('application/wasm') === true)
      return await WebAssembly.compileStreaming(response);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw unavailable(`could not be compiled (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
}

/**
 * Returns why WASM memory cannot be shared with threads here; undefined where it can. This is tested with an actual
 * memory, since WebKitGTK can make one but cannot send it.
 */
function whyUnshared(spawnPool: SpawnPoolWorker | undefined): string | undefined {
  if (spawnPool === undefined) return 'the engine runs in the calling scope';
  if (!globalThis.crossOriginIsolated) return 'the page is not cross-origin isolated';
  try {
    structuredClone(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
    return undefined;
  } catch {
    return 'this browser cannot share WASM memory between workers';
  }
}

/** `files`: the URL of each WASM build. `spawnPool`: undefined where threads cannot be started. */
export function createBrowserPlatform(files: EngineFiles['wasm'], spawnPool: SpawnPoolWorker | undefined): Platform {
  const unshared = whyUnshared(spawnPool);
  return {
    name: 'browser',
    wasm: (build) => compile(files[build]),
    gpu: async () => (globalThis.navigator as Navigator | undefined)?.gpu,
    sharedMemory: unshared === undefined,
    unshared,
    cores: globalThis.navigator?.hardwareConcurrency ?? 1,
    distrusted: [],
    spawnPool,
    sessions: async () =>
      ModelStore.supported ? new (await import('../store/sessions.ts')).IndexedShelf() : undefined,
    records: () => (ModelStore.supported ? new Database('octavo-devices') : undefined),
    memory: deviceMemory(),
    open: {},
  };
}

/** Browsers that tell round it, and say 8 GiB of all machines that have more. */
function deviceMemory(): number | undefined {
  const { deviceMemory: told } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  return told === undefined || told >= 8 ? undefined : told * 2 ** 30;
}
