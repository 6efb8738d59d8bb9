/** Products with few rows of x (decode), norm fused: see linear.wgsl. */
import { ACTIVATIONS } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import fewRows from '../lib/few-rows.wgsl';
import slots from '../lib/slots.wgsl';
import { WEIGHT_SLOTS, weightSource, weightTypes } from '../lib/weights.ts';
import xVec from '../lib/x-vec.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import source from './linear.wgsl';
import { ragged, type Epilogue, type Matrix, type RmsOperand, type WeightPart } from './operands.ts';

/** Output columns of one workgroup. */
const COLUMNS = 16;
/** Rows of x that a workgroup takes at once, when there are several. */
const TOKENS = 4;

export interface LinearInputs {
  readonly x: Matrix;
  /** One to three parts; `first` is an output column. */
  readonly weights: readonly WeightPart[];
  readonly norm?: RmsOperand | undefined;
  readonly epilogue: Epilogue;
  readonly out: Matrix;
  /** Any buffer, for the bindings that are not used. */
  readonly none: DeviceBuffer;
}

const formats = (weights: readonly WeightPart[]) => weights.map((weight) => weight.format);
const tokens = (x: Matrix): number => (x.rows === 1 ? 1 : TOKENS);

/** Returns the first workgroup of each slot, then the total number. */
export function slotStarts(weights: readonly WeightPart[], columns: number): number[] {
  const starts = [0];
  let next = 0;
  for (const weight of weights) starts.push((next += Math.ceil(weight.rows / columns)));
  return starts;
}

export const linear: Kernel<LinearInputs> = {
  name: 'linear',
  bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'read', 'write'],
  params: [
    'u32',
    'u32',
    'u32',
    'u32',
    'f32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'f32',
  ],
  types: ({ weights }) => weightTypes(formats(weights)),
  source: ({ weights }) => `${source}\n${slots}\n${fewRows}\n${xVec}\n${activation}\n${weightSource(formats(weights))}`,
  constants: ({ x, weights, norm }) => ({
    SLOTS: weights.length,
    TOKENS: tokens(x),
    NORM: norm === undefined ? 0 : 1,
    RAGGED: ragged(x.cols),
  }),
  problem: ({ weights }) =>
    weights.length > WEIGHT_SLOTS ? `${weights.length} weights, at most ${WEIGHT_SLOTS}` : undefined,
  grid: ({ x, weights }) => [slotStarts(weights, COLUMNS)[weights.length] ?? 0, Math.ceil(x.rows / tokens(x)), 1],
  buffers: ({ x, weights, norm, epilogue, out, none }) => [
    x.buffer,
    norm?.weight ?? none,
    epilogue.bias ?? none,
    epilogue.residual?.buffer ?? none,
    weights[0]?.buffer ?? none,
    weights[1]?.buffer ?? none,
    weights[2]?.buffer ?? none,
    out.buffer,
  ],
  values({ x, weights, norm, epilogue, out }) {
    const starts = slotStarts(weights, COLUMNS);
    const [a, b, c] = weights;
    return [
      x.rows,
      x.cols,
      x.stride / 4,
      out.stride,
      norm?.epsilon ?? 0,
      starts[1] ?? 0,
      starts[2] ?? 0,
      a?.rows ?? 0,
      b?.rows ?? 0,
      c?.rows ?? 0,
      a?.first ?? 0,
      b?.first ?? 0,
      c?.first ?? 0,
      epilogue.bias === undefined ? 0 : 1,
      epilogue.residual === undefined ? 0 : 1,
      ACTIVATIONS[epilogue.activation],
      epilogue.scale,
    ];
  },
};
