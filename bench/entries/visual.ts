/** One large picture in front of a short question, in a browser's worker: choosing among its tokens, and the language model until the first token of the answer. */
import type { SampleSpec } from '../../src/backend/backend.ts';
import { createWasmBackend, type WasmBackend } from '../../src/backend/wasm.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import type { Quantization } from '../../src/load/convert.ts';
import { openModel } from '../../src/load/index.ts';
import { Held } from '../../src/layers/held.ts';
import { loadModel, type LanguageModel, type Model } from '../../src/models/model.ts';
import { spawnPoolWorker } from '../../src/platform/pool-browser.ts';
import { readSelection, type VisualSelection } from '../../src/select/visual/options.ts';
import { selectTokens } from '../../src/select/visual/select.ts';
import { instantiate, type Wasm, type WasmBuild } from '../../src/wasm.ts';

type Ask =
  | { readonly kind: 'open'; readonly build: WasmBuild; readonly threads: number }
  | {
      readonly kind: 'load';
      readonly file: File;
      readonly projector: File | undefined;
      readonly quantize: Quantization | undefined;
    }
  | { readonly kind: 'encode'; readonly side: number }
  | { readonly kind: 'select'; readonly picture: Picture; readonly selection: VisualSelection }
  | {
      readonly kind: 'answer';
      readonly picture: Picture;
      readonly kept: readonly number[] | undefined;
      readonly question: number;
    };

/** Tokens: a square grid, then `fixed` ones that always stay: MAR's buffers, or the overview beside tiles. */
interface Picture {
  readonly side: number;
  readonly fixed: number;
  readonly width: number;
}

const CHUNK = 512;
const GREEDY: SampleSpec = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 0,
};

let device: { readonly backend: WasmBackend; readonly wasm: Wasm } | undefined;
let loaded: Model | undefined;

function opened(): { readonly backend: WasmBackend; readonly wasm: Wasm } {
  if (device === undefined) throw new Error('nothing is open');
  return device;
}

/** Embeddings of a made-up picture: a dozen regions of one vector each, with as much noise a token. */
function embeddings({ side, fixed, width }: Picture): Float32Array {
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const regions = Array.from({ length: 12 }, () => ({
    x: next(),
    y: next(),
    vector: Float32Array.from({ length: width }, next),
  }));
  const values = new Float32Array((side * side + fixed) * width);
  for (let token = 0; token < side * side + fixed; token++) {
    const [x, y] = [((token % side) / side) * 2 - 1, (Math.floor(token / side) / side) * 2 - 1];
    const nearest = regions.reduce((best, region) =>
      Math.hypot(region.x - x, region.y - y) < Math.hypot(best.x - x, best.y - y) ? region : best,
    );
    for (let i = 0; i < width; i++) values[token * width + i] = (nearest.vector[i] ?? 0) + next();
  }
  return values;
}

function language(): LanguageModel {
  if (loaded === undefined) throw new Error('no model is loaded');
  return loaded.language;
}

/** The tower on a square picture: milliseconds, and how many tokens of how many tiles it gives. */
async function encode(
  side: number,
): Promise<{ readonly milliseconds: number; readonly tiles: number; readonly tokens: number }> {
  const { backend } = opened();
  const vision = loaded?.vision;
  if (vision === undefined) throw new Error('the model does not see');
  const data = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) =>
    i % 4 === 3 ? 255 : (i * 2654435761) >>> 24,
  );
  const held = new Held(backend);
  const begun = performance.now();
  const prepared = vision.prepare({ data, width: side, height: side }, { size: side });
  try {
    const steps = vision.encode(prepared, held);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    await backend.idle();
    return {
      milliseconds: performance.now() - begun,
      tiles: prepared.spans.length,
      tokens: step.value.embeddings.shape[0] ?? 0,
    };
  } finally {
    held.free();
  }
}

