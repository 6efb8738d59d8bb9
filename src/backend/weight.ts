/**
 * Contract 2, Weight: GGUF's block formats are the vocabulary for every weight, whatever file it came from.
 * A format is `block` consecutive values of one row stored in `bytes` bytes (ggml's layouts, little-endian).
 */

export const WEIGHT_FORMATS = {
  F32: { ggml: 0, block: 1, bytes: 4 },
  F16: { ggml: 1, block: 1, bytes: 2 },
  Q4_0: { ggml: 2, block: 32, bytes: 18 },
  Q4_1: { ggml: 3, block: 32, bytes: 20 },
  Q5_0: { ggml: 6, block: 32, bytes: 22 },
  Q5_1: { ggml: 7, block: 32, bytes: 24 },
  Q8_0: { ggml: 8, block: 32, bytes: 34 },
  Q2_K: { ggml: 10, block: 256, bytes: 84 },
  Q3_K: { ggml: 11, block: 256, bytes: 110 },
  Q4_K: { ggml: 12, block: 256, bytes: 144 },
  Q5_K: { ggml: 13, block: 256, bytes: 176 },
  Q6_K: { ggml: 14, block: 256, bytes: 210 },
  BF16: { ggml: 30, block: 1, bytes: 2 },
} as const satisfies Record<string, { ggml: number; block: number; bytes: number }>;

export type WeightFormat = keyof typeof WEIGHT_FORMATS;

/** A matrix `[rows, cols]` (row-major, `cols` is the reduced axis) or a vector `[cols]`, in one format. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  /**
   * Set for a table of which only `Backend.embed` reads single rows. It may be larger than everything else, and a device
   * may leave it outside of its memory.
   */
  readonly rowsOnly?: boolean;
}

/** Bytes of one row of `cols` values; `cols` must be a multiple of the format's block. */
export function rowBytes(format: WeightFormat, cols: number): number {
  const { block, bytes } = WEIGHT_FORMATS[format];
  return (cols / block) * bytes;
}

/** Bytes of a whole weight as its file stores it. */
export function weightBytes(spec: WeightSpec): number {
  const cols = spec.shape[spec.shape.length - 1] ?? 0;
  let rows = 1;
  for (const n of spec.shape.slice(0, -1)) rows *= n;
  return rows * rowBytes(spec.format, cols);
}
