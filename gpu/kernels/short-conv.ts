/** A causal depthwise convolution over tokens: see short-conv.wgsl. */
import { ACTIVATIONS, type Activation } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import type { Matrix } from './operands.ts';
import source from './short-conv.wgsl';

export interface ShortConvInputs {
  readonly x: Matrix;
  /** [taps * channels] f32 */
  readonly weight: DeviceBuffer;
  /** [taps - 1, channels]; undefined: zeros. */
  readonly state: Matrix | undefined;
  readonly gated: boolean;
  readonly activation: Activation;
  readonly out: Matrix;
  readonly after: Matrix;
  readonly none: DeviceBuffer;
}

const count = ({ out, after }: ShortConvInputs): number => ((out.rows + after.rows) * out.cols) / 4;

export const shortConv: Kernel<ShortConvInputs> = {
  name: 'short-conv',
  bindings: ['read', 'read', 'read', 'write', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => `${source}\n${elements}\n${activation}`,
  constants: () => ({}),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ x, weight, state, out, after, none }) => [
    x.buffer,
    weight,
    state?.buffer ?? none,
    out.buffer,
    after.buffer,
  ],
  values: (inputs) => {
    const { x, state, gated, out, after } = inputs;
    return [
      count(inputs),
      out.cols / 4,
      x.stride / 4,
      out.rows,
      after.rows + 1,
      state === undefined ? 0 : 1,
      gated ? 1 : 0,
      ACTIVATIONS[inputs.activation],
    ];
  },
};
