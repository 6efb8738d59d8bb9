/** A sum of two matrices and an activation: see add.wgsl. */
import { ACTIVATIONS, type Activation } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './add.wgsl';
import type { Matrix } from './operands.ts';

export interface AddInputs {
  readonly a: Matrix;
  /** Of a's shape, or one row. */
  readonly b: Matrix;
  readonly activation: Activation;
  readonly out: Matrix;
}

const count = ({ out }: AddInputs): number => (out.rows * out.stride) / 4;

export const add: Kernel<AddInputs> = {
  name: 'add',
  bindings: ['read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${elements}\n${activation}`,
  constants: () => ({}),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ a, b, out }) => [a.buffer, b.buffer, out.buffer],
  values: (inputs) => [
    count(inputs),
    inputs.out.stride / 4,
    inputs.b.rows === 1 ? 1 : 0,
    ACTIVATIONS[inputs.activation],
  ],
};
