/** Ranged attention over KV pages: see attention.wgsl. */
import type { Ranges } from '../../src/backend/backend.ts';
import { InputError } from '../../src/errors.ts';
import { pageSource } from '../lib/pages.ts';
import { MAXIMUM_DATA_BYTES } from '../runtime/arena.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './attention.wgsl';
import { checkGrid, type Matrix } from './operands.ts';
import type { KvOperand } from './rope-append.ts';

export interface AttentionInputs {
  readonly q: Matrix;
  readonly heads: number;
  readonly kv: KvOperand;
  readonly position: number;
  readonly ranges: Ranges;
  readonly scale: number;
  readonly out: Matrix;
}

const WORKGROUP = 128;
/** Largest head, so that a row's channels fit a workgroup, four a thread. */
const MAXIMUM_HEAD_DIM = 512;
/** Rows of q in workgroup memory: 8 KiB of WebGPU's guaranteed 16. */
const QUERY_FLOATS = 2048;

/** How a workgroup is shared out; see the kernel's header. */
function tiling({ q, heads, kv: { spec } }: AttentionInputs): { queries: number; tileHeads: number; headTiles: number; keys: number; rowGroups: number } {
  const group = heads / spec.kvHeads;
  const rows = Math.min(16, Math.max(1, Math.floor(QUERY_FLOATS / spec.headDim)));
  const owners = Math.floor(WORKGROUP / (spec.headDim / 4));
  if (q.rows === 1) {
    // Decode: few rows, so threads share the keys; two heads a workgroup halve the reading and leave many workgroups.
    const tileHeads = Math.min(group, 2);
    return { queries: 1, tileHeads, headTiles: Math.ceil(group / tileHeads), keys: WORKGROUP, rowGroups: 1 };
  }
  const tileHeads = Math.min(group, 8, rows);
  const queries = Math.max(1, Math.floor(rows / tileHeads));
  return { queries, tileHeads, headTiles: Math.ceil(group / tileHeads), keys: 32, rowGroups: Math.min(owners, queries * tileHeads) };
}

const lists = ({ ranges, kv }: AttentionInputs): number => (ranges.shared ? 1 : kv.spec.kvHeads);

export const attention: Kernel<AttentionInputs> = {
  name: 'attention',
  bindings: ['read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'f32'],
  data: true,
  types: ({ kv }) => kv.spec.format,
  source: ({ kv }) => `${pageSource(kv.spec.format)}\n${source}`,
  constants(inputs) {
    const { queries, tileHeads, headTiles, keys, rowGroups } = tiling(inputs);
    return {
      HEAD_DIM: inputs.kv.spec.headDim,
      HEADS: inputs.heads,
      KV_HEADS: inputs.kv.spec.kvHeads,
      QUERIES: queries,
      TILE_HEADS: tileHeads,
      HEAD_TILES: headTiles,
      KEYS: keys,
      ROW_GROUPS: rowGroups,
    };
  },
  check(inputs) {
    const { headDim } = inputs.kv.spec;
    if (headDim % 4 !== 0 || headDim > MAXIMUM_HEAD_DIM) {
      throw new InputError('argument', `attention: headDim ${headDim} is not a multiple of 4 up to ${MAXIMUM_HEAD_DIM}; use device: 'wasm' for this model`);
    }
    const bytes = 4 * (inputs.ranges.offsets.length + inputs.ranges.runs.length);
    if (bytes > MAXIMUM_DATA_BYTES) {
      throw new InputError('argument', `attention: ranges of ${bytes} bytes, at most ${MAXIMUM_DATA_BYTES}; use a smaller chunk or fewer runs`);
    }
    checkGrid('attention', attention.grid(inputs));
  },
  grid(inputs) {
    const { queries, headTiles } = tiling(inputs);
    const { ranges, q, kv } = inputs;
    const blocks = Math.ceil(q.rows / ranges.queryBlock);
    return [blocks * Math.ceil(Math.min(ranges.queryBlock, q.rows) / queries), kv.spec.kvHeads * headTiles, 1];
  },
  buffers: ({ q, kv, out }) => [q.buffer, kv.pool, kv.table, out.buffer],
  values(inputs) {
    const { q, kv, position, ranges, scale } = inputs;
    const { queries } = tiling(inputs);
    const queryBlock = Math.min(ranges.queryBlock, q.rows);
    return [
      q.rows, position, q.stride / 4, kv.tableStart, kv.blocks, kv.pages, queryBlock, Math.ceil(queryBlock / queries),
      lists(inputs), ranges.offsets.length, ranges.causal ? 1 : 0, scale,
    ];
  },
  hostData({ ranges }) {
    const words = new Uint32Array(ranges.offsets.length + ranges.runs.length);
    words.set(ranges.offsets);
    words.set(ranges.runs, ranges.offsets.length);
    return { words };
  },
};
