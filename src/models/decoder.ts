/** A decoder on a backend: embedding, layers, final norm and head. */
import type { AttentionSpec, Backend, NormSpec, Ranges, RopeSpec, Tensor } from '../backend/backend.ts';
import type { Plan } from '../kv/plan.ts';
import { InputError } from '../errors.ts';
import { withinWindow } from '../kv/ranges.ts';
import type { SequenceState } from '../kv/state.ts';
import { DecoderBlock, type LayerCall } from '../layers/decoder-block.ts';
import { Held } from '../layers/held.ts';
import type { LayerSpec } from '../layers/layer-spec.ts';
import type { CreateStateMixer } from '../layers/state-mixers.ts';
import { NO_ROTATION, ropeSpec, type RopeConfig } from '../layers/rope.ts';
import type { LanguageModelConfig } from './config.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import type { DecoderWeights, InputWeights } from './decoder-weights.ts';

/** The positions of T tokens, and what is added to their hidden states. */
export interface ForwardCall extends LayerCall {
  /** Opens ranges for images whose tokens attend to each other in both directions; asked before a layer's window cuts them. */
  readonly open?: ((ranges: Ranges) => Ranges) | undefined;
  /** By layer: rows [T, hidden] that are added to the layer's output (deepstack features of images), or undefined. */
  readonly perLayer?: readonly (Tensor | undefined)[] | undefined;
  /** Where the ids of the tokens begin in their ring, for models whose layers have inputs of their own, looked up by id. */
  readonly ids?: { readonly ring: Tensor; readonly start: number } | undefined;
}

/** What is read and changed between the layers. */
export interface LayerSteps {
  /** Makes the input of a layer, other than the first, from the output of the layer before. */
  readonly between?: ((hidden: Tensor, layer: number) => Tensor) | undefined;
  /** The number of layers that are run. Default: all. */
  readonly depth?: number | undefined;
}

/** Runs T tokens through a decoder. Tensors follow the backend's scopes; the KV view belongs to the caller. */
export interface LanguageModel {
  readonly config: LanguageModelConfig;
  readonly layers: readonly LayerSpec[];
  readonly backend: Backend;
  /** The norm with which `logits` begins, for code that needs the states after it instead of the logits. */
  readonly finalNorm: NormSpec;
  /** The specs of all layers, for code that plans attention. */
  readonly attention: AttentionSpec;
  /** The RoPE of a layer of the KV pool. Layers with the same RoPE share the object. */
  readonly rope: (layer: number) => RopeSpec;
  /**
   * The number of layers that later tokens depend on. The others only read what these have cached: a call whose result
   * is not used can end before them.
   */
  readonly ownLayers: number;
  /** Bytes of the states of one sequence at one position; 0 for a model without states. */
  readonly stateBytes: number;
  /** The states of a new sequence; undefined for a model without states. */
  states(): SequenceState | undefined;
  /** Ids `[start, start + count)` of the ring -> [count, hidden]. */
  embed(ring: Tensor, start: number, count: number): Tensor;
  /** [T, hidden] -> [T, hidden], before the final norm; appends to the view's pages. */
  forward(x: Tensor, call: ForwardCall & LayerSteps & { readonly ranges: Ranges }): Tensor;
  /**
   * The same, with ranges that the plan gives layer by layer. Others may compute while the plan is awaited: no scope
   * may be open, x and the rows of `perLayer` must be kept outside of scopes, and the caller frees the result. After an
   * error only the written pages remain.
   */
  forwardPlanned(x: Tensor, call: ForwardCall & Pick<LayerSteps, 'depth'> & { readonly plan: Plan }): Promise<Tensor>;
  /** Final norm and head: [T, hidden] -> [T, vocabulary]. */
  logits(hidden: Tensor): Tensor;
  /** The number of rows of a re-ranker's classifier: 2, for yes and no; 1, for their difference; 0 for other models. */
  readonly classes: number;
  /** Final norm and classifier: [T, hidden] -> [T, classes]. */
  classify(hidden: Tensor): Tensor;
  /** Frees the weights. */
  free(): void;
}

