/** Qwen 3: Llama's block with an RMS norm on each head's q and k, and heads whose size is a fact of its own. */
import { required, type Architecture, type BlockSlots } from './architecture.ts';
import { decoderConfig, type LanguageModelConfig } from './config.ts';
import { llama } from './llama.ts';

function attention({ headDim }: LanguageModelConfig): BlockSlots {
  return {
    queryNorm: required('attn_q_norm.weight', 'self_attn.q_norm.weight', [headDim]),
    keyNorm: required('attn_k_norm.weight', 'self_attn.k_norm.weight', [headDim]),
  };
}

export const qwen3: Architecture = {
  gguf: ['qwen3'],
  huggingface: ['qwen3'],
  config: (facts, tensors) =>
    decoderConfig(facts, { architecture: 'qwen3', ggufRope: 'half', windowByDefault: false }, tensors),
  block: (config) => ({ ...llama.block(config), ...attention(config) }),
};
