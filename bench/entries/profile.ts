/** The engine without face and session, in a worker, with the CPU backend's profile switched on: where a prefill and a decode step spend their time. */
import { createWasmBackend } from '../../src/backend/wasm.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { multiplyAdds } from '../../src/engine/loaded.ts';
import { generate } from '../../src/generate/generate.ts';
import { prefillChunk } from '../../src/generate/prefill.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { textOnly } from '../../src/see/images.ts';
import { spawnPoolWorker } from '../../src/platform/pool-browser.ts';
import { instantiate, type WasmBuild } from '../../src/wasm.ts';

interface Ask {
  readonly file: File;
  readonly build: WasmBuild;
  readonly threads: number;
  readonly promptTokens: number;
  readonly newTokens: number;
}

const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 0 };

globalThis.onmessage = async ({ data }: MessageEvent<Ask>): Promise<void> => {
  const { file, build, threads, promptTokens, newTokens } = data;
  const module = await WebAssembly.compileStreaming(fetch(new URL(`./octavo.${build}.wasm`, import.meta.url)));
  const backend = await createWasmBackend({ wasm: await instantiate(build, module), threads, spawn: spawnPoolWorker });
  const opened = await openModel(file);
  const model = (await loadModel(opened, backend)).language;
  const { cacheLayers: layers, kvHeads, headDim } = model.config;
  const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
  const onDevice = {
    model,
    sequence: new Sequence(new PageAllocator(pool), promptTokens + newTokens + 32, model.states()),
    ring: backend.ids(promptTokens + newTokens + 33),
    sampler: backend.sampler(model.config.vocabulary),
    images: textOnly(['this benchmark reads text']),
  };
  const { profile } = backend;
  profile.enabled = true;
  profile.take();
  const ids = Int32Array.from({ length: promptTokens }, () => 64);
  const read = () =>
    generate(onDevice, {
      ids,
      spans: [],
      cached: 0,
      spec: GREEDY,
      stopIds: new Set(),
      maxTokens: 1,
      chunk: prefillChunk(backend, multiplyAdds(opened, model.config.vocabulary)),
      onId: () => false,
    });
  // The first prefill runs in code that V8 has not optimised yet.
  const first = { milliseconds: (await read()).prefill, operations: [...profile.take()] };
  const result = await read();
  const prefill = { milliseconds: result.prefill, operations: [...profile.take()] };
  const all = Int32Array.from([...ids, ...result.ids]);
  const decoded = await generate(onDevice, {
    ids: all,
    spans: [],
    cached: promptTokens,
    spec: GREEDY,
    stopIds: new Set(),
    maxTokens: newTokens,
    chunk: 32,
    onId: () => false,
  });
  const decode = { milliseconds: decoded.prefill + decoded.decode, operations: [...profile.take()] };
  const { hidden, vocabulary } = model.config;
  const layerProducts = [...opened.tensors.values()].reduce(
    (sum, { name, shape: [rows = 0, cols = 0] }) => sum + (name.startsWith('blk.') ? rows * cols : 0),
    0,
  );
  // What a token costs: every packed weight is read once; the tied head is read as a product, of the embedding one row.
  const work = { bytes: backend.memory().weights, products: layerProducts + hidden * vocabulary, layerProducts };
  globalThis.postMessage({ first, prefill, decode, work, memory: backend.memory() });
};
