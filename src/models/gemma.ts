/**
 * Gemma 3 (text): norms before and after each branch, q and k normalised, embeddings times sqrt(hidden), and of every
 * six layers five with a window and their own RoPE.
 */
import type { RopeConfig } from '../layers/rope.ts';
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';

/** The distance between layers with full attention. */
const PERIOD = 6;

export const gemma3: Architecture = (facts, tensors) => {
  const period = facts.integer(both([], ['sliding_window_pattern', '_sliding_window_pattern']), {
    least: 1,
    most: MOST.layers,
    default: PERIOD,
  });
  const localBase = facts.number(
    both('rope.freq_base_swa', ['rope_parameters.sliding_attention.rope_theta', 'rope_local_base_freq']),
    { least: 1.001, most: MOST.base, default: 10000 },
  );
  const scalar = facts.number(both([], 'query_pre_attn_scalar'), { least: 1, most: MOST.width, default: 0 });
  return decoderSpec(facts, tensors, {
    architecture: 'gemma3',
    names: { mlpNorm: ['ffn_norm.weight', 'pre_feedforward_layernorm.weight'] },
    windowByDefault: true,
    windowed: (layer) => (layer + 1) % period !== 0,
    rope: (own, _layer, windowed): RopeConfig =>
      windowed ? { ...own, base: localBase, scaling: { kind: 'none' }, divided: false } : own,
    norms: 'sandwich',
    // Upstream multiplies by (1 + w); llama.cpp's converter stores the sum.
    normOffset: facts.source === 'huggingface' ? 1 : 0,
    normed: true,
    bias: 'none',
    activation: 'geluTanh',
    attentionScale: scalar === 0 ? undefined : scalar ** -0.5,
    embeddingScale: (hidden) => Math.sqrt(hidden),
  });
};
