/** The normalised Walsh-Hadamard transform of heads: see hadamard.wgsl. */
import library from '../lib/hadamard.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import source from './hadamard.wgsl';
import type { Matrix } from './operands.ts';

export interface HadamardInputs {
  readonly x: Matrix;
  readonly heads: number;
  /** Values of a head. */
  readonly headDim: number;
  readonly out: Matrix;
}

/** Rows of the matrix for heads of `headDim` values: the largest power of two that divides it. */
export const hadamardBlock = (headDim: number): number => headDim & -headDim;

export const hadamard: Kernel<HadamardInputs> = {
  name: 'hadamard',
  bindings: ['read', 'write'],
  params: ['u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${library}`,
  constants: ({ headDim }) => ({ HEAD_DIM: headDim, HADAMARD: hadamardBlock(headDim) }),
  grid: ({ x, heads }) => [heads, x.rows, 1],
  buffers: ({ x, out }) => [x.buffer, out.buffer],
  values: ({ x, out }) => [x.stride, out.stride],
};
