/** Takes rows of a matrix by indices from the host: see take.wgsl. */
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import { MAXIMUM_DATA_BYTES } from '../runtime/arena.ts';
import type { Kernel } from '../runtime/kernel.ts';
import type { Matrix } from './operands.ts';
import source from './take.wgsl';

/** The most indices in one dispatch. */
export const TAKE_INDICES = MAXIMUM_DATA_BYTES / 4;

export interface TakeInputs {
  readonly x: Matrix;
  /** At most TAKE_INDICES rows of x, or -1 for zeros. */
  readonly indices: Int32Array;
  /** Row of out for the first index. */
  readonly first: number;
  readonly out: Matrix;
}

const count = ({ indices, out }: TakeInputs): number => (indices.length * out.stride) / 4;

export const take: Kernel<TakeInputs> = {
  name: 'take',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32'],
  data: true,
  types: () => '',
  source: () => `${source}\n${elements}`,
  constants: () => ({}),
  problem: ({ indices }) =>
    indices.length > TAKE_INDICES ? `${indices.length} indices, at most ${TAKE_INDICES}` : undefined,
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ x, out }) => [x.buffer, out.buffer],
  values: (inputs) => [count(inputs), inputs.out.stride / 4, inputs.first],
  hostData: ({ indices }) => ({ words: new Uint32Array(indices.buffer, indices.byteOffset, indices.length) }),
};
