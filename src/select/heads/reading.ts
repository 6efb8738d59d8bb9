/** Lets a model read random tokens, and reads the queries and keys of each layer during that. */
import type { AttentionSpec, Backend, RopeSpec, Tensor } from '../../backend/backend.ts';
import { uniform } from '../../backend/random.ts';
import { PageAllocator, Sequence } from '../../kv/sequence.ts';
import type { Plan } from '../../kv/plan.ts';
import type { SequenceState } from '../../kv/state.ts';
import { denseCausal } from '../../kv/ranges.ts';

/** The part of a language model that is needed; `LanguageModel` has it. */
export interface ReadableModel {
  readonly backend: Backend;
  readonly config: {
    readonly cacheLayers: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly vocabulary: number;
    readonly contextWindow: number;
  };
  readonly attention: AttentionSpec;
  readonly rope: (layer: number) => RopeSpec;
  /** Of models that have layers with a state. */
  states?(): SequenceState | undefined;
  embed(ring: Tensor, start: number, count: number): Tensor;
  forwardPlanned(
    x: Tensor,
    call: {
      readonly kv: Sequence;
      readonly position: number;
      readonly plan: Plan;
      readonly ids: { readonly ring: Tensor; readonly start: number };
    },
  ): Promise<Tensor>;
}

/** q [ids, heads * headDim] of a layer, after RoPE; its keys are in `kv`. */
export type Look = (layer: number, q: Tensor, kv: Sequence) => Promise<void>;

/** Runs one dense pass over `ids`, in pages of its own. An abort ends it between two layers. */
export async function readTokens(
  model: ReadableModel,
  ids: Int32Array,
  look: Look,
  signal?: AbortSignal,
): Promise<void> {
  const { backend, config } = model;
  const { cacheLayers: layers, kvHeads, headDim } = config;
  const count = ids.length;
  const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
  const made: Tensor[] = [];
  const sequence = new Sequence(new PageAllocator(pool), count, model.states?.());
  try {
    sequence.ensure(count);
    const ring = backend.ids(count);
    made.push(ring);
    backend.writeIds(ring, 0, ids);
    const x = backend.keep(backend.scope(() => model.embed(ring, 0, count)));
    made.push(x);
    const plan: Plan = {
      ranges: async (layer, q) => {
        signal?.throwIfAborted();
        await look(layer, q, sequence);
        return denseCausal(count, count);
      },
    };
    const hidden = await model.forwardPlanned(x, { kv: sequence, position: 0, plan, ids: { ring, start: 0 } });
    made.push(hidden);
  } finally {
    for (const tensor of made) backend.free(tensor);
    sequence.free();
    pool.free();
  }
}

/** `count` ids drawn from the vocabulary by `seed`, all different where there are enough. */
export function randomIds(count: number, vocabulary: number, seed: number): Int32Array {
  const ids = new Int32Array(count);
  const used = new Set<number>();
  for (let i = 0, draw = 0; i < count; draw++) {
    const id = Math.floor(uniform(seed, draw) * vocabulary);
    if (used.has(id) && used.size < vocabulary) continue;
    used.add(id);
    ids[i++] = id;
  }
  return ids;
}
