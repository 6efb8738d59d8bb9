/**
 * One layer of a decoder with grouped-query attention and a gated MLP, both behind an RMS norm and a residual:
 * Llama's block, which Qwen2 extends by biases and Qwen3 by norms of q and k. Six operations of the backend.
 */
import type {
  Activation,
  AttentionSpec,
  Backend,
  KvView,
  NormSpec,
  Ranges,
  RopeSpec,
  Tensor,
  Weight,
} from '../backend/backend.ts';
import { withinWindow } from '../kv/ranges.ts';

export interface BlockWeights {
  readonly attentionNorm: Weight; // (hidden)
  readonly query: Weight; // (heads * headDim, hidden)
  readonly key: Weight; // (kvHeads * headDim, hidden)
  readonly value: Weight; // (kvHeads * headDim, hidden)
  readonly queryBias?: Weight | undefined; // (heads * headDim)
  readonly keyBias?: Weight | undefined; // (kvHeads * headDim)
  readonly valueBias?: Weight | undefined; // (kvHeads * headDim)
  readonly queryNorm?: Weight | undefined; // (headDim)
  readonly keyNorm?: Weight | undefined; // (headDim)
  readonly output: Weight; // (hidden, heads * headDim)
  readonly outputBias?: Weight | undefined; // (hidden)
  readonly mlpNorm: Weight; // (hidden)
  readonly gate: Weight; // (mlp, hidden)
  readonly up: Weight; // (mlp, hidden)
  readonly down: Weight; // (hidden, mlp)
}

export interface BlockSpec {
  readonly attention: AttentionSpec;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly rope: RopeSpec;
  /** Keys that a query may see: its own and those just before it. */
  readonly window?: number | undefined;
}

export class DecoderBlock {
  readonly #backend: Backend;
  readonly #weights: BlockWeights;
  readonly #spec: BlockSpec;
  readonly #attentionNorm: NormSpec;
  readonly #mlpNorm: NormSpec;
  readonly #heads: {
    readonly heads: number;
    readonly rope: RopeSpec;
    readonly qNorm?: NormSpec;
    readonly kNorm?: NormSpec;
  };
  readonly #qkvBias: { readonly bias?: readonly (Weight | undefined)[] };

  constructor(backend: Backend, weights: BlockWeights, spec: BlockSpec) {
    const { attention, epsilon, rope } = spec;
    const norm = (weight: Weight): NormSpec => ({ kind: 'rms', weight, epsilon });
    const { queryBias, keyBias, valueBias, queryNorm, keyNorm } = weights;
    this.#backend = backend;
    this.#weights = weights;
    this.#spec = spec;
    this.#attentionNorm = norm(weights.attentionNorm);
    this.#mlpNorm = norm(weights.mlpNorm);
    this.#heads = {
      heads: attention.heads,
      rope,
      ...(queryNorm && { qNorm: norm(queryNorm) }),
      ...(keyNorm && { kNorm: norm(keyNorm) }),
    };
    this.#qkvBias = queryBias || keyBias || valueBias ? { bias: [queryBias, keyBias, valueBias] } : {};
  }

  /** x [T, hidden] at positions `position ..` -> [T, hidden]; appends T keys and values to `layer` of the view. */
  forward(x: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges): Tensor {
    return this.finish(x, this.project(x, kv, layer, position), kv, layer, position, ranges);
  }

  /** The first half of `forward`: appends keys and values; the queries [T, heads * headDim]. */
  project(x: Tensor, kv: KvView, layer: number, position: number): Tensor {
    const { query, key, value } = this.#weights;
    const qkv = this.#backend.linear(x, [query, key, value], { norm: this.#attentionNorm, ...this.#qkvBias });
    return this.#backend.ropeAppend(qkv, kv, layer, position, this.#heads);
  }

  /** The second half: x and its queries -> [T, hidden]. */
  finish(x: Tensor, q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges): Tensor {
    const backend = this.#backend;
    const { output, outputBias, gate, up, down } = this.#weights;
    const { activation, window } = this.#spec;
    const [queryCount = 0] = x.shape;
    const seen = window === undefined ? ranges : withinWindow(ranges, { queryCount, position, window });

    const attended = backend.attention(q, kv, layer, position, seen, this.#spec.attention);
    const middle = backend.linear(attended, [output], { ...(outputBias && { bias: [outputBias] }), residual: x });
    const gated = backend.gatedMlp(middle, gate, up, { norm: this.#mlpNorm, activation });
    return backend.linear(gated, [down], { residual: middle });
  }
}
