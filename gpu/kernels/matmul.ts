/** Products with many rows of x (prefill): see matmul.wgsl. */
import { ACTIVATIONS } from '../lib/activation.ts';
import activation from '../lib/activation.wgsl';
import slots from '../lib/slots.wgsl';
import tile from '../lib/tile.wgsl';
import { WEIGHT_SLOTS, weightSource, weightTypes } from '../lib/weights.ts';
import xVec from '../lib/x-vec.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import { slotStarts, type LinearInputs } from './linear.ts';
import source from './matmul.wgsl';
import { ragged, type WeightPart } from './operands.ts';

/** Rows and columns of a tile (lib/tile.wgsl). */
export const TILE_ROWS = 32;
export const TILE_COLUMNS = 64;

const formats = (weights: readonly WeightPart[]) => weights.map((weight) => weight.format);

export const matmul: Kernel<Omit<LinearInputs, 'norm'>> = {
  name: 'matmul',
  bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'write'],
  params: [
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
    'u32',
    'u32',
    'u32',
    'u32',
    'f32',
  ],
  types: ({ weights }) => weightTypes(formats(weights)),
  source: ({ weights }) => `${source}\n${slots}\n${tile}\n${xVec}\n${activation}\n${weightSource(formats(weights))}`,
  constants: ({ x, weights }) => ({
    SLOTS: weights.length,
    RAGGED: ragged(x.cols),
  }),
  problem: ({ weights }) =>
    weights.length > WEIGHT_SLOTS ? `${weights.length} weights, at most ${WEIGHT_SLOTS}` : undefined,
  grid: ({ x, weights }) => [slotStarts(weights, TILE_COLUMNS)[weights.length] ?? 0, Math.ceil(x.rows / TILE_ROWS), 1],
  buffers: ({ x, weights, epilogue, out, none }) => [
    x.buffer,
    epilogue.bias ?? none,
    epilogue.residual?.buffer ?? none,
    weights[0]?.buffer ?? none,
    weights[1]?.buffer ?? none,
    weights[2]?.buffer ?? none,
    out.buffer,
  ],
  values({ x, weights, epilogue, out }) {
    const starts = slotStarts(weights, TILE_COLUMNS);
    const [a, b, c] = weights;
    return [
      x.rows,
      x.cols,
      x.stride / 4,
      out.stride,
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
