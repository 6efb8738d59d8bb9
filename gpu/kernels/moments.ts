/**
 * Statistics of groups of channels, in two dispatches. Both are here, since the second reads what the first writes: see
 * moments-gather.wgsl and moments-combine.wgsl.
 */
import join from '../lib/moments.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import combine from './moments-combine.wgsl';
import gather from './moments-gather.wgsl';
import type { Matrix } from './operands.ts';

/** Rows of a part and columns of a workgroup in the first dispatch. */
const ROWS = 256;
const COLUMNS = 64;

/** Returns the number of parts of a band of `rows` rows. */
export const momentParts = (rows: number): number => Math.ceil(rows / ROWS);

/** Returns the bytes of the scratch for `parts` parts of `cols` columns. */
export const momentBytes = (parts: number, cols: number): number => 16 * parts * cols;

export interface GatherInputs {
  readonly x: Matrix;
  readonly firstPart: number;
  /** [parts, cols] vec4, scratch */
  readonly parts: DeviceBuffer;
}

export const momentsGather: Kernel<GatherInputs> = {
  name: 'moments-gather',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${gather}\n${join}`,
  constants: () => ({}),
  grid: ({ x }) => [Math.ceil(x.cols / COLUMNS), momentParts(x.rows), 1],
  buffers: ({ x, parts }) => [x.buffer, parts],
  values: ({ x, firstPart }) => [x.rows, x.cols, x.stride, firstPart],
};

export interface CombineInputs {
  readonly parts: DeviceBuffer;
  readonly count: number;
  readonly cols: number;
  readonly epsilon: number;
  /** [groups, 2]; groups divides cols. */
  readonly out: Matrix;
}

export const momentsCombine: Kernel<CombineInputs> = {
  name: 'moments-combine',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32', 'f32'],
  types: () => '',
  source: () => `${combine}\n${join}`,
  constants: () => ({}),
  grid: ({ out }) => [out.rows, 1, 1],
  buffers: ({ parts, out }) => [parts, out.buffer],
  values: ({ count, cols, epsilon, out }) => [count, cols, cols / out.rows, epsilon],
};
