/** Shared by the kernels of products: slots of weights (lib/slots.wgsl), and what is done with the result (`Epilogue`). */
import { ACTIVATIONS } from '../lib/activation.ts';
import { WEIGHT_SLOTS } from '../lib/weights.ts';
import type { WeightFormat } from '../lib/rows.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { ParamType } from '../runtime/kernel.ts';
import type { Epilogue, WeightPart } from './operands.ts';

export const formats = (weights: readonly WeightPart[]): WeightFormat[] => weights.map((weight) => weight.format);

/** Returns the first workgroup of each slot, then the total number. */
export function slotStarts(weights: readonly WeightPart[], columns: number): number[] {
  const starts = [0];
  let next = 0;
  for (const weight of weights) starts.push((next += Math.ceil(weight.rows / columns)));
  return starts;
}

/** start1, start2, rows0..2 and column0..2 of a kernel's `Params`. */
export const SLOT_PARAMS: readonly ParamType[] = ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32'];

/** The values of `SLOT_PARAMS`, where a workgroup computes `columns` columns. */
export function slotValues(weights: readonly WeightPart[], columns: number): number[] {
  const starts = slotStarts(weights, columns);
  const [a, b, c] = weights;
  return [
    starts[1] ?? 0,
    starts[2] ?? 0,
    a?.rows ?? 0,
    b?.rows ?? 0,
    c?.rows ?? 0,
    a?.first ?? 0,
    b?.first ?? 0,
    c?.first ?? 0,
  ];
}

/** The buffers of w0, w1 and w2; `none` in unused slots. */
export const slotBuffers = ([a, b, c]: readonly WeightPart[], none: DeviceBuffer): DeviceBuffer[] => [
  a?.buffer ?? none,
  b?.buffer ?? none,
  c?.buffer ?? none,
];

/** Why there are too many weights for one dispatch; undefined if there are not. */
export const slotProblem = (weights: readonly WeightPart[]): string | undefined =>
  weights.length > WEIGHT_SLOTS ? `${weights.length} weights, at most ${WEIGHT_SLOTS}` : undefined;

/** has_bias, has_residual, activation and scale of a kernel's `Params`. */
export const EPILOGUE_PARAMS: readonly ParamType[] = ['u32', 'u32', 'u32', 'f32'];

/** The values of `EPILOGUE_PARAMS`. */
export const epilogueValues = ({ bias, residual, activation, scale }: Epilogue): number[] => [
  bias === undefined ? 0 : 1,
  residual === undefined ? 0 : 1,
  ACTIVATIONS[activation],
  scale,
];
