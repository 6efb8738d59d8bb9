/**
 * A decoder as a list of layers, made from the facts of its file and the traits of its architecture, which are its
 * differences from Llama's block, the default in everything.
 */
import type { Activation, RopeSpec } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type {
  AttentionMixer,
  ConvMixerSpec,
  DeltaMixerSpec,
  LayerRole,
  LayerSpec,
  NormsSpec,
} from '../layers/layer-spec.ts';
import type { RopeConfig, RopeScaling } from '../layers/rope.ts';
import type { TensorFacts } from './architecture.ts';
import { ACTIVATIONS, both, MOST, type LanguageModelConfig } from './config.ts';
import { wrong, type Facts } from './facts.ts';
import { ropeConfig } from './rope-facts.ts';
import type { StateLayers } from './state-layers.ts';

/** A layer's tensor: its name after `blk.N.` in GGUF, and after `layers.N.` in Hugging Face files. */
export type LayerName = readonly [gguf: string, huggingface: string];
export type LayerNames = { readonly [role in LayerRole]?: LayerName };

export interface DecoderSpec {
  /** The same in a few numbers, for code that plans, measures and reports. */
  readonly config: LanguageModelConfig;
  readonly layers: readonly LayerSpec[];
  /** Names in addition to and instead of Llama's. */
  readonly names: LayerNames;
  /** Layers that the file has after those of the model. They predict further tokens, and are not read. */
  readonly spare: number;
  /** Names in layers with a state, in addition to and instead of `names`. */
  readonly stateNames: LayerNames;
  /** The name of the final norm instead of Llama's; that of Hugging Face files without the root. */
  readonly finalNorm: readonly [gguf: string, huggingface: string] | undefined;
  /** For models that have layers with a state. */
  readonly states: StateLayers | undefined;
  /** Of the final norm and of all others, like `NormsSpec.offset`. */
  readonly normOffset: number;
  /** The factor of the embeddings of ids (Gemma); rows of images are not ids. */
  readonly embeddingScale: number;
  /** The factor of the logits. */
  readonly logitsScale: number;
  /** The logits are c tanh(x / c); undefined: as they are. */
  readonly logitsCap: number | undefined;
  /** Columns of the layers' own inputs, each layer's behind those of the one before; 0: none (`LayerSpec.input`). */
  readonly inputWidth: number;
  /** The tensor of GGUF files, if present, with divisors of RoPE's frequencies, one for each pair. */
  readonly ropeDivisors: string;
}

export interface Traits {
  readonly architecture: string;
  readonly names?: LayerNames;
  readonly stateNames?: LayerNames;
  readonly finalNorm?: DecoderSpec['finalNorm'];
  /** The mixer of a layer instead of attention; undefined: attention. `states` is given with it. */
  readonly mixer?: (
    layer: number,
    hidden: number,
  ) => Omit<ConvMixerSpec, 'slot'> | Omit<DeltaMixerSpec, 'slot'> | undefined;
  readonly states?: StateLayers;
  /** See `AttentionMixer.gated`. */
  readonly gated?: boolean;
  /** The width of the MLP, if it differs from the number in the file. */
  readonly mlpWidth?: (width: number, layer: number) => number;
  /** What is different in the attention of a layer. `windowed`: whether the layer has a window. */
  readonly attention?: (layer: number, windowed: boolean) => Partial<AttentionMixer>;
  /** The width of the layers' own inputs; default 0, none. */
  readonly inputWidth?: number;
  /** See `LayerSpec.scaled`. */
  readonly scaled?: boolean;
  /** The rotated share of a head, if the file does not say it (default 1). */
  readonly rotated?: number;
  /** Pairs of RoPE in GGUF files of this architecture (default `half`); Hugging Face weights always have `half`. */
  readonly ggufRope?: RopeSpec['style'];
  /**
   * RoPE of a layer, if it differs from that of the others; undefined: none. `windowed`: whether the layer has a
   * window.
   */
  readonly rope?: (own: RopeConfig, layer: number, windowed: boolean) => RopeConfig | undefined;
  /** Whether `sliding_window` of config.json is used without `use_sliding_window`. */
  readonly windowByDefault?: boolean;
  /** Which layers have the window, if the file does not say it. */
  readonly windowed?: (layer: number) => boolean;
  readonly norms?: NormsSpec['place'];
  readonly normOffset?: number;
  readonly normed?: boolean;
  readonly bias?: AttentionMixer['bias'];
  /** Which matrices are stacked in one tensor: q, k and v; gate and up. */
  readonly fused?: { readonly qkv?: boolean; readonly mlp?: boolean };
  readonly activation?: Activation;
  /** Default: 1 / sqrt(headDim). */
  readonly attentionScale?: number | undefined;
  readonly embeddingScale?: (hidden: number) => number;
  readonly residualScale?: number;
  readonly logitsScale?: number;
  readonly logitsCap?: number | undefined;
  readonly growth?: AttentionMixer['growth'];
  /** Default: rope_freqs.weight. */
  readonly ropeDivisors?: string;
}

