/**
 * Phi-3, Phi-3.5 and Phi-4-mini: Llama's block with fused matrices and partially rotated heads, with LongRoPE in models
 * with long contexts.
 */
import type { RopeConfig } from '../layers/rope.ts';
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';

export const phi3: Architecture = (facts, tensors) => {
  const tokens = { least: 1, most: MOST.context };
  const trained = facts.integer(both('context_length', 'max_position_embeddings'), tokens);
  const original = facts.integer(both('rope.scaling.original_context_length', []), { ...tokens, default: trained });
  const magnitude = facts.number(both('rope.scaling.attn_factor', []), {
    least: 1e-3,
    most: MOST.factor,
    default: 1,
  });
  // GGUF files have the factors as tensors, and do not name the kind of scaling.
  const inFile = (own: RopeConfig): RopeConfig => ({
    ...own,
    scaling: { kind: 'longrope', factors: undefined, magnitude },
  });
  return decoderSpec(facts, tensors, {
    architecture: 'phi3',
    names: { up: ['ffn_up.weight', 'mlp.gate_up_proj.weight'] },
    fused: { qkv: true, mlp: true },
    bias: 'none',
    windowByDefault: true,
    ...(facts.source === 'gguf' && { rope: inFile }),
    ropeDivisors: (tensors.window ?? trained) > original ? 'rope_factors_long.weight' : 'rope_factors_short.weight',
  });
};
