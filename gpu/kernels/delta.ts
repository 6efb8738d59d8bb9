/** The gated delta rule in three steps: what tokens decide (delta-gates.wgsl), the states (delta.wgsl), and the norm behind them (delta-norm.wgsl). */
import activation from '../lib/activation.wgsl';
import { reduceSource } from '../lib/joined.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import gatesSource from './delta-gates.wgsl';
import normSource from './delta-norm.wgsl';
import stepsSource from './delta.wgsl';
import type { Matrix, RmsOperand } from './operands.ts';

export interface DeltaInputs {
  readonly qkv: Matrix;
  readonly rest: Matrix;
  /** Column of `rest` at which z begins. */
  readonly column: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled: boolean;
  /** [valueHeads] f32 each */
  readonly decay: DeviceBuffer;
  readonly timeBias: DeviceBuffer;
  readonly norm: RmsOperand;
  /** Undefined: zeros. */
  readonly state: Matrix | undefined;
  /** Room for `gateBytes`. */
  readonly gates: DeviceBuffer;
  readonly out: Matrix;
  readonly after: Matrix;
  readonly none: DeviceBuffer;
}

/** Bytes of `gates`. */
export const gateBytes = (tokens: number, valueHeads: number): number => 32 * tokens * valueHeads;

/** Columns of a state in a workgroup. */
const COLUMNS = 32;

const shape = ({ keyHeads, valueHeads, keyDim, tiled }: DeltaInputs): Readonly<Record<string, number>> => ({
  KEY_HEADS: keyHeads,
  VALUE_HEADS: valueHeads,
  KEY_DIM: keyDim,
  TILED: tiled ? 1 : 0,
});

export const deltaGates: Kernel<DeltaInputs> = {
  name: 'delta-gates',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32'],
  types: () => '',
  source: () => gatesSource,
  constants: shape,
  grid: ({ qkv, valueHeads }) => [valueHeads, qkv.rows, 1],
  buffers: ({ qkv, rest, decay, timeBias, gates }) => [qkv.buffer, rest.buffer, decay, timeBias, gates],
  values: ({ qkv, rest, column, valueHeads, valueDim }) => [
    qkv.stride / 4,
    rest.stride,
    column + valueHeads * valueDim,
  ],
};

const blocks = ({ keyDim }: DeltaInputs): number => Math.ceil(keyDim / 16);

export const deltaSteps: Kernel<DeltaInputs> = {
  name: 'delta',
  bindings: ['read', 'read', 'read', 'write', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: (inputs) => String(blocks(inputs)),
  source: (inputs) => `const BLOCKS = ${blocks(inputs)}u;\n${stepsSource}`,
  constants: (inputs) => ({ ...shape(inputs), VALUE_DIM: inputs.valueDim }),
  grid: ({ valueDim, valueHeads }) => [Math.ceil(valueDim / COLUMNS), valueHeads, 1],
  buffers: ({ qkv, gates, state, out, after, none }) => [
    qkv.buffer,
    gates,
    state?.buffer ?? none,
    out.buffer,
    after.buffer,
  ],
  values: ({ qkv, out, state }) => [qkv.rows, qkv.stride / 4, out.stride, state === undefined ? 0 : 1],
};

export const deltaNorm: Kernel<DeltaInputs> = {
  name: 'delta-norm',
  family: 'reduction',
  bindings: ['read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'f32'],
  types: () => '',
  source: (_, form) => `${normSource}\n${reduceSource(form)}\n${activation}`,
  constants: ({ valueDim }) => ({ VALUE_DIM: valueDim }),
  grid: ({ qkv, valueHeads }) => [valueHeads, qkv.rows, 1],
  buffers: ({ rest, norm, out }) => [rest.buffer, norm.weight, out.buffer],
  values: ({ rest, column, out, norm }) => [rest.stride, column, out.stride, norm.epsilon],
};
