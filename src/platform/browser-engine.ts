/** What the engine's worker needs in browsers, web views and Electron's renderers. */
import type { SpawnPoolWorker } from '../backend/pool.ts';
import { DeviceError } from '../errors.ts';
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
    // Servers that do not know the type of .wasm files make streaming compilation fail.
    if (response.headers.get('content-type')?.startsWith('application/wasm') === true)
      return await WebAssembly.compileStreaming(response);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw unavailable(`could not be compiled (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
}

/** `files`: the URL of each WASM build. `spawnPool`: undefined where threads cannot be started. */
export function createBrowserPlatform(files: EngineFiles['wasm'], spawnPool: SpawnPoolWorker | undefined): Platform {
  return {
    name: 'browser',
    wasm: (build) => compile(files[build]),
    gpu: async () => (globalThis.navigator as Navigator | undefined)?.gpu,
    sharedMemory: spawnPool !== undefined && globalThis.crossOriginIsolated && typeof SharedArrayBuffer === 'function',
    cores: globalThis.navigator?.hardwareConcurrency ?? 1,
    distrusted: [],
    spawnPool,
    sessions: async () =>
      ModelStore.supported ? new (await import('../store/sessions.ts')).IndexedShelf() : undefined,
    open: {},
  };
}
