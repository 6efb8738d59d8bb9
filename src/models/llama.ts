/** Llama 2 and 3, SmolLM2, TinyLlama, and Mistral's shape (Hugging Face `llama` and `mistral`; GGUF `llama`). */
import { optional, required, type Architecture, type BlockSlots } from './architecture.ts';
import { decoderConfig, type LanguageModelConfig } from './config.ts';

/** Grouped-query attention; biases only in some fine-tunes. */
function attention({ hidden, heads, kvHeads, headDim }: LanguageModelConfig): BlockSlots {
  return {
    attentionNorm: required('attn_norm.weight', 'input_layernorm.weight', [hidden]),
    query: required('attn_q.weight', 'self_attn.q_proj.weight', [heads * headDim, hidden]),
    key: required('attn_k.weight', 'self_attn.k_proj.weight', [kvHeads * headDim, hidden]),
    value: required('attn_v.weight', 'self_attn.v_proj.weight', [kvHeads * headDim, hidden]),
    queryBias: optional('attn_q.bias', 'self_attn.q_proj.bias', [heads * headDim]),
    keyBias: optional('attn_k.bias', 'self_attn.k_proj.bias', [kvHeads * headDim]),
    valueBias: optional('attn_v.bias', 'self_attn.v_proj.bias', [kvHeads * headDim]),
    output: required('attn_output.weight', 'self_attn.o_proj.weight', [hidden, heads * headDim]),
    outputBias: optional('attn_output.bias', 'self_attn.o_proj.bias', [hidden]),
  };
}

/** act(gate x) * (up x), then down. */
function gatedMlp({ hidden, mlp }: LanguageModelConfig): BlockSlots {
  return {
    mlpNorm: required('ffn_norm.weight', 'post_attention_layernorm.weight', [hidden]),
    gate: required('ffn_gate.weight', 'mlp.gate_proj.weight', [mlp, hidden]),
    up: required('ffn_up.weight', 'mlp.up_proj.weight', [mlp, hidden]),
    down: required('ffn_down.weight', 'mlp.down_proj.weight', [hidden, mlp]),
  };
}

export const llama: Architecture = {
  gguf: ['llama'],
  huggingface: ['llama', 'mistral'],
  // GGUF's converter permutes the rows of q and k, so that a pair of RoPE lies side by side.
  config: (facts, tensors, name) =>
    decoderConfig(
      facts,
      { architecture: 'llama', ggufRope: 'interleaved', windowByDefault: name === 'mistral' },
      tensors,
    ),
  block: (config) => ({ ...attention(config), ...gatedMlp(config) }),
};
