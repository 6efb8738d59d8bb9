/** RMS and layer norm of rows, with or without a modulation by row: see norm.wgsl. */
import { reduceSource } from '../lib/joined.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './norm.wgsl';
import type { Matrix } from './operands.ts';

export interface NormInputs {
  readonly x: Matrix;
  readonly kind: 'rms' | 'layer';
  readonly weight?: DeviceBuffer | undefined;
  readonly bias?: DeviceBuffer | undefined;
  /** Scale and shift for each row: their first columns in a matrix with as many rows. */
  readonly modulation?: { readonly matrix: Matrix; readonly shift: number; readonly scale: number };
  /** Added to the result. Not together with a modulation, whose binding it uses. */
  readonly residual?: Matrix | undefined;
  readonly epsilon: number;
  /** Multiplies the result; default 1. */
  readonly factor?: number;
  /** Columns that are normalised together; default: all. */
  readonly part?: number;
  readonly out: Matrix;
  readonly none: DeviceBuffer;
}

export const norm: Kernel<NormInputs> = {
  name: 'norm',
  family: 'reduction',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'f32', 'u32', 'u32', 'u32', 'f32'],
  types: () => '',
  source: (_, form) => `${source}\n${reduceSource(form)}`,
  constants: ({ kind, weight, bias, modulation, residual }) => ({
    LAYER: kind === 'layer' ? 1 : 0,
    WEIGHT: weight === undefined ? 0 : 1,
    BIAS: bias === undefined ? 0 : 1,
    MODULATED: modulation === undefined ? 0 : 1,
    RESIDUAL: residual === undefined ? 0 : 1,
  }),
  grid: ({ x, part = x.cols }) => [x.rows, x.cols / part, 1],
  buffers: ({ x, weight, bias, modulation, residual, out, none }) => [
    x.buffer,
    weight ?? none,
    bias ?? none,
    (modulation?.matrix ?? residual)?.buffer ?? none,
    out.buffer,
  ],
  values: ({ x, epsilon, modulation, residual, factor = 1, part = x.cols }) => [
    part,
    x.stride,
    epsilon,
    (modulation?.matrix ?? residual)?.stride ?? 0,
    modulation?.shift ?? 0,
    modulation?.scale ?? 0,
    factor,
  ],
};
