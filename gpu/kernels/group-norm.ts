/** Group norm with statistics that `moments` computed before: see group-norm.wgsl. */
import { ACTIVATIONS, type Activation } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './group-norm.wgsl';
import type { Matrix } from './operands.ts';

export interface GroupNormInputs {
  readonly x: Matrix;
  /** [groups, 2]; groups divides x's columns. */
  readonly moments: Matrix;
  /** Both [cols], F32. */
  readonly weight: DeviceBuffer;
  readonly bias: DeviceBuffer;
  readonly activation: Activation;
  readonly out: Matrix;
}

const count = ({ out }: GroupNormInputs): number => (out.rows * out.stride) / 4;

export const groupNorm: Kernel<GroupNormInputs> = {
  name: 'group-norm',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${elements}\n${activation}`,
  constants: () => ({}),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ x, moments, weight, bias, out }) => [x.buffer, moments.buffer, weight, bias, out.buffer],
  values: (inputs) => [
    count(inputs),
    inputs.out.stride / 4,
    inputs.x.cols / inputs.moments.rows,
    ACTIVATIONS[inputs.activation],
  ],
};