export function decoderSpec(facts: Facts, tensors: TensorFacts, traits: Traits): DecoderSpec {
  refuseExperts(facts);
  const hidden = facts.integer(both('embedding_length', 'hidden_size'), { least: 1, most: MOST.width });
  const layers = layerCount(facts);
  const mixers = Array.from({ length: layers }, (_, layer) => traits.mixer?.(layer, hidden));
  const window = slidingWindow(facts, traits, layers);
  const windowed = (layer: number): boolean => window?.layers[layer] === true;
  const shape = attentionShape(
    facts,
    hidden,
    mixers.map((mixer) => mixer === undefined),
  );
  const { heads } = shape;
  const attention = mixers.map((other, layer) =>
    other === undefined
      ? { ...shape, kvHeads: shape.kvHeads[layer] ?? 0, ...traits.attention?.(layer, windowed(layer)) }
      : undefined,
  );
  const { kvHeads, headDim } = poolShape(attention.filter((own) => own !== undefined));
  const mlp = facts
    .perLayer(
      both('feed_forward_length', ['intermediate_size', 'block_ff_dim']),
      { least: 1, most: MOST.width },
      layers,
    )
    .map((width, layer) => traits.mlpWidth?.(width, layer) ?? width);
  const trained = facts.integer(both('context_length', 'max_position_embeddings'), { least: 1, most: MOST.context });
  const rope = ropeConfig(facts, {
    ggufRope: traits.ggufRope ?? 'half',
    headDim,
    trained,
    window: tensors.window,
    rotated: traits.rotated,
  });
  const activation = activationOf(facts, traits);
  const epsilon = facts.number(both('attention.layer_norm_rms_epsilon', ['rms_norm_eps', 'norm_eps']), {
    least: 0,
    most: 1,
    default: facts.source === 'gguf' ? undefined : 1e-6,
  });
  // In composite models the tie of the head is stated outside the language model's own configuration.
  const composite = facts.find(both([], 'vision_config')) !== undefined;
  const { norms = 'pre', normOffset = 0, normed = false, bias = 'optional', fused = {} } = traits;
  const { embeddingScale, residualScale = 1, logitsScale = 1, logitsCap, inputWidth = 0 } = traits;
  return {
    config: {
      architecture: traits.architecture,
      source: facts.source,
      layers,
      cacheLayers: attention.filter((own) => own !== undefined && own.reads !== true).length,
      hidden,
      heads,
      kvHeads,
      headDim,
      mlp: Math.max(...mlp),
      vocabulary:
        tensors.vocabulary ?? facts.integer(both('vocab_size', 'vocab_size'), { least: 1, most: MOST.vocabulary }),
      contextWindow: extended(trained, facts.source, rope.scaling),
      epsilon,
      activation,
      rope,
      tied: facts.flag(both([], 'tie_word_embeddings'), !tensors.head) || (composite && !tensors.head),
      slidingWindow: window,
    },
    layers: mlp.map((width, layer): LayerSpec => {
      const before = mixers.slice(0, layer);
      const other = mixers[layer];
      const slots = before.reduce(
        (sum, mixer) => sum + (mixer === undefined ? 0 : (traits.states?.slots(mixer) ?? 0)),
        0,
      );
      return {
        mixer: other
          ? { ...other, slot: slots }
          : {
              kind: 'attention',
              scale: traits.attentionScale ?? 1 / Math.sqrt(headDim),
              rope: traits.rope === undefined ? rope : traits.rope(rope, layer, windowed(layer)),
              window: windowed(layer) ? window?.tokens : undefined,
              normed,
              bias,
              fused: fused.qkv ?? false,
              gated: traits.gated ?? false,
              growth: traits.growth,
              cache: attention.slice(0, layer).filter((own) => own !== undefined && own.reads !== true).length,
              ...(attention[layer] ?? { heads, kvHeads, headDim }),
            },
        norms: { kind: 'rms', epsilon, place: norms, offset: normOffset },
        mlp: { width, activation, gated: true, fused: fused.mlp ?? false, bias: false },
        residualScale,
        ...(inputWidth > 0 && { input: { width: inputWidth, column: layer * inputWidth } }),
        scaled: traits.scaled,
      };
    }),
    names: traits.names ?? {},
    spare: spareLayers(facts),
    stateNames: traits.stateNames ?? {},
    finalNorm: traits.finalNorm,
    states: traits.states,
    normOffset,
    embeddingScale: embeddingScale?.(hidden) ?? 1,
    logitsScale,
    logitsCap,
    inputWidth: inputWidth * layers,
    ropeDivisors: traits.ropeDivisors ?? 'rope_freqs.weight',
  };
}

