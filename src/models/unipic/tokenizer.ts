/** Image tokenizers, which convert between pictures and image tokens: the interface of both kinds. N = grid x grid tokens of C values. */
import type { Backend, Tensor, Weight } from '../../backend/backend.ts';
import { DeviceError } from '../../errors.ts';
import type { Held } from '../../layers/held.ts';
import type { Steps } from '../../layers/steps.ts';

export interface PictureEncoder {
  /** pixels [size * size * 3] in -1..1 -> tokens [N, C], owned by `held`. */
  encode(pixels: Float32Array, size: number, held: Held): Steps<Tensor>;
}

export interface PictureDecoder {
  /** tokens [N * C] -> the picture in parts, owned by `held`; their values one after the other are what `arrange` takes. */
  decode(tokens: Float32Array, size: number, held: Held): Steps<readonly Tensor[]>;
  /** Values of all parts -> pixels [size * size * 3], about -1..1. */
  arrange(values: Float32Array, size: number): Float32Array;
}

/** Statistics of the latents, by channel. */
export interface Latents {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** tokens [N * C] -> latents. */
export function toLatents(tokens: Float32Array, { mean, std }: Latents): Float32Array {
  const channels = mean.length;
  return tokens.map((value, i) => value * (std[i % channels] ?? 1) + (mean[i % channels] ?? 0));
}

/** A linear layer that is not in the file: the first C of `columns` values, less the mean, over the deviation. Its owner frees both weights. */
export interface Standardise {
  readonly weight: Weight; // (C, columns)
  readonly bias: Weight; // (C)
}

export async function standardise(backend: Backend, { mean, std }: Latents, columns: number): Promise<Standardise> {
  const channels = mean.length;
  const matrix = new Float32Array(channels * columns);
  std.forEach((deviation, channel) => {
    matrix[channel * columns + channel] = 1 / deviation;
  });
  const put = async (name: string, shape: readonly number[], values: Float32Array): Promise<Weight> => {
    const writer = backend.weight({ name, shape, format: 'F32' });
    await writer.write(new Uint8Array(values.buffer));
    return writer.finish();
  };
  const weight = await put('standardise.weight', [channels, columns], matrix);
  try {
    return {
      weight,
      bias: await put(
        'standardise.bias',
        [channels],
        Float32Array.from(mean, (value, i) => -value / (std[i] ?? 1)),
      ),
    };
  } catch (error) {
    // A lost device has freed it already.
    if (!(error instanceof DeviceError && error.code === 'lost')) weight.free();
    throw error;
  }
}
