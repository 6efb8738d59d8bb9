/**
 * One layer of a decoder, as its LayerSpec says: a mixer of tokens and an MLP, each a branch beside the residual stream. The mixer is attention, or
 * what carries a state (state-mixers.ts). Where both branches have norms before them (Llama, Qwen), a layer with attention is six operations of the
 * backend; a norm behind a branch is one more.
 */
import type { Backend, KvView, NormSpec, Ranges, RopeSpec, Tensor, Weight } from '../backend/backend.ts';
import { InputError, ModelError } from '../errors.ts';
import { Attention } from './attention.ts';
import type { LayerRole, LayerSpec } from './layer-spec.ts';
import type { CreateStateMixer, StateMixer } from './state-mixers.ts';

export type LayerWeights = { readonly [role in LayerRole]?: Weight | undefined };

/** What only some layers need. */
export interface LayerExtras {
  /** Makes the mixer of a layer with a state. */
  readonly createState?: CreateStateMixer | undefined;
  /** The factor of the layer's output; default 1. */
  readonly scale?: number | undefined;
}

/** The positions of a call's tokens, and the keys that they may see. */
export interface LayerCall {
  readonly kv: KvView;
  /** The slot of the first token; keys and values are appended from there on. */
  readonly position: number;
  /** The layers' own inputs, side by side: [T, any]. */
  readonly inputs?: Tensor | undefined;
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
  readonly #mixer: Attention | StateMixer;
  readonly #output: Branch;
  readonly #gate: Weight | undefined;
  readonly #up: Weight;
  readonly #upOptions: { readonly norm?: NormSpec; readonly bias?: readonly Weight[] };
  readonly #down: Branch;
  readonly #scale: { readonly scale?: number };
  readonly #input: { readonly gate: Weight; readonly projection: Weight; readonly norm: NormSpec } | undefined;
  readonly #outputScale: number;

  /** `rope` is the object that `spec` configures, shared by all layers with the same configuration. */
  constructor(
    backend: Backend,
    spec: LayerSpec,
    rope: RopeSpec | undefined,
    weights: LayerWeights,
    { createState, scale = 1 }: LayerExtras = {},
  ) {
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
    const before = place === 'post' ? undefined : first;
    const behind = (own: NormSpec | undefined, role: 'attentionPostNorm' | 'mlpPostNorm'): NormSpec | undefined =>
      place === 'pre' ? undefined : place === 'post' ? own : norm(need(role));

    this.spec = spec;
    this.rope = rope;
    this.#backend = backend;
    if (mixer.kind === 'attention') {
      const biases = [weights.queryBias, weights.keyBias, weights.valueBias];
      this.#mixer = new Attention(backend, mixer, rope, { need, biases, norm: before, perHead });
    } else {
      if (createState === undefined) throw new Error(`a layer of kind ${mixer.kind} needs its mixer`);
      this.#mixer = createState(backend, mixer, { need, norm: before, perHead });
    }
    this.#output = { matrix: need('output'), bias: weights.outputBias, norm: behind(first, 'attentionPostNorm') };
    this.#gate = mlp.gated ? need('gate') : undefined;
    this.#up = need('up');
    this.#upOptions = {
      ...(place !== 'post' && { norm: second }),
      ...(weights.upBias && { bias: [weights.upBias] }),
    };
    this.#down = { matrix: need('down'), bias: weights.downBias, norm: behind(second, 'mlpPostNorm') };
    this.#scale = residualScale === 1 ? {} : { scale: residualScale };
    this.#input = spec.input && {
      gate: need('inputGate'),
      projection: need('inputProjection'),
      norm: norm(need('inputNorm')),
    };
    this.#outputScale = scale;
    if (scale !== 1 && this.#input === undefined && place !== 'sandwich')
      throw new Error('the output of a layer is scaled by the norm that ends it');
  }

  /** x [T, hidden] -> [T, hidden]; appends T keys and values to the view, or the state behind them. */
  forward(x: Tensor, call: LayerCall, ranges: Ranges): Tensor {
    return this.finish(x, this.project(x, call), call, ranges);
  }

  /** The first half of `forward`: appends keys and values, and gives the queries [T, heads * the pool's headDim]; without attention it gives what the mixer does. */
  project(x: Tensor, call: LayerCall): Tensor {
    return this.#mixer instanceof Attention ? this.#mixer.project(x, call) : this.#mixer.forward(x, call.kv.state);
  }

  /** The second half: x and what `project` gave -> [T, hidden]. `ranges`: of attention. */
  finish(x: Tensor, projected: Tensor, call: LayerCall, ranges: Ranges): Tensor {
    const backend = this.#backend;
    const { activation } = this.spec.mlp;
    const mixed = this.#mixer instanceof Attention ? this.#mixer.attend(x, projected, call, ranges) : projected;
    const middle = this.#add(x, mixed, this.#output);
    const inner =
      this.#gate === undefined
        ? backend.linear(middle, [this.#up], { ...this.#upOptions, activation })
        : backend.gatedMlp(middle, this.#gate, this.#up, { ...this.#upOptions, activation });
    const { input } = this.spec;
    if (input === undefined || this.#input === undefined)
      return this.#add(middle, inner, this.#down, this.#outputScale);
    const { gate, projection, norm } = this.#input;
    const sum = this.#add(middle, inner, this.#down);
    if (call.inputs === undefined)
      throw new InputError('argument', 'a layer has an input of its own, and none is given');
    const gates = backend.linear(sum, [gate], { activation });
    const chosen = backend.gatedAdd(undefined, gates, call.inputs, input.column);
    return backend.norm(backend.linear(chosen, [projection]), norm, sum, this.#outputScale);
  }

  /** Returns the residual stream `x` plus the last product of a branch applied to `inner`. */
  #add(x: Tensor, inner: Tensor, { matrix, bias, norm }: Branch, scale = 1): Tensor {
    const backend = this.#backend;
    const options = { ...(bias && { bias: [bias] }), ...this.#scale };
    if (norm === undefined) return backend.linear(inner, [matrix], { ...options, residual: x });
    if (this.spec.norms.place === 'post')
      return backend.norm(backend.linear(inner, [matrix], { ...options, residual: x }), norm);
    return backend.norm(backend.linear(inner, [matrix], options), norm, x, scale);
  }
}
