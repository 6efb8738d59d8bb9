/** A decoder on a backend: embedding, layers, final norm and head. */
import type { AttentionSpec, Backend, KvView, NormSpec, Ranges, RopeSpec, Tensor, Weight } from '../backend/backend.ts';
import type { Plan } from '../kv/plan.ts';
import { DecoderBlock } from '../layers/decoder-block.ts';
import { Held } from '../layers/held.ts';
import { ropeSpec } from '../layers/rope.ts';
import type { LanguageModelConfig } from './config.ts';
import type { DecoderWeights } from './decoder-weights.ts';

/** T tokens through a decoder. Tensors follow the backend's scopes; the KV view is the caller's. */
export interface LanguageModel {
  readonly config: LanguageModelConfig;
  readonly backend: Backend;
  /** What `logits` begins with; for those who want the states behind it, not the logits. */
  readonly finalNorm: NormSpec;
  /** Of all layers, for those who plan what attention may look at. */
  readonly attention: AttentionSpec;
  readonly rope: RopeSpec;
  /** Ids `[start, start + count)` of the ring -> [count, hidden]. */
  embed(ring: Tensor, start: number, count: number): Tensor;
  /** [T, hidden] at positions `position ..` -> [T, hidden], before the final norm; appends to the view's pages. */
  forward(x: Tensor, kv: KvView, position: number, ranges: Ranges): Tensor;
  /**
   * The same, with ranges that the plan gives layer by layer. Others may compute while it is waited for: no scope may be open, x has to be
   * kept outside of them, and what comes back is the caller's to free. After an error nothing is left but the pages that were written.
   */
  forwardPlanned(x: Tensor, kv: KvView, position: number, plan: Plan): Promise<Tensor>;
  /** Final norm and head: [T, hidden] -> [T, vocabulary]. */
  logits(hidden: Tensor): Tensor;
  /** Frees the weights. */
  free(): void;
}

export class Decoder implements LanguageModel {
  readonly config: LanguageModelConfig;
  readonly backend: Backend;
  readonly finalNorm: NormSpec; // (hidden)
  readonly attention: AttentionSpec;
  readonly rope: RopeSpec;
  readonly #weights: DecoderWeights;
  readonly #blocks: readonly DecoderBlock[];

  constructor(backend: Backend, config: LanguageModelConfig, weights: DecoderWeights) {
    const { heads, headDim, epsilon, activation, slidingWindow } = config;
    const rope = ropeSpec(config.rope, weights.ropeDivisors);
    const attention = { heads, scale: 1 / Math.sqrt(headDim) };
    this.rope = rope;
    this.attention = attention;
    this.backend = backend;
    this.config = config;
    this.#weights = weights;
    this.#blocks = weights.blocks.map((block, layer) => {
      const window = slidingWindow?.layers[layer] ? slidingWindow.tokens : undefined;
      return new DecoderBlock(backend, block, { attention, epsilon, activation, rope, window });
    });
    this.finalNorm = { kind: 'rms', weight: weights.norm, epsilon };
  }

  embed(ring: Tensor, start: number, count: number): Tensor {
    return this.backend.embed(this.#weights.embedding, ring, start, count);
  }

  forward(x: Tensor, kv: KvView, position: number, ranges: Ranges): Tensor {
    const { backend } = this;
    return this.#blocks.reduce((hidden, block, layer) => {
      // What a layer makes on its way is given back after it: kept until the last one, 24 layers of a prefill chunk are as large as a third of the weights.
      const next = backend.scope(() => block.forward(hidden, kv, layer, position, ranges));
      if (hidden !== x) backend.free(hidden);
      return next;
    }, x);
  }

  async forwardPlanned(x: Tensor, kv: KvView, position: number, plan: Plan): Promise<Tensor> {
    const held = new Held(this.backend);
    try {
      let hidden = x;
      for (const [layer, block] of this.#blocks.entries()) {
        const before = hidden;
        const q = held.step(() => block.project(before, kv, layer, position));
        const asked = plan.ranges(layer, q);
        const ranges = asked instanceof Promise ? await asked : asked;
        hidden = held.step(() => block.finish(before, q, kv, layer, position, ranges));
        held.drop(q);
        held.drop(before);
      }
      return held.release(hidden);
    } finally {
      held.free();
    }
  }

  logits(hidden: Tensor): Tensor {
    return this.backend.linear(hidden, [this.#weights.head], { norm: this.finalNorm });
  }

  free(): void {
    const { embedding, blocks, norm, head } = this.#weights;
    const all = [embedding, norm, head, ...blocks.flatMap((block) => Object.values(block) as (Weight | undefined)[])];
    for (const weight of new Set(all)) weight?.free();
  }
}
