/** Long contexts in a browser's worker: bytes of pages, chunks of prefill at depths, decode steps, and one layer's attention alone for its memory. */
import { KV_FORMATS, type KvFormat } from '../../src/backend/backend.ts';
import { createWasmBackend, type WasmBackend } from '../../src/backend/wasm.ts';
import { sentenceEnds } from '../../src/select/decode/sentences.ts';
import type { DecidedContext } from '../../src/select/options.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { spawnPoolWorker } from '../../src/platform/pool-browser.ts';
import { instantiate, type Wasm, type WasmBuild } from '../../src/wasm.ts';
import { OneLayer } from '../context/attention-memory.ts';
import { Reader } from '../context/reader.ts';

type Ask =
  | { readonly kind: 'open'; readonly build: WasmBuild; readonly threads: number }
  | {
      readonly kind: 'load';
      readonly file: File;
      readonly length: number;
      readonly read: number;
      readonly text?: string;
    }
  | { readonly kind: 'chunk'; readonly context: DecidedContext; readonly position: number; readonly promptEnd: number }
  | { readonly kind: 'steps'; readonly name: string; readonly context: DecidedContext; readonly steps: number }
  | { readonly kind: 'repeats'; readonly context: DecidedContext; readonly steps: number; readonly newest: number }
  | { readonly kind: 'answer'; readonly file: File; readonly text: string; readonly parts: readonly string[] }
  | { readonly kind: 'given'; readonly context: DecidedContext }
  | { readonly kind: 'decode'; readonly context: DecidedContext; readonly steps: number }
  | {
      readonly kind: 'bytes';
      readonly layers: number;
      readonly kvHeads: number;
      readonly headDim: number;
      readonly tokens: number;
    }
  | { readonly kind: 'layer'; readonly length: number }
  | { readonly kind: 'attention' | 'probe' }
  | { readonly kind: 'planned'; readonly context: DecidedContext };

let device: { readonly backend: WasmBackend; readonly wasm: Wasm } | undefined;
let reader: Reader | undefined;
let layer: OneLayer | undefined;
/** Tokens of each part of the answer. */
let given: readonly number[] = [];

function opened(): { readonly backend: WasmBackend; readonly wasm: Wasm } {
  if (device === undefined) throw new Error('nothing is open');
  return device;
}
function loaded(): Reader {
  if (reader === undefined) throw new Error('nothing is loaded');
  return reader;
}
function oneLayer(): OneLayer {
  if (layer === undefined) throw new Error('there is no layer');
  return layer;
}

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.kind) {
    case 'open': {
      const module = await WebAssembly.compileStreaming(fetch(new URL(`./octavo.${ask.build}.wasm`, import.meta.url)));
      const wasm = await instantiate(ask.build, module);
      device = { backend: await createWasmBackend({ wasm, threads: ask.threads, spawn: spawnPoolWorker }), wasm };
      return undefined;
    }
    case 'load': {
      const { backend, wasm } = opened();
      const file = await openModel(ask.file);
      const model = (await loadModel(file, backend)).language;
      const tokenizer = ask.text === undefined ? undefined : await createTokenizer(wasm, file.metadata);
      reader = new Reader(backend, wasm, model, ask.length, tokenizer?.encode(ask.text ?? ''));
      if (tokenizer !== undefined) reader.ends = sentenceEnds(tokenizer);
      const milliseconds = await reader.read(ask.read);
      if (ask.read > 0) reader.fill(ask.read);
      else reader.randomise();
      return { read: milliseconds, memory: backend.memory() };
    }
    case 'chunk':
      return loaded().chunk(ask.context, ask.position, ask.promptEnd);
    case 'steps':
      return loaded().steps(ask.name, ask.context, ask.steps);
    case 'repeats':
      return loaded().repeats(ask.context, ask.steps, ask.newest);
    case 'answer': {
      const { backend, wasm } = opened();
      const file = await openModel(ask.file);
      const tokenizer = await createTokenizer(wasm, file.metadata);
      const text = tokenizer.encode(ask.text);
      const parts = ask.parts.map((part) => tokenizer.encode(part));
      const model = (await loadModel(file, backend)).language;
      reader = new Reader(
        backend,
        wasm,
        model,
        text.length,
        Int32Array.from([text, ...parts].flatMap((ids) => [...ids])),
      );
      await reader.read(text.length - 1);
      given = parts.map((ids) => ids.length);
      return { tokens: text.length, layers: model.config.cacheLayers, parts: given };
    }
    case 'given':
      return loaded().given(
        ask.context,
        given.reduce((sum, tokens) => sum + tokens, 0),
      );
    case 'decode':
      return loaded().decode(ask.context, ask.steps);
    case 'bytes': {
      const { layers, kvHeads, headDim, tokens } = ask;
      const pool = opened().backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
      const pages = (layers * kvHeads * tokens) / 32;
      const bytes = Object.fromEntries(
        KV_FORMATS.map((format): [KvFormat, number] => [format, pages * pool.pageBytes(format)]),
      );
      pool.free();
      return bytes;
    }
    case 'layer':
      layer = new OneLayer(opened().backend, opened().wasm, ask.length);
      return layer.bytes;
    case 'attention':
      return oneLayer().attention();
    case 'probe':
      return oneLayer().probe();
    case 'planned':
      return oneLayer().planned(ask.context);
    default:
      return ask satisfies never;
  }
}

globalThis.onmessage = async ({ data }: MessageEvent<Ask>): Promise<void> => {
  try {
    globalThis.postMessage({ result: await answer(data) });
  } catch (error) {
    globalThis.postMessage({
      failed: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
    });
  }
};
