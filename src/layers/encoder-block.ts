/** One layer of a vision transformer (Dosovitskiy et al. 2021): bidirectional attention, then an MLP, each after a LayerNorm and with a residual. */
import type { Activation, Backend, NormSpec, Tensor } from '../backend/backend.ts';
import type { FullAttention } from './full-attention.ts';
import { linear, type Linear } from './linear.ts';

export interface EncoderBlockWeights {
  readonly norm1: NormSpec;
  /** q, k and v, (width, width) each, or one of (3 width, width). */
  readonly qkv: readonly Linear[];
  readonly output: Linear; // (width, width)
  readonly norm2: NormSpec;
  readonly up: Linear; // (mlp, width)
  readonly down: Linear; // (width, mlp)
}

/** x [T, width] -> [T, width]; `attention` is of the blocks' heads, and shared by them. */
export function encoderBlock(
  backend: Backend,
  x: Tensor,
  weights: EncoderBlockWeights,
  attention: FullAttention,
  activation: Activation,
): Tensor {
  const { norm1, qkv, output, norm2, up, down } = weights;
  const attended = attention.forward(linear(backend, x, qkv, { norm: norm1 }));
  const middle = linear(backend, attended, output, { residual: x });
  return linear(backend, linear(backend, middle, up, { norm: norm2, activation }), down, { residual: middle });
}
