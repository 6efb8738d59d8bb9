/** The benchmark of pictures in a browser's worker: the engine without a model. */
import { createWasmBackend } from '../../src/backend/wasm.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { spawnPoolWorker } from '../../src/platform/pool-browser.ts';
import { instantiate, type WasmBuild } from '../../src/wasm.ts';
import { bareRates, measurePictures } from './pictures-job.ts';

interface Ask {
  readonly build: WasmBuild;
  readonly threads: number;
  readonly formats: readonly WeightFormat[];
  readonly runs: number;
}

globalThis.onmessage = async ({ data }: MessageEvent<Ask>): Promise<void> => {
  const { build, threads, formats, runs } = data;
  const module = await WebAssembly.compileStreaming(fetch(new URL(`./octavo.${build}.wasm`, import.meta.url)));
  const backend = await createWasmBackend({ wasm: await instantiate(build, module), threads, spawn: spawnPoolWorker });
  const bare = await bareRates(await WebAssembly.compileStreaming(fetch(new URL('./bare.wasm', import.meta.url))));
  const results = await measurePictures(backend, formats, runs);
  globalThis.postMessage({ ...results, bare });
};
