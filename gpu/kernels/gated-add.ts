/** Adds a matrix to a residual, gated by columns of another matrix: see gated-add.wgsl. */
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './gated-add.wgsl';
import type { Matrix } from './operands.ts';

export interface GatedAddInputs {
  readonly x: Matrix;
  readonly y: Matrix;
  readonly modulation: Matrix;
  /** The first column of the gate. */
  readonly column: number;
  readonly out: Matrix;
}

const count = ({ out }: GatedAddInputs): number => (out.rows * out.stride) / 4;

export const gatedAdd: Kernel<GatedAddInputs> = {
  name: 'gated-add',
  bindings: ['read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${elements}`,
  constants: () => ({}),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ x, y, modulation, out }) => [x.buffer, y.buffer, modulation.buffer, out.buffer],
  values: (inputs) => [count(inputs), inputs.out.stride / 4, inputs.modulation.stride, inputs.column],
};
