/** Llama 2 and 3, SmolLM2, TinyLlama, and Mistral's shape (Hugging Face `llama` and `mistral`; GGUF `llama`). */
import type { Architecture } from './architecture.ts';
import { decoderSpec } from './decoder-spec.ts';

export const llama: Architecture = (facts, tensors, name) =>
  decoderSpec(facts, tensors, {
    architecture: 'llama',
    // GGUF's converter permutes the rows of q and k, so that the two values of a RoPE pair are adjacent.
    ggufRope: 'interleaved',
    windowByDefault: name === 'mistral',
  });
