/** Grouped-query attention of one layer: from the residual stream to what its output matrix is applied to. */
import type { AppendSpec, Backend, KvView, NormSpec, Ranges, RopeSpec, Tensor, Weight } from '../backend/backend.ts';
import { positionAt } from '../backend/positions.ts';
import type { LayerCall } from './decoder-block.ts';
import type { AttentionMixer, LayerRole } from './layer-spec.ts';

export interface AttentionWeights {
  readonly need: (role: LayerRole) => Weight;
  readonly biases: readonly (Weight | undefined)[];
  /** Over x, before the product; undefined: none. */
  readonly norm: NormSpec | undefined;
  /** Over each head of q and of k. */
  readonly perHead: (weight: Weight) => NormSpec;
}

export class Attention {
  readonly #backend: Backend;
  readonly #spec: AttentionMixer;
  readonly #qkv: readonly Weight[];
  readonly #gate: Weight | undefined;
  readonly #norm: { readonly norm?: NormSpec };
  readonly #bias: { readonly bias?: readonly (Weight | undefined)[] };
  readonly #heads: AppendSpec;

  constructor(
    backend: Backend,
    spec: AttentionMixer,
    rope: RopeSpec | undefined,
    { need, biases, norm, perHead }: AttentionWeights,
  ) {
    this.#backend = backend;
    this.#spec = spec;
    const { heads, headDim, kvHeads, valueEpsilon, reads = false, normed } = spec;
    const values = (): readonly Weight[] => [need('key'), need(spec.keysAreValues === true ? 'key' : 'value')];
    this.#qkv = spec.fused ? [need('qkv')] : [need('query'), ...(reads ? [] : values())];
    this.#gate = spec.gated === true ? need('queryGate') : undefined;
    this.#norm = norm === undefined ? {} : { norm };
    const own = biases.slice(0, spec.fused ? 1 : 3);
    this.#bias = own.some((bias) => bias !== undefined) ? { bias: own } : {};
    this.#heads = {
      heads,
      headDim,
      kvHeads: reads ? 0 : kvHeads,
      ...(rope && { rope }),
      ...(normed && { qNorm: perHead(need('queryNorm')) }),
      ...(normed && !reads && { kNorm: perHead(need('keyNorm')) }),
      ...(valueEpsilon !== undefined && !reads && { vEpsilon: valueEpsilon }),
    };
  }

  /** Appends the keys and values of x [T, hidden]; its queries [T, heads * the pool's headDim]. */
  project(x: Tensor, { kv, position }: LayerCall): Tensor {
    const qkv = this.#backend.linear(x, this.#qkv, { ...this.#norm, ...this.#bias });
    return this.#backend.ropeAppend(qkv, kv, this.#spec.cache, position, this.#heads);
  }

  /** What x and its queries, which `project` gave, find: [T, heads * headDim]. */
  attend(x: Tensor, q: Tensor, { kv, position }: LayerCall, ranges: Ranges): Tensor {
    const backend = this.#backend;
    const { heads, headDim, scale, cache, growth } = this.#spec;
    const grown = growth && this.#grown(q, kv, position, growth);
    const found = backend.attention(grown?.q ?? q, kv, cache, position, ranges, {
      heads,
      headDim,
      scale: scale * (grown?.factor ?? 1),
    });
    if (this.#gate === undefined) return found;
    const gate = backend.linear(x, [this.#gate], { ...this.#norm, activation: 'sigmoid' });
    return backend.gatedAdd(undefined, found, gate, 0);
  }

  /** The queries and a factor of the scale, which together are the queries as they have grown: mostly all by the same factor. */
  #grown(
    q: Tensor,
    { positions }: KvView,
    position: number,
    { beta, period }: { readonly beta: number; readonly period: number },
  ): { readonly q: Tensor; readonly factor: number } {
    const [count = 0, width = 0] = q.shape;
    const factors = Float64Array.from(
      { length: count },
      (_, t) => 1 + beta * Math.log(1 + Math.floor(positionAt(positions, position + t) / period)),
    );
    const [factor = 1] = factors;
    if (factors.every((other) => other === factor)) return { q, factor };
    const gates = Float32Array.from({ length: count * width }, (_, i) => factors[Math.floor(i / width)] ?? 1);
    return { q: this.#backend.gatedAdd(undefined, q, this.#backend.upload(gates, [count, width]), 0), factor: 1 };
  }
}
