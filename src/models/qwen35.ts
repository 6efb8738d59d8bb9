/**
 * Qwen 3.5 (text): gated delta nets in three of four layers, in the fourth attention with gated and partially rotated
 * heads.
 */
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec, layerCount } from './decoder-spec.ts';
import { wrong, type Facts } from './facts.ts';
import { sectioned } from './qwen-vl.ts';
import { stateLayers } from './state-layers.ts';

/** The distance between layers with attention. */
const INTERVAL = 4;
/** Larger than any model's (backend/state-checks.ts). */
const HEAD_DIM = 256;

export const qwen35: Architecture = (facts, tensors) => {
  const attends = attentionLayers(facts);
  const upstream = facts.source === 'huggingface';
  const delta = deltaShape(facts);
  return decoderSpec(facts, tensors, {
    architecture: 'qwen35',
    names: {
      mlpNorm: ['post_attention_norm.weight', 'post_attention_layernorm.weight'],
      mixed: ['attn_qkv.weight', 'linear_attn.in_proj_qkv.weight'],
      convolution: ['ssm_conv1d.weight', 'linear_attn.conv1d.weight'],
      deltaGate: ['attn_gate.weight', 'linear_attn.in_proj_z.weight'],
      deltaBeta: ['ssm_beta.weight', 'linear_attn.in_proj_b.weight'],
      deltaStep: ['ssm_alpha.weight', 'linear_attn.in_proj_a.weight'],
      deltaDecay: ['ssm_a', 'linear_attn.A_log'],
      deltaTimeBias: ['ssm_dt.bias', 'linear_attn.dt_bias'],
      deltaNorm: ['ssm_norm.weight', 'linear_attn.norm.weight'],
    },
    stateNames: { output: ['ssm_out.weight', 'linear_attn.out_proj.weight'] },
    // Upstream multiplies by (1 + w), but for the delta nets' norm; llama.cpp's converter stores the sum.
    normOffset: upstream ? 1 : 0,
    normed: true,
    gated: true,
    bias: 'none',
    rotated: 0.25,
    rope: sectioned(facts, 'interleaved'),
    // llama.cpp's converter stores -exp(A_log), and orders value heads so that those of a key head lie keyHeads apart.
    mixer: (layer) => (attends[layer] === true ? undefined : { kind: 'delta', ...delta, tiled: !upstream }),
    states: stateLayers(upstream ? (value) => -Math.exp(value) : undefined),
  });
};

function attentionLayers(facts: Facts): readonly boolean[] {
  const layers = layerCount(facts);
  const types = facts.find(both([], 'layer_types'))?.value;
  if (Array.isArray(types)) return Array.from({ length: layers }, (_, i) => types[i] === 'full_attention');
  const interval = facts.integer(both('full_attention_interval', 'full_attention_interval'), {
    least: 1,
    most: MOST.layers,
    default: INTERVAL,
  });
  return Array.from({ length: layers }, (_, i) => (i + 1) % interval === 0);
}

function deltaShape(facts: Facts): {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly taps: number;
} {
  const count = { least: 1, most: MOST.heads };
  const size = { least: 4, most: HEAD_DIM };
  const keyHeads = facts.integer(both('ssm.group_count', 'linear_num_key_heads'), { ...count, default: 16 });
  const valueHeads = facts.integer(both('ssm.time_step_rank', 'linear_num_value_heads'), { ...count, default: 32 });
  const keyDim = facts.integer(both('ssm.state_size', 'linear_key_head_dim'), { ...size, default: 128 });
  const inner = facts.integer(both('ssm.inner_size', []), { least: 1, most: MOST.width, default: valueHeads * 128 });
  const valueDim = facts.integer(both([], 'linear_value_head_dim'), { ...size, default: inner / valueHeads });
  const taps = facts.integer(both('ssm.conv_kernel', 'linear_conv_kernel_dim'), { least: 2, most: 16, default: 4 });
  if (valueHeads % keyHeads !== 0)
    throw wrong('the number of value heads', valueHeads, `should be a multiple of that of key heads, ${keyHeads}`);
  for (const dim of [keyDim, valueDim])
    if (!(dim % 4 === 0 && dim <= HEAD_DIM))
      throw wrong('the size of a head of a delta net', dim, `should be a multiple of 4, at most ${HEAD_DIM}`);
  return { keyHeads, valueHeads, keyDim, valueDim, taps };
}
