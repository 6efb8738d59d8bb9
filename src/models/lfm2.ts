/**
 * LFM2: gated convolutions over three tokens in most layers, grouped-query attention with normalised q and k in the
 * others.
 */
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec, layerCount } from './decoder-spec.ts';
import { wrong, type Facts } from './facts.ts';
import { stateLayers } from './state-layers.ts';

export const lfm2: Architecture = (facts, tensors) => {
  const attends = attentionLayers(facts);
  if (facts.flag(both([], 'conv_bias'), false))
    throw wrong('conv_bias', true, 'should be false; convolutions with biases are not supported');
  const taps = facts.integer(both('shortconv.l_cache', 'conv_L_cache'), { least: 2, most: 16, default: 3 });
  return decoderSpec(facts, tensors, {
    architecture: 'lfm2',
    names: {
      output: ['attn_output.weight', 'self_attn.out_proj.weight'],
      attentionNorm: ['attn_norm.weight', 'operator_norm.weight'],
      queryNorm: ['attn_q_norm.weight', 'self_attn.q_layernorm.weight'],
      keyNorm: ['attn_k_norm.weight', 'self_attn.k_layernorm.weight'],
      mlpNorm: ['ffn_norm.weight', 'ffn_norm.weight'],
      gate: ['ffn_gate.weight', 'feed_forward.w1.weight'],
      up: ['ffn_up.weight', 'feed_forward.w3.weight'],
      down: ['ffn_down.weight', 'feed_forward.w2.weight'],
      mixed: ['shortconv.in_proj.weight', 'conv.in_proj.weight'],
      convolution: ['shortconv.conv.weight', 'conv.conv.weight'],
    },
    stateNames: { output: ['shortconv.out_proj.weight', 'conv.out_proj.weight'] },
    finalNorm: ['token_embd_norm.weight', 'embedding_norm.weight'],
    normed: true,
    bias: 'none',
    mixer: (layer, hidden) => (attends[layer] === true ? undefined : { kind: 'conv', channels: hidden, taps }),
    states: stateLayers(),
    ...(facts.source === 'huggingface' && { mlpWidth: (width) => adjusted(facts, width) }),
  });
};

/** Which layers have attention: in GGUF files those with KV heads. */
function attentionLayers(facts: Facts): readonly boolean[] {
  const layers = layerCount(facts);
  if (facts.source === 'gguf')
    return facts
      .perLayer(both('attention.head_count_kv', []), { least: 0, most: MOST.heads }, layers)
      .map((count) => count > 0);
  const types = facts.find(both([], 'layer_types'))?.value;
  if (Array.isArray(types)) return Array.from({ length: layers }, (_, i) => types[i] === 'full_attention');
  const indices = both([], 'full_attn_idxs');
  if (facts.find(indices) === undefined) return Array.from({ length: layers }, () => true);
  const list = facts.numbers(indices, { least: 0, most: layers - 1 }, { least: 0, most: layers });
  return Array.from({ length: layers }, (_, i) => list.includes(i));
}

/**
 * Configurations give the width of an MLP without a gate; one with a gate and the same number of weights has two thirds
 * of it, rounded up.
 */
function adjusted(facts: Facts, width: number): number {
  if (!facts.flag(both([], 'block_auto_adjust_ff_dim'), true)) return width;
  const narrower = Math.trunc((2 * width) / 3);
  const factor = facts.number(both([], 'block_ffn_dim_multiplier'), { least: 1e-3, most: MOST.factor, default: 1 });
  const multiple = facts.integer(both([], 'block_multiple_of'), { least: 1, most: MOST.width, default: 256 });
  return multiple * Math.ceil(Math.trunc(factor * narrower) / multiple);
}