function select(
  picture: Picture,
  selection: VisualSelection,
): { readonly milliseconds: number; readonly kept: number[] } {
  const { side, fixed, width } = picture;
  const count = side * side + fixed;
  const choice = readSelection(selection);
  if (choice === undefined) throw new Error('a selection that keeps all');
  const values = embeddings(picture);
  const question = selection.method === 'cdpruner' ? values.slice(0, 8 * width) : undefined;
  const patches =
    selection.method === 'showui'
      ? [{ start: 0, values: values.subarray(0, side * side * 16), rows: side, columns: side, width: 16 }]
      : undefined;
  const begun = performance.now();
  const kept = selectTokens(
    opened().wasm,
    { embeddings: values, count, width, fixed: [[side * side, count]], question, patches },
    choice,
  );
  return { milliseconds: performance.now() - begun, kept: [...kept] };
}

/** Prefill of the picture's tokens (those kept, or all) and of the question, and the first id. */
async function answer({ picture, kept, question }: Extract<Ask, { kind: 'answer' }>): Promise<{
  readonly milliseconds: number;
  readonly tokens: number;
  readonly bytes: number;
}> {
  const { backend } = opened();
  const model: LanguageModel = language();
  const { cacheLayers: layers, kvHeads, headDim, vocabulary } = model.config;
  const { width } = picture;
  const all = embeddings(picture);
  const indices = kept ?? Array.from({ length: all.length / width }, (_, i) => i);
  const tokens = indices.length + question;
  const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
  const sequence = new Sequence(new PageAllocator(pool), tokens + 1, model.states());
  if (kept !== undefined) {
    // Those kept stand where they stood; the question follows where it would.
    const values = new Int32Array(sequence.capacity);
    for (let slot = 0; slot < values.length; slot++)
      values[slot] = indices[slot] ?? picture.side ** 2 + picture.fixed + slot - indices.length;
    sequence.positions = { axes: 1, values };
  }
  const ring = backend.ids(tokens + 2);
  const sampler = backend.sampler(vocabulary);
  sampler.reset(new Int32Array(0));
  const rows = new Float32Array(indices.length * width);
  for (const [slot, index] of indices.entries())
    rows.set(all.subarray(index * width, (index + 1) * width), slot * width);
  try {
    const begun = performance.now();
    for (let start = 0; start < tokens; start += CHUNK) {
      const count = Math.min(CHUNK, tokens - start);
      sequence.ensure(start + count);
      backend.scope(() => {
        const seen = Math.max(0, Math.min(count, indices.length - start));
        const parts = [];
        if (seen > 0) parts.push(backend.upload(rows.slice(start * width, (start + seen) * width), [seen, width]));
        if (seen < count) parts.push(model.embed(ring, start + seen, count - seen));
        const hidden = model.forward(backend.stack(parts), {
          kv: sequence,
          position: start,
          ranges: denseCausal(count, start + count),
        });
        if (start + count === tokens)
          backend.sample(model.logits(backend.rows(hidden, count - 1, 1)), sampler, GREEDY, ring, tokens);
      });
    }
    await backend.readIds(ring, tokens, tokens + 1);
    return { milliseconds: performance.now() - begun, tokens, bytes: sequence.bytes };
  } finally {
    sampler.free();
    backend.free(ring);
    sequence.free();
    pool.free();
  }
}

async function reply(ask: Ask): Promise<unknown> {
  switch (ask.kind) {
    case 'open': {
      const module = await WebAssembly.compileStreaming(fetch(new URL(`./octavo.${ask.build}.wasm`, import.meta.url)));
      const wasm = await instantiate(ask.build, module);
      device = { backend: await createWasmBackend({ wasm, threads: ask.threads, spawn: spawnPoolWorker }), wasm };
      return undefined;
    }
    case 'load': {
      const settings = ask.quantize === undefined ? {} : { quantize: ask.quantize };
      loaded = await loadModel(
        await Promise.all(
          [ask.file, ask.projector].flatMap((file) => (file === undefined ? [] : [openModel(file, settings)])),
        ),
        opened().backend,
      );
      return undefined;
    }
    case 'encode':
      return encode(ask.side);
    case 'select':
      return select(ask.picture, ask.selection);
    case 'answer':
      return answer(ask);
    default:
      return ask satisfies never;
  }
}

globalThis.onmessage = async ({ data }: MessageEvent<Ask>): Promise<void> => {
  try {
    globalThis.postMessage({ result: await reply(data) });
  } catch (error) {
    globalThis.postMessage({
      failed: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
    });
  }
};
