/**
 * One layer of a decoder, as its LayerSpec says: attention and an MLP, each a branch beside the residual stream. Where both have norms before
 * them (Llama, Qwen), a layer is six operations of the backend; a norm behind a branch is one more.
 */
import type { Backend, KvView, NormSpec, Ranges, RopeSpec, Tensor, Weight } from '../backend/backend.ts';
import { positionAt } from '../backend/positions.ts';
import { ModelError } from '../errors.ts';
import type { LayerRole, LayerSpec } from './layer-spec.ts';

export type LayerWeights = { readonly [role in LayerRole]?: Weight | undefined };

/** The positions of a call's tokens, and the keys that they may see. */
export interface LayerCall {
  readonly kv: KvView;
  /** The slot of the first token; keys and values are appended from there on. */
  readonly position: number;
}

interface Branch {
  readonly matrix: Weight;
  readonly bias: Weight | undefined;
  /** Normalises the branch's output, or the sum, depending on `place`. */
  readonly norm: NormSpec | undefined;
}

export class DecoderBlock {
  readonly spec: LayerSpec;
  readonly rope: RopeSpec | undefined;
  readonly #backend: Backend;
  readonly #qkv: readonly Weight[];
  readonly #qkvOptions: { readonly norm?: NormSpec; readonly bias?: readonly (Weight | undefined)[] };
  readonly #heads: {
    readonly heads: number;
    readonly rope?: RopeSpec;
    readonly qNorm?: NormSpec;
    readonly kNorm?: NormSpec;
  };
  readonly #output: Branch;
  readonly #gate: Weight | undefined;
  readonly #up: Weight;
  readonly #upOptions: { readonly norm?: NormSpec; readonly bias?: readonly Weight[] };
  readonly #down: Branch;
  readonly #scale: { readonly scale?: number };

  /** `rope` is the object that `spec` configures, shared by all layers with the same configuration. */
  constructor(backend: Backend, spec: LayerSpec, rope: RopeSpec | undefined, weights: LayerWeights) {
    const { mixer, norms, mlp, residualScale = 1 } = spec;
    const { epsilon, kind, place } = norms;
    const need = (role: LayerRole): Weight => {
      const weight = weights[role];
      if (weight === undefined) throw new ModelError('tensor-missing', `a layer has no ${role}`, { role });
      return weight;
    };
    const norm = (weight: Weight, bias?: Weight): NormSpec => ({ kind, weight, epsilon, ...(bias && { bias }) });
    const perHead = (weight: Weight): NormSpec => ({ kind: 'rms', weight, epsilon });
    const first = norms.beforeAttention === false ? undefined : norm(need('attentionNorm'), weights.attentionNormBias);
    const second = norm(need('mlpNorm'), weights.mlpNormBias);
    const behind = (own: NormSpec | undefined, role: 'attentionPostNorm' | 'mlpPostNorm'): NormSpec | undefined =>
      place === 'pre' ? undefined : place === 'post' ? own : norm(need(role));
    const biases = [weights.queryBias, weights.keyBias, weights.valueBias].slice(0, mixer.fused ? 1 : 3);

    this.spec = spec;
    this.rope = rope;
    this.#backend = backend;
    this.#qkv = mixer.fused ? [need('qkv')] : [need('query'), need('key'), need('value')];
    this.#qkvOptions = {
      ...(place !== 'post' && first && { norm: first }),
      ...(biases.some((bias) => bias !== undefined) && { bias: biases }),
    };
    this.#heads = {
      heads: mixer.heads,
      ...(rope && { rope }),
      ...(mixer.normed && { qNorm: perHead(need('queryNorm')), kNorm: perHead(need('keyNorm')) }),
    };
    this.#output = { matrix: need('output'), bias: weights.outputBias, norm: behind(first, 'attentionPostNorm') };
    this.#gate = mlp.gated ? need('gate') : undefined;
    this.#up = need('up');
    this.#upOptions = {
      ...(place !== 'post' && { norm: second }),
      ...(weights.upBias && { bias: [weights.upBias] }),
    };
    this.#down = { matrix: need('down'), bias: weights.downBias, norm: behind(second, 'mlpPostNorm') };
    this.#scale = residualScale === 1 ? {} : { scale: residualScale };
  }

  /** x [T, hidden] -> [T, hidden]; appends T keys and values to the view. */
  forward(x: Tensor, call: LayerCall, ranges: Ranges): Tensor {
    return this.finish(x, this.project(x, call), call, ranges);
  }

  /** The first half of `forward`: appends keys and values and returns the queries [T, heads * headDim]. */
  project(x: Tensor, { kv, position }: LayerCall): Tensor {
    const qkv = this.#backend.linear(x, this.#qkv, this.#qkvOptions);
    return this.#backend.ropeAppend(qkv, kv, this.spec.mixer.cache, position, this.#heads);
  }

  /** The second half: takes x and its queries and returns [T, hidden]. */
  finish(x: Tensor, q: Tensor, call: LayerCall, ranges: Ranges): Tensor {
    const backend = this.#backend;
    const { kv, position } = call;
    const { heads, scale, cache, growth } = this.spec.mixer;
    const { activation } = this.spec.mlp;
    const grown = growth && this.#grown(q, call, growth);
    const attended = backend.attention(grown?.q ?? q, kv, cache, position, ranges, {
      heads,
      scale: scale * (grown?.factor ?? 1),
    });
    const middle = this.#add(x, attended, this.#output);
    const inner =
      this.#gate === undefined
        ? backend.linear(middle, [this.#up], { ...this.#upOptions, activation })
        : backend.gatedMlp(middle, this.#gate, this.#up, { ...this.#upOptions, activation });
    return this.#add(middle, inner, this.#down);
  }

  /**
   * Returns queries and a factor of the scale, which together are the scaled queries; usually all have the same factor.
   */
  #grown(
    q: Tensor,
    { kv: { positions }, position }: LayerCall,
    { beta, period }: { readonly beta: number; readonly period: number },
  ): { readonly q: Tensor; readonly factor: number } {
    const [count = 0, width = 0] = q.shape;
    const factors = Float64Array.from(
      { length: count },
      (_, t) => 1 + beta * Math.log(1 + Math.floor(positionAt(positions, position + t) / period)),
    );
    const [factor = 1] = factors;
    if (factors.every((other) => other === factor)) return { q, factor };
    const gates = Float32Array.from({ length: count * width }, (_, i) => (factors[Math.floor(i / width)] ?? 1) - 1);
    return { q: this.#backend.gatedAdd(q, q, this.#backend.upload(gates, [count, width]), 0), factor: 1 };
  }

  /** Returns the residual stream `x` plus the last product of a branch applied to `inner`. */
  #add(x: Tensor, inner: Tensor, { matrix, bias, norm }: Branch): Tensor {
    const backend = this.#backend;
    const options = { ...(bias && { bias: [bias] }), ...this.#scale };
    if (norm === undefined) return backend.linear(inner, [matrix], { ...options, residual: x });
    if (this.spec.norms.place === 'post')
      return backend.norm(backend.linear(inner, [matrix], { ...options, residual: x }), norm);
    return backend.norm(backend.linear(inner, [matrix], options), norm, x);
  }
}
