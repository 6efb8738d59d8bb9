/** Matrix and bias of one linear layer, and the two-layer perceptrons that projections are made of. */
import type { Backend, LinearOptions, Tensor, Weight } from '../backend/backend.ts';

export interface Linear {
  readonly weight: Weight; // (out, in)
  readonly bias: Weight; // (out)
}

/** A layer that has no bias in some models. */
export type MaybeBiased = Pick<Linear, 'weight'> & { readonly bias?: Weight | undefined };

/** x [T, in] -> [T, sum of out], the outputs of the layers side by side. */
export function linear(
  backend: Backend,
  x: Tensor,
  layers: MaybeBiased | readonly MaybeBiased[],
  options: Omit<LinearOptions, 'bias'> = {},
): Tensor {
  const list = 'weight' in layers ? [layers] : layers;
  return backend.linear(
    x,
    list.map(({ weight }) => weight),
    { ...options, bias: list.map(({ bias }) => bias) },
  );
}

/** Linear layers with SiLU between them. */
export function siluMlp(
  backend: Backend,
  x: Tensor,
  layers: readonly Linear[],
  options: Pick<LinearOptions, 'norm'> = {},
): Tensor {
  return layers.reduce(
    (hidden, layer, i) =>
      linear(backend, hidden, layer, {
        ...(i === 0 ? options : {}),
        ...(i < layers.length - 1 && { activation: 'silu' as const }),
      }),
    x,
  );
}
