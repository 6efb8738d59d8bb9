/** Products with few rows of x (decode), norm fused: see linear.wgsl. */
import activation from '../lib/activation.wgsl';
import fewRows from '../lib/few-rows.wgsl';
import { joinedSource } from '../lib/joined.ts';
import slots from '../lib/slots.wgsl';
import { weightSource, weightTypes } from '../lib/weights.ts';
import xVec from '../lib/x-vec.wgsl';
import type { Form } from '../runtime/forms.ts';
import type { Kernel } from '../runtime/kernel.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import source from './linear.wgsl';
import { ragged, type Epilogue, type Matrix, type RmsOperand, type WeightPart } from './operands.ts';
import {
  EPILOGUE_PARAMS,
  epilogueValues,
  formats,
  SLOT_PARAMS,
  slotBuffers,
  slotProblem,
  slotStarts,
  slotValues,
} from './products.ts';

/** Output columns of one workgroup: four for each group of lanes. */
const columns = ({ lanes }: Form): number => 4 * (64 / lanes);
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

const tokens = (x: Matrix): number => (x.rows === 1 ? 1 : TOKENS);

export const linear: Kernel<LinearInputs> = {
  name: 'linear',
  family: 'few-rows',
  bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'f32', ...SLOT_PARAMS, ...EPILOGUE_PARAMS],
  types: ({ weights }) => weightTypes(formats(weights)),
  source: ({ weights }, form) =>
    `${source}\n${slots}\n${fewRows}\n${joinedSource(form, form.lanes)}\n${xVec}\n${activation}\n${weightSource(formats(weights))}`,
  constants: ({ x, weights, norm }, { lanes }) => ({
    LANES: lanes,
    SLOTS: weights.length,
    TOKENS: tokens(x),
    NORM: norm === undefined ? 0 : 1,
    RAGGED: ragged(x.cols),
  }),
  problem: ({ weights }) => slotProblem(weights),
  grid: ({ x, weights }, form) => [
    slotStarts(weights, columns(form))[weights.length] ?? 0,
    Math.ceil(x.rows / tokens(x)),
    1,
  ],
  buffers: ({ x, weights, norm, epilogue, out, none }) => [
    x.buffer,
    norm?.weight ?? none,
    epilogue.bias ?? none,
    epilogue.residual?.buffer ?? none,
    ...slotBuffers(weights, none),
    out.buffer,
  ],
  values: ({ x, weights, norm, epilogue, out }, form) => [
    x.rows,
    x.cols,
    x.stride / 4,
    out.stride,
    norm?.epsilon ?? 0,
    ...slotValues(weights, columns(form)),
    ...epilogueValues(epilogue),
  ],
};
