/** Mixers that carry a state from token to token in place of keys and values. Models without them do not download this file. */
import type { Backend, DeltaSpec, NormSpec, StateOperations, StateView, Tensor, Weight } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { ConvMixerSpec, DeltaMixerSpec, LayerRole, StateMixerSpec } from './layer-spec.ts';

export interface StateMixer {
  /** x [T, hidden] -> what the layer's output matrix is applied to; takes the states before the call, and gives those behind it. */
  forward(x: Tensor, states: StateView | undefined): Tensor;
}

export interface StateWeights {
  readonly need: (role: LayerRole) => Weight;
  /** Over x, before the product; undefined: none. */
  readonly norm: NormSpec | undefined;
  readonly perHead: (weight: Weight) => NormSpec;
}

export type CreateStateMixer = (backend: Backend, spec: StateMixerSpec, weights: StateWeights) => StateMixer;

/** Makes the mixers of a backend whose operations these are. */
export function stateMixers(operations: StateOperations): CreateStateMixer {
  return (backend, spec, weights) => {
    switch (spec.kind) {
      case 'conv':
        return new ConvMixer(backend, operations, spec, weights);
      case 'delta':
        return new DeltaMixer(backend, operations, spec, weights);
      default:
        return spec satisfies never;
    }
  };
}

/** Channels of the convolution in front of a delta net: of q, k and v. */
export function deltaChannels({ keyHeads, valueHeads, keyDim, valueDim }: DeltaMixerSpec): number {
  return 2 * keyHeads * keyDim + valueHeads * valueDim;
}

/** Numbers of a layer's states. */
export function stateSize(spec: StateMixerSpec): number {
  if (spec.kind === 'conv') return (spec.taps - 1) * spec.channels;
  return (spec.taps - 1) * deltaChannels(spec) + spec.valueHeads * spec.keyDim * spec.valueDim;
}

/** How many slots a layer's states take. */
export const stateSlots = ({ kind }: StateMixerSpec): number => (kind === 'delta' ? 2 : 1);

function statesOf(states: StateView | undefined): StateView {
  if (states !== undefined) return states;
  throw new InputError('argument', 'this model has layers with states: its sequences need them (LanguageModel.states)');
}

class ConvMixer implements StateMixer {
  readonly #backend: Backend;
  readonly #operations: StateOperations;
  readonly #spec: ConvMixerSpec;
  readonly #mixed: Weight;
  readonly #options: { readonly norm?: NormSpec };
  readonly #convolution: Weight;

  constructor(backend: Backend, operations: StateOperations, spec: ConvMixerSpec, { need, norm }: StateWeights) {
    this.#backend = backend;
    this.#operations = operations;
    this.#spec = spec;
    this.#mixed = need('mixed');
    this.#options = norm === undefined ? {} : { norm };
    this.#convolution = need('convolution');
  }

  forward(x: Tensor, view: StateView | undefined): Tensor {
    const { taps, slot } = this.#spec;
    const states = statesOf(view);
    const mixed = this.#backend.linear(x, [this.#mixed], this.#options);
    const [found, after] = this.#operations.shortConv(mixed, this.#convolution, taps, states.before(slot), {
      gated: true,
    });
    states.after(slot, after);
    return found;
  }
}

class DeltaMixer implements StateMixer {
  readonly #backend: Backend;
  readonly #operations: StateOperations;
  readonly #spec: DeltaMixerSpec;
  readonly #delta: DeltaSpec;
  readonly #weights: readonly Weight[];
  readonly #options: { readonly norm?: NormSpec };
  readonly #convolution: Weight;

  constructor(
    backend: Backend,
    operations: StateOperations,
    spec: DeltaMixerSpec,
    { need, norm, perHead }: StateWeights,
  ) {
    const { keyHeads, valueHeads, keyDim, valueDim, tiled } = spec;
    this.#backend = backend;
    this.#operations = operations;
    this.#spec = spec;
    this.#weights = [need('mixed'), need('deltaGate'), need('deltaBeta'), need('deltaStep')];
    this.#options = norm === undefined ? {} : { norm };
    this.#convolution = need('convolution');
    this.#delta = {
      keyHeads,
      valueHeads,
      keyDim,
      valueDim,
      tiled,
      decay: need('deltaDecay'),
      timeBias: need('deltaTimeBias'),
      norm: perHead(need('deltaNorm')),
    };
  }

  forward(x: Tensor, view: StateView | undefined): Tensor {
    const { taps, slot } = this.#spec;
    const states = statesOf(view);
    const all = this.#backend.linear(x, this.#weights, this.#options);
    const [mixed, columns] = this.#operations.shortConv(all, this.#convolution, taps, states.before(slot), {
      activation: 'silu',
    });
    states.after(slot, columns);
    const behind = deltaChannels(this.#spec);
    const [found, after] = this.#operations.deltaRule(mixed, all, behind, states.before(slot + 1), this.#delta);
    states.after(slot + 1, after);
    return found;
  }
}
