/** What a decoder's file says about its shape, for the architectures that `model.ts` lists. */
import type { Activation, RopeSpec } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import { yarnMagnitude, type RopeConfig, type RopeScaling } from '../layers/rope.ts';
import { wrong, type Facts, type FactNames } from './facts.ts';

export interface LanguageModelConfig {
  readonly architecture: string;
  readonly source: 'gguf' | 'huggingface';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the gated MLP. */
  readonly mlp: number;
  readonly vocabulary: number;
  /** Most tokens of a context. */
  readonly contextWindow: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly rope: RopeConfig;
  /** The head is the embedding table. */
  readonly tied: boolean;
  /** Keys a query may see, and whether each layer is so limited. */
  readonly slidingWindow?: { readonly tokens: number; readonly layers: readonly boolean[] } | undefined;
}

/** Several times the largest open models of 2026; a file that asks for more is damaged or hostile. */
const MOST = {
  layers: 512,
  width: 1 << 18,
  heads: 1024,
  headDim: 1024,
  vocabulary: 1 << 22,
  context: 1 << 26,
  factor: 4096,
  base: 1e12,
} as const;

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_new: 'geluTanh',
};

const both = (gguf: string | readonly string[], huggingface: string | readonly string[]): FactNames => ({
  gguf,
  huggingface,
});

export interface Traits {
  readonly architecture: string;
  /** Pairs of RoPE in GGUF files of this architecture; Hugging Face weights always have `half`. */
  readonly ggufRope: RopeSpec['style'];
  /** Whether `sliding_window` of config.json is used without `use_sliding_window`. */
  readonly windowByDefault: boolean;
}

