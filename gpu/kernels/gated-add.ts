/** Adds a matrix to a residual, gated by columns of another matrix: see gated-add.wgsl. */
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './gated-add.wgsl';
import type { Matrix } from './operands.ts';

export interface GatedAddInputs {
  /** Default: zeros. */
  readonly x?: Matrix | undefined;
  readonly y: Matrix;
  readonly modulation: Matrix;
  /** The first column of the gate. */
  readonly column: number;
  readonly out: Matrix;
  readonly none: DeviceBuffer;
}

const count = ({ out }: GatedAddInputs): number => (out.rows * out.stride) / 4;

export const gatedAdd: Kernel<GatedAddInputs> = {
  name: 'gated-add',
  bindings: ['read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${elements}`,
  constants: ({ x }) => ({ ADDED: x === undefined ? 0 : 1 }),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ x, y, modulation, out, none }) => [x?.buffer ?? none, y.buffer, modulation.buffer, out.buffer],
  values: (inputs) => [count(inputs), inputs.out.stride / 4, inputs.modulation.stride, inputs.column],
};
