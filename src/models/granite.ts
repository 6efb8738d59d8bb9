/** Granite: Llama's block with four multipliers. */
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';

export const granite: Architecture = (facts, tensors) => {
  const multiplier = (gguf: string, huggingface: string): number =>
    facts.number(both(gguf, huggingface), { least: 1e-6, most: MOST.factor, default: 1 });
  return decoderSpec(facts, tensors, {
    architecture: 'granite',
    ggufRope: 'interleaved',
    embeddingScale: () => multiplier('embedding_scale', 'embedding_multiplier'),
    residualScale: multiplier('residual_scale', 'residual_multiplier'),
    attentionScale: multiplier('attention.scale', 'attention_multiplier'),
    logitsScale: 1 / multiplier('logit_scale', 'logits_scaling'),
  });
};
