/** The operands of kernels: device buffers with the few numbers that say how to read them. */
import type { Activation } from '../lib/activation.ts';
import type { WeightFormat } from '../lib/rows.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';

/**
 * f32, row-major. Rows start every `stride` values (a multiple of 4); the values between cols and stride are undefined.
 */
export interface Matrix {
  readonly buffer: DeviceBuffer;
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
}

/** Rows of a weight that are in one buffer, packed as in lib/rows.ts. */
export interface WeightPart {
  readonly buffer: DeviceBuffer;
  readonly format: WeightFormat;
  readonly rows: number;
  /** Where the part begins: an output column of a product, or a row of a table. */
  readonly first: number;
}

export interface RmsOperand {
  /** [cols], F32 rows padded with zeros. */
  readonly weight: DeviceBuffer;
  readonly epsilon: number;
}

export interface Epilogue {
  /** [columns of out] f32. */
  readonly bias?: DeviceBuffer | undefined;
  readonly activation: Activation;
  /** Multiplies the result of the activation. */
  readonly scale: number;
  readonly residual?: Matrix | undefined;
}

/** Columns of x are read in units of 32. When the last unit is not full, its tail must not be read. */
export const ragged = (cols: number): number => (cols % 32 === 0 ? 0 : 1);
