/** The activation and product of a gated MLP whose two halves are side by side (prefill): see gate.wgsl. */
import { ACTIVATIONS, type Activation } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import source from './gate.wgsl';
import type { Matrix } from './operands.ts';

export interface GateInputs {
  /** [T, 2 rows] */
  readonly both: Matrix;
  readonly activation: Activation;
  readonly out: Matrix;
}

export const gate: Kernel<GateInputs> = {
  name: 'gate',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${activation}`,
  constants: () => ({}),
  grid: ({ out }) => [Math.ceil(out.cols / 64), out.rows, 1],
  buffers: ({ both, out }) => [both.buffer, out.buffer],
  values: ({ both, activation: kind, out }) => [out.cols, both.stride, out.stride, ACTIVATIONS[kind]],
};
