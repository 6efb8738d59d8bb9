/**
 * Gemma 4 (text): as Gemma 3, with larger heads in layers with full attention, normalised values, a last part of layers
 * that read what earlier ones cached, and in the small models inputs of each layer's own, looked up by id.
 */
import type { AttentionMixer } from '../layers/layer-spec.ts';
import type { RopeConfig } from '../layers/rope.ts';
import type { Architecture, TensorFacts } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec, layerCount } from './decoder-spec.ts';
import { wrong, type Facts } from './facts.ts';

/** The distance between layers with full attention, for configurations without a list of types. */
const PERIOD = 6;
const HEAD = { least: 4, most: MOST.headDim } as const;

export const gemma4: Architecture = (facts, tensors) => {
  if (facts.text(both([], 'use_bidirectional_attention'), '') === 'all')
    throw wrong(
      'use_bidirectional_attention',
      'all',
      'should not be set; tokens that see later ones are not supported',
    );
  const narrow = facts.integer(both(['attention.key_length_swa', 'attention.key_length'], 'head_dim'), {
    ...HEAD,
    default: 256,
  });
  const localBase = facts.number(both('rope.freq_base_swa', 'rope_parameters.sliding_attention.rope_theta'), {
    least: 1.001,
    most: MOST.base,
    default: 10000,
  });
  const layers = layerCount(facts);
  const shared = facts.integer(both('attention.shared_kv_layers', 'num_kv_shared_layers'), {
    least: 0,
    most: layers - 1,
    default: 0,
  });
  const doubled = facts.flag(both([], 'use_double_wide_mlp'), false);
  const cap = facts.number(both('final_logit_softcapping', 'final_logit_softcapping'), {
    least: 0,
    most: MOST.width,
    default: 0,
  });
  const epsilon = facts.number(both('attention.layer_norm_rms_epsilon', 'rms_norm_eps'), {
    least: 0,
    most: 1,
    default: 1e-6,
  });
  const windows: boolean[] = [];
  return decoderSpec(facts, tensors, {
    architecture: 'gemma4',
    names: {
      mlpNorm: ['ffn_norm.weight', 'pre_feedforward_layernorm.weight'],
      inputGate: ['inp_gate.weight', 'per_layer_input_gate.weight'],
      inputProjection: ['proj.weight', 'per_layer_projection.weight'],
      inputNorm: ['post_norm.weight', 'post_per_layer_input_norm.weight'],
    },
    windowByDefault: true,
    windowed: (layer) => (layer + 1) % PERIOD !== 0,
    rope: (own, _layer, windowed): RopeConfig =>
      windowed ? { ...own, dimension: narrow, base: localBase, scaling: { kind: 'none' }, divided: false } : own,
    attention: (layer, windowed): Partial<AttentionMixer> => {
      windows[layer] = windowed;
      const first = layers - shared;
      const source = windows.slice(0, first).lastIndexOf(windowed);
      if (layer >= first && source < 0)
        throw wrong('the layers that share keys', shared, `include ${layer}, before which none of its type has keys`);
      return {
        ...(windowed ? { headDim: narrow } : fullHeads(facts, layer, narrow)),
        valueEpsilon: epsilon,
        keysAreValues: !windowed && keysAreValues(facts, tensors, layer),
        ...(layer >= first && { reads: true, cache: source }),
      };
    },
    mlpWidth: (width, layer) => (doubled && layer >= layers - shared ? 2 * width : width),
    norms: 'sandwich',
    normed: true,
    bias: 'none',
    activation: 'geluTanh',
    attentionScale: 1,
    embeddingScale: (hidden) => Math.sqrt(hidden),
    logitsCap: cap === 0 ? undefined : cap,
    inputWidth: facts.integer(both('embedding_length_per_layer_input', 'hidden_size_per_layer_input'), {
      least: 0,
      most: MOST.width,
      default: 0,
    }),
    scaled: true,
  });
};

/** GGUF files say it by leaving out the layer's values. */
function keysAreValues(facts: Facts, { has }: TensorFacts, layer: number): boolean {
  if (facts.source === 'gguf') return !has(`blk.${layer}.attn_v.weight`);
  return facts.flag(both([], 'attention_k_eq_v'), false);
}

/**
 * The heads of a layer with full attention. Configurations give them for all such layers, or by layer; the number of KV
 * heads is another one only where keys are values. `narrow`: the size of heads in the other layers.
 */
function fullHeads(
  facts: Facts,
  layer: number,
  narrow: number,
): Pick<AttentionMixer, 'headDim'> & { kvHeads?: number } {
  const own = `per_layer_config.${layer}.`;
  const headDim = facts.integer(both('attention.key_length', [`${own}head_dim`, 'global_head_dim']), {
    ...HEAD,
    default: 512,
  });
  if (narrow > headDim)
    throw wrong(
      'the size of heads in layers with a window',
      narrow,
      `should be at most that of the others, ${headDim}`,
    );
  const among = facts.flag(both([], 'attention_k_eq_v'), false) ? ['num_global_key_value_heads'] : [];
  const kvHeads = facts.integer(both([], [`${own}num_key_value_heads`, ...among]), {
    least: 1,
    most: MOST.heads,
    default: 0,
  });
  return { headDim, ...(kvHeads > 0 && { kvHeads }) };
}
