/** Products with many rows of x (prefill): see matmul.wgsl. */
import activation from '../lib/activation.wgsl';
import slots from '../lib/slots.wgsl';
import { decodedSource } from '../lib/joined.ts';
import tile from '../lib/tile.wgsl';
import { weightSource, weightTypes } from '../lib/weights.ts';
import xVec from '../lib/x-vec.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import type { LinearInputs } from './linear.ts';
import source from './matmul.wgsl';
import { ragged } from './operands.ts';
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

/** Rows and columns of a tile (lib/tile.wgsl). */
export const TILE_ROWS = 32;
export const TILE_COLUMNS = 64;

export const matmul: Kernel<Omit<LinearInputs, 'norm'>> = {
  name: 'matmul',
  family: 'tile',
  bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', ...SLOT_PARAMS, ...EPILOGUE_PARAMS],
  types: ({ weights }) => weightTypes(formats(weights)),
  source: ({ weights }, form) =>
    `${source}\n${slots}\n${decodedSource(form, formats(weights))}\n${tile}\n${xVec}\n${activation}\n${weightSource(formats(weights))}`,
  constants: ({ x, weights }) => ({
    SLOTS: weights.length,
    RAGGED: ragged(x.cols),
  }),
  problem: ({ weights }) => slotProblem(weights),
  grid: ({ x, weights }) => [slotStarts(weights, TILE_COLUMNS)[weights.length] ?? 0, Math.ceil(x.rows / TILE_ROWS), 1],
  buffers: ({ x, weights, epilogue, out, none }) => [
    x.buffer,
    epilogue.bias ?? none,
    epilogue.residual?.buffer ?? none,
    ...slotBuffers(weights, none),
    out.buffer,
  ],
  values: ({ x, weights, epilogue, out }) => [
    x.rows,
    x.cols,
    x.stride / 4,
    out.stride,
    ...slotValues(weights, TILE_COLUMNS),
    ...epilogueValues(epilogue),
  ],
};
