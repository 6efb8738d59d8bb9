/**
 * Large images on the device as bands of whole rows, top to bottom, so that no tensor exceeds a limit. Convolutions see
 * beyond the edges of a band by copies of the neighbours' rows; group norms take their statistics over all bands.
 */
import type { Activation, Backend, GroupNormSpec, PictureOperations, Tensor } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import type { Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Affine } from './vae-weights.ts';

/** Rows of pixels `[first, last)` as [(last - first) * width, channels]. */
export interface Band {
  readonly first: number;
  readonly last: number;
  readonly tensor: Tensor;
}

export interface Raster {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly bands: readonly Band[];
}

export interface Convolution {
  /** 3 x 3: (out, 9 in), or 1 x 1: (out, in). */
  readonly layer: Linear;
  readonly norm?: GroupNormSpec | undefined;
  /** Halves the sides: zeros at the right and below only. */
  readonly down?: boolean;
  /** Doubles the sides first. */
  readonly up?: boolean;
  /** Added to the result; freed band by band as it is used. */
  readonly residual?: Raster | undefined;
  /** Keeps x; otherwise its bands are freed as soon as they are no longer needed. */
  readonly keep?: boolean;
}

export class Rasters {
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #held: Held;
  readonly #limit: number;

  /** `limit`: most bytes of a band. */
  constructor(backend: Backend, operations: PictureOperations, held: Held, limit: number) {
    this.#backend = backend;
    this.#operations = operations;
    this.#held = held;
    this.#limit = limit;
  }

  /** values [height * width * channels] */
  upload(values: Float32Array, { height, width, channels }: Omit<Raster, 'bands'>): Raster {
    const row = width * channels;
    const bands = this.#cut(height, 4 * row).map(([first, last]): Band => {
      const tensor = this.#held.step(() =>
        this.#backend.upload(values.subarray(first * row, last * row), [(last - first) * width, channels]),
      );
      return { first, last, tensor };
    });
    return { height, width, channels, bands };
  }

  /** Returns a group norm's statistics over the whole image, owned by `Held`; the code that uses it drops `moments`. */
  norm(
    { bands }: Raster,
    { weight, bias }: Affine,
    { groups, epsilon }: { readonly groups: number; readonly epsilon: number },
    activation?: Activation,
  ): GroupNormSpec {
    const moments = this.#held.step(() =>
      this.#operations.moments(
        bands.map(({ tensor }) => tensor),
        groups,
        epsilon,
      ),
    );
    return { moments, weight, bias, ...(activation && { activation }) };
  }

  *convolve(x: Raster, { layer, norm, down, up, residual, keep }: Convolution): Steps<Raster> {
    const backend = this.#backend;
    const operations = this.#operations;
    const [channels = 0, columns = 0] = layer.weight.shape;
    const kernel = columns === x.channels ? 1 : 3;
    const stride = down ? 2 : 1;
    const scale = up ? 2 : 1;
    const before = kernel === 1 || down ? 0 : 1;
    const after = kernel === 1 ? 0 : 1;
    const height = (x.height * scale) / stride;
    const width = (x.width * scale) / stride;
    // The rows above and below a band are added to it.
    const inputRow = 4 * x.width * x.channels;
    const bytes = Math.max(4 * width * channels, (inputRow * stride) / scale);
    const bands: Band[] = [];
    for (const [first, last] of this.#cut(height, bytes, 3 * inputRow)) {
      // Rows of x after doubling that the band sees; those beyond the picture are zeros.
      const from = first * stride - before;
      const to = (last - 1) * stride - before + kernel;
      const low = Math.floor(Math.max(0, from) / scale);
      const high = Math.ceil(Math.min(x.height * scale, to) / scale);
      const above = Math.max(0, -from);
      const below = Math.max(0, to - x.height * scale);
      const tensor = this.#held.step(() => {
        const input = this.rows(x, low, high);
        const rest = residual && this.rows(residual, first, last);
        const out = operations.conv2d(input, layer.weight, {
          height: high - low,
          width: x.width,
          kernel,
          stride,
          padding: [above, after, below, before],
          bias: layer.bias,
          ...(up && { upsample: true }),
          ...(norm && { norm }),
          ...(rest && { residual: rest }),
        });
        // Of doubled rows the first or the last may be the neighbour's.
        const extra = Math.max(0, from) - low * scale;
        const count = (last - first) * width;
        return out.shape[0] === count ? out : backend.rows(out, extra * width, count);
      });
      bands.push({ first, last, tensor });
      if (!keep) this.#dropAbove(x, last === height ? Infinity : (last * stride - before) / scale);
      if (residual) this.#dropAbove(residual, last);
      yield;
    }
    return { height, width, channels, bands };
  }

  /** Rows `[from, to)`: a band itself, or a copy; for use within a scope. */
  rows({ width, bands }: Raster, from: number, to: number): Tensor {
    const parts = bands
      .filter(({ first, last }) => first < to && last > from)
      .map(({ first, last, tensor }) => {
        const low = Math.max(first, from);
        const high = Math.min(last, to);
        return low === first && high === last
          ? tensor
          : this.#backend.rows(tensor, (low - first) * width, (high - low) * width);
      });
    const [only] = parts;
    return only !== undefined && parts.length === 1 ? only : this.#backend.stack(parts);
  }

  drop({ bands }: Raster): void {
    for (const { tensor } of bands) this.#held.drop(tensor);
  }

  /** Frees the bands that end at or before `row`. */
  #dropAbove({ bands }: Raster, row: number): void {
    for (const { last, tensor } of bands) if (last <= row) this.#held.drop(tensor);
  }

  /** Divides into bands of equal numbers of rows, except the last. */
  #cut(height: number, rowBytes: number, halo = 0): readonly (readonly [first: number, last: number])[] {
    const most = Math.max(1, Math.floor((this.#limit - halo) / rowBytes));
    const rows = Math.ceil(height / Math.ceil(height / most));
    return Array.from(
      { length: Math.ceil(height / rows) },
      (_, i) => [i * rows, Math.min(height, (i + 1) * rows)] as const,
    );
  }
}
