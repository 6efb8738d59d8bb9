/** One layer of a vision transformer (Dosovitskiy et al. 2021): bidirectional attention, then an MLP, each after a norm and with a residual. */
import type { Activation, Backend, NormSpec, Tensor } from '../backend/backend.ts';
import type { AttentionPlace, FullAttention } from './full-attention.ts';
import { linear, type MaybeBiased } from './linear.ts';

export interface EncoderBlockWeights {
  readonly norm1: NormSpec;
  /** q, k and v, (width, width) each, or one of (3 width, width). */
  readonly qkv: readonly MaybeBiased[];
  readonly output: MaybeBiased; // (width, width)
  readonly norm2: NormSpec;
  /** Gated MLPs: act(gate x) * up x. */
  readonly gate?: MaybeBiased | undefined; // (mlp, width)
  readonly up: MaybeBiased; // (mlp, width)
  readonly down: MaybeBiased; // (width, mlp)
  /** Multiply what attention and MLP add to each channel (layer scale, Touvron et al. 2021); [width] each. */
  readonly scales?: readonly [attention: Float32Array, mlp: Float32Array] | undefined;
}

/** `quickGelu` is x sigmoid(1.702 x) = silu(1.702 x) / 1.702; the weights before it are stored times 1.702 (`QUICK`). */
export type EncoderActivation = Activation | 'quickGelu';
export const QUICK = 1.702;

/** x [T, width] -> [T, width]; `attention` is of the blocks' heads, and shared by them. */
export function encoderBlock(
  backend: Backend,
  x: Tensor,
  weights: EncoderBlockWeights,
  attention: FullAttention,
  activation: EncoderActivation,
  place?: AttentionPlace,
): Tensor {
  const { norm1, qkv, output, norm2, gate, up, down, scales } = weights;
  const attended = attention.forward(linear(backend, x, qkv, { norm: norm1 }), place);
  const middle = added(backend, x, attended, output, scales?.[0]);
  const inner =
    gate === undefined
      ? linear(backend, middle, up, { norm: norm2, ...activated(activation) })
      : gated(backend, linear(backend, middle, gate, { norm: norm2, ...activated(activation) }), middle, up, norm2);
  return added(backend, middle, inner, down, scales?.[1]);
}

function activated(activation: EncoderActivation): { readonly activation: Activation; readonly scale?: number } {
  return activation === 'quickGelu' ? { activation: 'silu', scale: 1 / QUICK } : { activation };
}

function gated(backend: Backend, a: Tensor, x: Tensor, up: MaybeBiased, norm: NormSpec): Tensor {
  return backend.gatedAdd(undefined, a, linear(backend, x, up, { norm }), 0);
}

function added(
  backend: Backend,
  x: Tensor,
  inner: Tensor,
  layer: MaybeBiased,
  scale: Float32Array | undefined,
): Tensor {
  if (scale === undefined) return linear(backend, inner, layer, { residual: x });
  const [count = 0] = x.shape;
  const row = backend.upload(scale, [1, scale.length]);
  return backend.gatedAdd(x, linear(backend, inner, layer), backend.take(row, new Int32Array(count)), 0);
}