/**
 * The layers of the model, without those at the end that predict further tokens (`nextn_predict_layers`), which are not
 * used.
 */
export function layerCount(facts: Facts): number {
  return allLayers(facts) - spareLayers(facts);
}

function allLayers(facts: Facts): number {
  return facts.integer(both('block_count', 'num_hidden_layers'), { least: 1, most: MOST.layers });
}

function spareLayers(facts: Facts): number {
  return facts.integer(both('nextn_predict_layers', []), { least: 0, most: allLayers(facts) - 1, default: 0 });
}

function refuseExperts(facts: Facts): void {
  const experts = facts.integer(both('expert_count', ['num_local_experts', 'num_experts']), {
    least: 0,
    most: MOST.width,
    default: 0,
  });
  if (experts > 0)
    throw new ModelError('architecture', `a mixture of ${experts} experts is not supported; use a dense model`, {
      experts,
    });
}

function attentionShape(
  facts: Facts,
  hidden: number,
  attends: readonly boolean[],
): { readonly heads: number; readonly kvHeads: readonly number[]; readonly headDim: number } {
  const heads = facts.integer(both('attention.head_count', 'num_attention_heads'), { least: 1, most: MOST.heads });
  if (!attends.includes(true)) throw wrong('the number of layers with attention', 0, 'should be at least 1');
  const kvHeads = facts.perLayer(
    both('attention.head_count_kv', 'num_key_value_heads'),
    { least: attends.includes(false) ? 0 : 1, most: heads, default: heads },
    attends.length,
  );
  const odd = kvHeads.find((count, layer) => attends[layer] === true && (count === 0 || heads % count !== 0));
  if (odd !== undefined) throw wrong('the number of KV heads', odd, `should divide the number of heads, ${heads}`);
  const headDim = facts.integer(both('attention.key_length', 'head_dim'), {
    least: 1,
    most: MOST.headDim,
    default: hidden / heads,
  });
  const valueDim = facts.integer(both('attention.value_length', 'v_head_dim'), {
    least: 1,
    most: MOST.headDim,
    default: headDim,
  });
  if (valueDim !== headDim) throw wrong('the length of values', valueDim, `should be that of keys, ${headDim}`);
  return { heads, kvHeads, headDim };
}

/** The pages of a pool have one shape, the largest of its layers'; a layer with fewer KV heads writes each to several. */
function poolShape(layers: readonly Pick<AttentionMixer, 'kvHeads' | 'headDim'>[]): {
  readonly kvHeads: number;
  readonly headDim: number;
} {
  const kvHeads = Math.max(...layers.map((own) => own.kvHeads));
  const odd = layers.find((own) => kvHeads % own.kvHeads !== 0);
  if (odd !== undefined)
    throw wrong('the number of KV heads', odd.kvHeads, `should divide that of other layers, ${kvHeads}`);
  return { kvHeads, headDim: Math.max(...layers.map((own) => own.headDim)) };
}

function activationOf(facts: Facts, { activation }: Traits): Activation {
  const name = facts.text(both([], ['hidden_act', 'hidden_activation']), '');
  if (name === '') return activation ?? 'silu';
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found === undefined) throw wrong('hidden_act', name, `should be one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return found;
}

/** config.json of Qwen's YaRN models gives the trained length, GGUF the extended one. */
function extended(trained: number, source: 'gguf' | 'huggingface', scaling: RopeScaling): number {
  if (source === 'gguf' || scaling.kind !== 'yarn') return trained;
  return Math.min(MOST.context, Math.max(trained, Math.floor(scaling.factor * scaling.originalContext)));
}

function slidingWindow(facts: Facts, traits: Traits, layers: number): LanguageModelConfig['slidingWindow'] {
  const { windowByDefault = false, windowed } = traits;
  const names = both('attention.sliding_window', 'sliding_window');
  if (facts.find(names) === undefined) return undefined;
  if (!facts.flag(both([], 'use_sliding_window'), facts.source === 'gguf' || windowByDefault)) return undefined;
  const tokens = facts.integer(names, { least: 0, most: MOST.context });
  if (tokens === 0) return undefined;
  const types = facts.find(both([], 'layer_types'))?.value;
  // Qwen2 and Qwen3 limit the layers from max_window_layers on; Mistral all.
  const first = windowByDefault
    ? 0
    : facts.integer(both([], 'max_window_layers'), { least: 0, most: MOST.layers, default: 0 });
  const own = windowed ?? ((layer: number): boolean => layer >= first);
  const pattern =
    facts.flags(both('attention.sliding_window_pattern', []), layers) ??
    Array.from({ length: layers }, (_, i) => (Array.isArray(types) ? types[i] === 'sliding_attention' : own(i)));
  return { tokens, layers: pattern };
}
