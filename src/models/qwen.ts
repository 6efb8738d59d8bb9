/**
 * Qwen 2 and 2.5: Llama's block with biases on q, k and v. Qwen 3: with an RMS norm on each head's q and k, and a head
 * size that is independent of the width.
 */
import type { Architecture } from './architecture.ts';
import { decoderSpec } from './decoder-spec.ts';

export const qwen2: Architecture = (facts, tensors) =>
  decoderSpec(facts, tensors, { architecture: 'qwen2', bias: 'required' });

export const qwen3: Architecture = (facts, tensors) =>
  decoderSpec(facts, tensors, { architecture: 'qwen3', normed: true });
