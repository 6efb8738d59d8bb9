/** The gated half of an MLP for few rows (decode), norm fused: see gated-mlp.wgsl. */
import { ACTIVATIONS, type Activation } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import fewRows from '../lib/few-rows.wgsl';
import { joinedSource } from '../lib/joined.ts';
import { weightSource, weightTypes } from '../lib/weights.ts';
import xVec from '../lib/x-vec.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './gated-mlp.wgsl';
import { ragged, type Matrix, type RmsOperand, type WeightPart } from './operands.ts';

const TOKENS = 4;

export interface GatedMlpInputs {
  readonly x: Matrix;
  readonly gate: WeightPart;
  readonly up: WeightPart;
  readonly norm?: RmsOperand | undefined;
  readonly activation: Activation;
  readonly out: Matrix;
  readonly none: DeviceBuffer;
}

const tokens = (x: Matrix): number => (x.rows === 1 ? 1 : TOKENS);

export const gatedMlp: Kernel<GatedMlpInputs> = {
  name: 'gated-mlp',
  family: 'few-rows',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'f32', 'u32'],
  types: ({ gate, up }) => weightTypes([gate.format, up.format]),
  source: ({ gate, up }, form) =>
    `${source}\n${fewRows}\n${joinedSource(form, form.lanes)}\n${xVec}\n${activation}\n${weightSource([gate.format, up.format])}`,
  constants: ({ x, norm }, { lanes }) => ({
    LANES: lanes,
    TOKENS: tokens(x),
    NORM: norm === undefined ? 0 : 1,
    RAGGED: ragged(x.cols),
  }),
  // Two columns for each group of lanes.
  grid: ({ x, gate }, { lanes }) => [Math.ceil((gate.rows * lanes) / 128), Math.ceil(x.rows / tokens(x)), 1],
  buffers: ({ x, gate, up, norm, out, none }) => [x.buffer, norm?.weight ?? none, gate.buffer, up.buffer, out.buffer],
  values: ({ x, gate, norm, activation: kind, out }) => [
    x.rows,
    x.cols,
    x.stride / 4,
    out.stride,
    gate.rows,
    norm?.epsilon ?? 0,
    ACTIVATIONS[kind],
  ],
};
