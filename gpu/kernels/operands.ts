/** What kernels work on: device buffers with the few numbers that say how to read them. */
import type { Activation } from '../lib/activation.ts';
import type { WeightFormat } from '../lib/rows.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';

/** f32, row-major; rows start every `stride` values (a multiple of 4), and what lies between cols and stride is undefined. */
export interface Matrix {
  readonly buffer: DeviceBuffer;
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
}

/** Rows of a weight that lie in one buffer, packed as lib/rows.ts says. */
export interface WeightPart {
  readonly buffer: DeviceBuffer;
  readonly format: WeightFormat;
  readonly rows: number;
  /** Where the part begins: an output column of a product, or a table's row. */
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
  /** Multiplies what the activation gives. */
  readonly scale: number;
  readonly residual?: Matrix | undefined;
}

/** Columns of x come in units of 32; where the last one is not full, its tail must not be read. */
export const ragged = (cols: number): number => (cols % 32 === 0 ? 0 : 1);