/** `vocabulary`: rows of the embedding table, where the file has one. `head`: whether it has an output matrix. */
export function decoderConfig(
  facts: Facts,
  traits: Traits,
  { vocabulary, head }: { readonly vocabulary: number | undefined; readonly head: boolean },
): LanguageModelConfig {
  const experts = facts.integer(both('expert_count', ['num_local_experts', 'num_experts']), {
    least: 0,
    most: MOST.width,
    default: 0,
  });
  if (experts > 0)
    throw new ModelError('architecture', `a mixture of ${experts} experts; take a dense model`, { experts });

  const hidden = facts.integer(both('embedding_length', 'hidden_size'), { least: 1, most: MOST.width });
  const heads = facts.integer(both('attention.head_count', 'num_attention_heads'), { least: 1, most: MOST.heads });
  const kvHeads = facts.integer(both('attention.head_count_kv', 'num_key_value_heads'), {
    least: 1,
    most: heads,
    default: heads,
  });
  if (heads % kvHeads !== 0)
    throw wrong('the number of KV heads', kvHeads, `should divide the number of heads, ${heads}`);
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

  const layers = facts.integer(both('block_count', 'num_hidden_layers'), { least: 1, most: MOST.layers });
  const act = facts.text(both([], ['hidden_act', 'hidden_activation']), 'silu');
  const activation = Object.hasOwn(ACTIVATIONS, act) ? ACTIVATIONS[act] : undefined;
  if (activation === undefined)
    throw wrong('hidden_act', act, `should be one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  const trained = facts.integer(both('context_length', 'max_position_embeddings'), { least: 1, most: MOST.context });
  const rope = ropeConfig(facts, traits, headDim, trained);

  return {
    architecture: traits.architecture,
    source: facts.source,
    layers,
    hidden,
    heads,
    kvHeads,
    headDim,
    mlp: facts.integer(both('feed_forward_length', 'intermediate_size'), { least: 1, most: MOST.width }),
    vocabulary: vocabulary ?? facts.integer(both('vocab_size', 'vocab_size'), { least: 1, most: MOST.vocabulary }),
    contextWindow: extended(trained, facts.source, rope.scaling),
    epsilon: facts.number(both('attention.layer_norm_rms_epsilon', 'rms_norm_eps'), {
      least: 0,
      most: 1,
      default: facts.source === 'gguf' ? undefined : 1e-6,
    }),
    activation,
    rope,
    tied: facts.flag(both([], 'tie_word_embeddings'), !head),
    slidingWindow: slidingWindow(facts, traits, layers),
  };
}

/** config.json of Qwen's YaRN models gives the trained length, GGUF the extended one. */
function extended(trained: number, source: 'gguf' | 'huggingface', scaling: RopeScaling): number {
  if (source === 'gguf' || scaling.kind !== 'yarn') return trained;
  return Math.min(MOST.context, Math.max(trained, Math.floor(scaling.factor * scaling.originalContext)));
}

function slidingWindow(
  facts: Facts,
  { windowByDefault }: Traits,
  layers: number,
): LanguageModelConfig['slidingWindow'] {
  const found = facts.find(both('attention.sliding_window', 'sliding_window'));
  if (found === undefined || !facts.flag(both([], 'use_sliding_window'), facts.source === 'gguf' || windowByDefault))
    return undefined;
  const tokens = facts.integer(both('attention.sliding_window', 'sliding_window'), { least: 0, most: MOST.context });
  if (tokens === 0) return undefined;
  const types = facts.find(both([], 'layer_types'))?.value;
  // Qwen2 and Qwen3 limit the layers from max_window_layers on; Mistral all.
  const first = windowByDefault
    ? 0
    : facts.integer(both([], 'max_window_layers'), { least: 0, most: MOST.layers, default: 0 });
  return {
    tokens,
    layers: Array.from({ length: layers }, (_, i) =>
      Array.isArray(types) ? types[i] === 'sliding_attention' : i >= first,
    ),
  };
}

function ropeConfig(facts: Facts, { ggufRope }: Traits, headDim: number, trained: number): RopeConfig {
  const hf = (name: string): readonly string[] => [`rope_parameters.${name}`, `rope_scaling.${name}`, name];
  const partial = facts.number(both([], hf('partial_rotary_factor')), { least: 0, most: 1, default: 1 });
  const dimension = facts.integer(both('rope.dimension_count', []), {
    least: 2,
    most: headDim,
    default: Math.floor(headDim * partial),
  });
  if (dimension % 2 !== 0) throw wrong('the number of rotated dimensions', dimension, 'should be even');
  const base = facts.number(both('rope.freq_base', hf('rope_theta')), {
    least: 1.001,
    most: MOST.base,
    default: 10000,
  });
  return { dimension, base, style: facts.source === 'gguf' ? ggufRope : 'half', scaling: ropeScaling(facts, trained) };
}

function ropeScaling(facts: Facts, trained: number): RopeScaling {
  const hf = (...names: string[]): readonly string[] =>
    names.flatMap((name) => [`rope_parameters.${name}`, `rope_scaling.${name}`]);
  // Old llama.cpp converters wrote the factor alone.
  const legacy = facts.number(both('rope.scale_linear', []), { least: 1 / MOST.factor, most: MOST.factor, default: 1 });
  const kind = facts.text(both('rope.scaling.type', hf('rope_type', 'type')), legacy === 1 ? 'none' : 'linear');
  const factor = (fallback?: number): number =>
    facts.number(both(['rope.scaling.factor', 'rope.scale_linear'], hf('factor')), {
      least: 1 / MOST.factor,
      most: MOST.factor,
      default: fallback,
    });
  const positive = (names: FactNames, fallback?: number): number =>
    facts.number(names, { least: 1e-6, most: MOST.context, default: fallback });
  switch (kind) {
    case 'none':
    case 'default':
    case 'dynamic': // NTK by length: nothing changes within the trained context, which is the window here
      return { kind: 'none' };
    case 'linear': {
      const by = factor(1);
      return by === 1 ? { kind: 'none' } : { kind: 'linear', factor: by };
    }
    case 'llama3':
      return {
        kind: 'llama3',
        factor: factor(),
        lowFrequency: positive(both([], hf('low_freq_factor')), 1),
        highFrequency: positive(both([], hf('high_freq_factor')), 4),
        originalContext: positive(
          both('rope.scaling.original_context_length', hf('original_max_position_embeddings')),
          trained,
        ),
      };
    case 'yarn': {
      const by = factor();
      const mscale = positive(both([], hf('mscale')), 1);
      const mscaleAll = facts.find(both([], hf('mscale_all_dim')));
      const all =
        mscaleAll === undefined
          ? undefined
          : facts.number(both([], hf('mscale_all_dim')), { least: 0, most: MOST.factor });
      const usual = all ? yarnMagnitude(by, mscale) / yarnMagnitude(by, all) : yarnMagnitude(by);
      return {
        kind: 'yarn',
        factor: by,
        originalContext: positive(
          both('rope.scaling.original_context_length', hf('original_max_position_embeddings')),
          trained,
        ),
        betaFast: positive(both('rope.scaling.yarn_beta_fast', hf('beta_fast')), 32),
        betaSlow: positive(both('rope.scaling.yarn_beta_slow', hf('beta_slow')), 1),
        // llama.cpp's attn_factor multiplies the usual magnitude, Hugging Face's replaces it.
        magnitude:
          facts.source === 'gguf'
            ? usual * positive(both(['rope.scaling.yarn_attn_factor', 'rope.scaling.attn_factor'], []), 1)
            : positive(both([], hf('attention_factor')), usual),
        truncate: facts.flag(both([], hf('truncate')), true),
      };
    }
    default:
      throw wrong('the RoPE scaling', kind, 'should be linear, llama3 or yarn; other kinds are not supported');
  }
}
