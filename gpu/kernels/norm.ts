/** RMS and layer norm of rows: see norm.wgsl. */
import reduce from '../lib/reduce.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './norm.wgsl';
import { checkGrid, type Matrix } from './operands.ts';

export interface NormInputs {
  readonly x: Matrix;
  readonly kind: 'rms' | 'layer';
  readonly weight: DeviceBuffer;
  readonly bias?: DeviceBuffer | undefined;
  readonly epsilon: number;
  readonly out: Matrix;
  readonly none: DeviceBuffer;
}

export const norm: Kernel<NormInputs> = {
  name: 'norm',
  bindings: ['read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'f32'],
  types: () => '',
  source: () => `${source}\n${reduce}`,
  constants: ({ kind, bias }) => ({ LAYER: kind === 'layer' ? 1 : 0, BIAS: bias === undefined ? 0 : 1 }),
  check: (inputs) => checkGrid('norm', norm.grid(inputs)),
  grid: ({ x }) => [x.rows, 1, 1],
  buffers: ({ x, weight, bias, out, none }) => [x.buffer, weight, bias ?? none, out.buffer],
  values: ({ x, epsilon }) => [x.cols, x.stride, epsilon],
};
