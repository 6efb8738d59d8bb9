/** Runs in Chromium, on the page itself or in a worker of it: one product, one and three threads, on the builds that the browser takes. */
import { createWasmBackend } from '../../../src/backend/wasm.ts';
import { spawnPoolWorker } from '../../../src/platform/pool-browser.ts';
import { instantiate, type WasmBuild } from '../../../src/wasm.ts';

export interface PoolAnswer {
  readonly descriptions: readonly string[];
  /** Sums that only equal outputs have, by build and threads. */
  readonly results: readonly string[];
  readonly destroyed: boolean;
}

const BUILDS: readonly WasmBuild[] = ['simd', 'simd-threads', 'relaxed', 'relaxed-threads'];

async function product(build: WasmBuild, threads: number): Promise<[string, string]> {
  const module = await WebAssembly.compileStreaming(
    fetch(new URL(`/wasm/octavo.${build}.wasm`, globalThis.location.origin)),
  );
  const backend = await createWasmBackend({ wasm: await instantiate(build, module), threads, spawn: spawnPoolWorker });
  const bytes = Uint8Array.from({ length: 320 * 2 * 34 }, (_, i) =>
    i % 34 === 0 ? 0 : i % 34 === 1 ? 0x24 : (i * 37) & 127,
  );
  const writer = backend.weight({ name: 'w', shape: [320, 64], format: 'Q8_0' });
  await writer.write(bytes);
  const weight = await writer.finish();
  const x = backend.upload(
    Float32Array.from({ length: 33 * 64 }, (_, i) => ((i * 13) % 31) - 15),
    [33, 64],
  );
  let out = await backend.download(backend.linear(x, [weight]));
  // Many jobs in a row, past the workers' sleep.
  for (let i = 0; i < 200; i++) {
    out = await backend.download(backend.scope(() => backend.linear(x, [weight])));
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  backend.destroy();
  return [
    backend.description,
    out.reduce((sum, value, i) => sum + value * Math.fround(1 + (i % 97)), 0).toPrecision(6),
  ];
}

async function run(): Promise<PoolAnswer> {
  const found: [string, string][] = [];
  for (const build of BUILDS) found.push(await product(build, build.endsWith('-threads') ? 3 : 1));
  return {
    descriptions: found.map(([description]) => description),
    results: found.map(([, result]) => result),
    destroyed: true,
  };
}

declare global {
  var answer: PoolAnswer | { readonly failed: string } | undefined;
}

const failed = (error: unknown): { failed: string } => ({
  failed: error instanceof Error ? `${error.message} ${error.stack}` : String(error),
});
const inWorker = typeof document === 'undefined';
if (inWorker) {
  run().then(
    (answer) => globalThis.postMessage(answer),
    (error: unknown) => globalThis.postMessage(failed(error)),
  );
} else if (globalThis.location.search === '?worker') {
  const worker = new Worker(new URL('./pool-page.js', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<PoolAnswer>) => {
    globalThis.answer = data;
  };
  worker.onerror = (event) => {
    globalThis.answer = { failed: event.message };
  };
} else {
  run().then(
    (answer) => (globalThis.answer = answer),
    (error: unknown) => (globalThis.answer = failed(error)),
  );
}
