/** Ministral 3 (GGUF `mistral3`): Llama's block with YaRN, and queries that are scaled up with their position. */
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';

export const ministral3: Architecture = (facts, tensors) => {
  const beta = facts.number(both('attention.temperature_scale', 'rope_parameters.llama_4_scaling_beta'), {
    least: 0,
    most: MOST.factor,
    default: 0,
  });
  const period = facts.integer(
    both('rope.scaling.original_context_length', 'rope_parameters.original_max_position_embeddings'),
    { least: 1, most: MOST.context, default: MOST.context },
  );
  return decoderSpec(facts, tensors, {
    architecture: 'mistral3',
    ggufRope: 'interleaved',
    windowByDefault: true,
    growth: beta === 0 ? undefined : { beta, period },
  });
};