export class Decoder implements LanguageModel {
  readonly config: LanguageModelConfig;
  readonly layers: readonly LayerSpec[];
  readonly backend: Backend;
  readonly finalNorm: NormSpec; // (hidden)
  readonly attention: AttentionSpec;
  readonly rope = (layer: number): RopeSpec => this.#ropes[layer] ?? NO_ROTATION;
  readonly stateBytes: number;
  readonly ownLayers: number;
  readonly #spec: DecoderSpec;
  readonly #weights: DecoderWeights;
  readonly #blocks: readonly DecoderBlock[];
  /** By layer of the KV pool. */
  readonly #ropes: (RopeSpec | undefined)[] = [];

  /** `createState`: of `DecoderSpec.states`, for this backend. */
  constructor(backend: Backend, spec: DecoderSpec, weights: DecoderWeights, createState?: CreateStateMixer) {
    const { config, layers } = spec;
    const ropes = new Map<string, RopeSpec>();
    const ropeOf = (rope: RopeConfig | undefined): RopeSpec | undefined => {
      if (rope === undefined) return undefined;
      const key = JSON.stringify(rope);
      const made = ropes.get(key) ?? ropeSpec(rope, rope.divided === false ? undefined : weights.ropeDivisors);
      ropes.set(key, made);
      return made;
    };
    this.backend = backend;
    this.config = config;
    this.layers = layers;
    const attending = layers.map(({ mixer }) => mixer).find((mixer) => mixer.kind === 'attention');
    this.attention = { heads: config.heads, scale: attending?.scale ?? 1 };
    this.ownLayers = layers.findLastIndex(({ mixer }) => mixer.kind !== 'attention' || mixer.reads !== true) + 1;
    this.stateBytes = spec.states?.bytes(layers) ?? 0;
    this.#spec = spec;
    this.#weights = weights;
    this.#blocks = layers.map((layer, i) => {
      const { mixer } = layer;
      const rope = mixer.kind === 'attention' ? ropeOf(mixer.rope) : undefined;
      if (mixer.kind === 'attention') this.#ropes[mixer.cache] = rope;
      const scale = weights.outputScales[i];
      return new DecoderBlock(backend, layer, rope, weights.layers[i] ?? {}, { createState, scale });
    });
    this.finalNorm = { kind: 'rms', weight: weights.norm, epsilon: config.epsilon };
  }

  states(): SequenceState | undefined {
    return this.#spec.states?.sequence(this.backend, this.layers);
  }

  embed(ring: Tensor, start: number, count: number): Tensor {
    return this.backend.embed(this.#weights.embedding, ring, start, count, this.#spec.embeddingScale);
  }

  forward(x: Tensor, call: ForwardCall & LayerSteps & { readonly ranges: Ranges }): Tensor {
    const { backend } = this;
    const { between, depth = this.#blocks.length } = call;
    const within = windows(x, call);
    const inputs = this.#weights.inputs && this.#lookUp(this.#weights.inputs, x, call);
    const own: LayerCall = { ...call, inputs };
    const out = this.#blocks.slice(0, depth).reduce((hidden, block, layer) => {
      // The intermediates of a layer are freed after it. If they were kept until the last layer, those of a prefill
      // chunk would be as large as a third of the weights with 24 layers.
      const next = backend.scope(() => {
        const input = layer > 0 && between !== undefined ? between(hidden, layer) : hidden;
        return this.#added(block.forward(input, own, within(call.ranges, block.spec)), call, layer);
      });
      if (hidden !== x) backend.free(hidden);
      return next;
    }, x);
    if (inputs !== undefined) backend.free(inputs);
    return out;
  }

  async forwardPlanned(
    x: Tensor,
    call: ForwardCall & Pick<LayerSteps, 'depth'> & { readonly plan: Plan },
  ): Promise<Tensor> {
    const hidden = await this.#pass(x, call);
    if (call.plan.holds === undefined || (await call.plan.holds())) return hidden;
    this.backend.free(hidden);
    return this.#pass(x, call);
  }

  async #pass(x: Tensor, call: ForwardCall & Pick<LayerSteps, 'depth'> & { readonly plan: Plan }): Promise<Tensor> {
    const held = new Held(this.backend);
    const within = windows(x, call);
    /** What the plan said of each layer of the KV pool, for the layers that read it, too. */
    const answers: Ranges[] = [];
    try {
      const { inputs } = this.#weights;
      const own: LayerCall = { ...call, inputs: inputs && held.step(() => this.#lookUp(inputs, x, call)) };
      let hidden = x;
      for (const [layer, block] of this.#blocks.slice(0, call.depth).entries()) {
        const before = hidden;
        const q = held.step(() => block.project(before, own));
        const { mixer } = block.spec;
        const asked = mixer.kind === 'attention' ? (answers[mixer.cache] ?? call.plan.ranges(mixer.cache, q)) : NO_KEYS;
        const chosen = asked instanceof Promise ? await asked : asked;
        if (mixer.kind === 'attention') answers[mixer.cache] = chosen;
        const ranges = within(chosen, block.spec);
        hidden = held.step(() => this.#added(block.finish(before, q, own, ranges), call, layer));
        held.drop(q);
        held.drop(before);
      }
      return held.release(hidden);
    } finally {
      held.free();
    }
  }

  get classes(): number {
    return this.#weights.classes?.shape[0] ?? 0;
  }

  classify(hidden: Tensor): Tensor {
    const { classes, head } = this.#weights;
    return this.backend.linear(hidden, [classes ?? head], { norm: this.finalNorm });
  }

  logits(hidden: Tensor): Tensor {
    const { logitsScale, logitsCap } = this.#spec;
    return this.backend.linear(hidden, [this.#weights.head], {
      norm: this.finalNorm,
      ...(logitsScale !== 1 && { scale: logitsScale }),
      ...(logitsCap !== undefined && { activation: 'tanh', scale: logitsCap }),
    });
  }

  free(): void {
    const { embedding, layers, norm, head, classes, inputs } = this.#weights;
    const all = [embedding, norm, head, classes, ...layers.flatMap((layer) => Object.values(layer))];
    if (inputs !== undefined) all.push(inputs.table, inputs.projection, inputs.norm);
    for (const weight of new Set(all)) weight?.free();
  }

  /** The layers' own inputs for the embeddings x of the call's ids: [T, columns]. */
  #lookUp({ table, projection, norm }: InputWeights, x: Tensor, { ids }: ForwardCall): Tensor {
    if (ids === undefined)
      throw new InputError('argument', 'this model looks up inputs of its layers by id: give the ids');
    const { backend } = this;
    const { config, inputWidth } = this.#spec;
    const [count = 0] = x.shape;
    return backend.scope(() =>
      backend.norm(
        backend.linear(x, [projection], { scale: config.hidden ** -0.5 }),
        { kind: 'rms', weight: norm, epsilon: config.epsilon },
        backend.embed(table, ids.ring, ids.start, count, Math.sqrt(inputWidth / config.layers / 2)),
      ),
    );
  }

  #added(hidden: Tensor, { perLayer }: ForwardCall, layer: number): Tensor {
    const rows = perLayer?.[layer];
    return rows === undefined ? hidden : this.backend.add(hidden, rows);
  }
}

/** The ranges of a layer without attention. */
const NO_KEYS: Ranges = {
  queryBlock: 1,
  shared: true,
  causal: true,
  offsets: new Uint32Array(1),
  runs: new Uint32Array(0),
};

/**
 * Opens ranges for images that are visible in both directions, and restricts them to a layer's window. The layers of a
 * call usually share both, and then the result.
 */
function windows(x: Tensor, { position, open }: ForwardCall): (ranges: Ranges, layer: LayerSpec) => Ranges {
  const [queryCount = 0] = x.shape;
  let last: { readonly ranges: Ranges; readonly window: number; readonly cut: Ranges } | undefined;
  return (given, { mixer }) => {
    const window = mixer.kind === 'attention' ? mixer.window : undefined;
    const ranges = open?.(given) ?? given;
    if (window === undefined) return ranges;
    if (last?.ranges !== ranges || last.window !== window)
      last = { ranges, window, cut: withinWindow(ranges, { queryCount, position, window }) };
    return last.cut;
  };
}
