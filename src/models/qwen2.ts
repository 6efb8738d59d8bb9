/** Qwen 2 and 2.5: Llama's block with biases on q, k and v. */
import { required, type Architecture, type BlockSlots } from './architecture.ts';
import { decoderConfig, type LanguageModelConfig } from './config.ts';
import { llama } from './llama.ts';

function attention({ heads, kvHeads, headDim }: LanguageModelConfig): BlockSlots {
  return {
    queryBias: required('attn_q.bias', 'self_attn.q_proj.bias', [heads * headDim]),
    keyBias: required('attn_k.bias', 'self_attn.k_proj.bias', [kvHeads * headDim]),
    valueBias: required('attn_v.bias', 'self_attn.v_proj.bias', [kvHeads * headDim]),
  };
}

export const qwen2: Architecture = {
  gguf: ['qwen2'],
  huggingface: ['qwen2'],
  config: (facts, tensors) =>
    decoderConfig(facts, { architecture: 'qwen2', ggufRope: 'half', windowByDefault: false }, tensors),
  block: (config) => ({ ...llama.block(config), ...attention(config) }),
};
