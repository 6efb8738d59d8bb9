/** What the engine's worker needs in browsers, web views and Electron's renderers. */
import { DeviceError } from '../errors.ts';
import { ModelStore } from '../store/model-store.ts';
import type { WasmBuild } from '../wasm.ts';
import type { Platform } from './platform.ts';
import { spawnPoolWorker } from './pool-browser.ts';

/** Written out one by one, so that bundlers find the files and carry them along. */
function place(build: WasmBuild): URL {
  switch (build) {
    case 'scalar':
      return new URL('./octavo.scalar.wasm', import.meta.url);
    case 'simd':
      return new URL('./octavo.simd.wasm', import.meta.url);
    case 'relaxed':
      return new URL('./octavo.relaxed.wasm', import.meta.url);
    case 'simd-threads':
      return new URL('./octavo.simd-threads.wasm', import.meta.url);
    case 'relaxed-threads':
      return new URL('./octavo.relaxed-threads.wasm', import.meta.url);
    default:
      throw new DeviceError('unavailable', `WASM build '${String(build satisfies never)}' is unknown`);
  }
}

async function compile(build: WasmBuild): Promise<WebAssembly.Module> {
  const url = place(build);
  const unavailable = (problem: string, cause?: unknown): DeviceError =>
    new DeviceError(
      'unavailable',
      `${url.href}: ${problem}; serve the .wasm files beside Octavo's scripts`,
      { url: url.href },
      { cause },
    );
  let response: Response;
  try {
    response = await fetch(url);
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

export function createBrowserPlatform(): Platform {
  return {
    name: 'browser',
    wasm: compile,
    gpu: async () => (globalThis.navigator as Navigator | undefined)?.gpu,
    sharedMemory: globalThis.crossOriginIsolated && typeof SharedArrayBuffer === 'function',
    cores: globalThis.navigator?.hardwareConcurrency ?? 1,
    distrusted: [],
    spawnPool: spawnPoolWorker,
    sessions: async () =>
      ModelStore.supported ? new (await import('../store/sessions.ts')).IndexedShelf() : undefined,
    open: {},
  };
}
