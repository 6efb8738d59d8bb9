/** The attention mass of keys and of spans of keys: see probe.wgsl and span-sums.wgsl. */
import { pageBuffers, pageReader, pageTypes } from '../lib/pages.ts';
import { reduceSource } from '../lib/joined.ts';
import { biasStart, runsData, runsStart } from '../lib/runs.ts';
import runs from '../lib/runs.wgsl';
import type { Kernel } from '../runtime/kernel.ts';
import { headDimProblem, QUERY_FLOATS, rangeHeads, type QueryOperands } from './attention.ts';
import type { Matrix } from './operands.ts';
import source from './probe.wgsl';
import sumsSource from './span-sums.wgsl';

export interface ProbeInputs extends QueryOperands {
  /** [heads, keys]. From word `sumsStart` on, its buffer holds the maxima and sums of the rows, in `shares` shares. */
  readonly out: Matrix;
  readonly sumsStart: number;
  readonly shares: number;
}

const WORKGROUP = 128;
const MAXIMUM_ROWS = 8;

function tiling({ q, heads, kv: { spec } }: QueryOperands): { queries: number; tileHeads: number; headTiles: number } {
  const group = heads / spec.kvHeads;
  const rows = Math.min(MAXIMUM_ROWS, Math.max(1, Math.floor(QUERY_FLOATS / spec.headDim)));
  const tileHeads = Math.min(group, rows);
  return {
    queries: Math.min(q.rows, Math.floor(rows / tileHeads)),
    tileHeads,
    headTiles: Math.ceil(group / tileHeads),
  };
}

export const probe: Kernel<ProbeInputs> = {
  name: 'probe',
  bindings: ['read', 'read', 'write', 'read', 'read', 'read', 'read'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'f32', 'u32', 'u32', 'u32', 'u32'],
  data: true,
  types: ({ kv }) => pageTypes(kv),
  source: ({ kv }) =>
    `${pageReader(
      kv.memories.map(({ format }) => format),
      3,
    )}\n${source}\n${runs}`,
  constants(inputs) {
    const { queries, tileHeads, headTiles } = tiling(inputs);
    return {
      HEAD_DIM: inputs.kv.spec.headDim,
      HEADS: inputs.heads,
      KV_HEADS: inputs.kv.spec.kvHeads,
      QUERIES: queries,
      TILE_HEADS: tileHeads,
      HEAD_TILES: headTiles,
    };
  },
  problem: headDimProblem,
  grid: (inputs) => [Math.ceil(inputs.out.cols / WORKGROUP), inputs.kv.spec.kvHeads * tiling(inputs).headTiles, 1],
  buffers: ({ q, kv, out }) => [q.buffer, kv.table, out.buffer, ...pageBuffers(kv)],
  values(inputs) {
    const { q, kv, position, ranges, scale, out, sumsStart, shares } = inputs;
    return [
      q.rows,
      position,
      q.stride / 4,
      kv.tableStart,
      kv.blocks,
      Math.min(ranges.queryBlock, q.rows),
      rangeHeads(inputs),
      runsStart(ranges),
      biasStart(ranges),
      ranges.causal ? 1 : 0,
      scale,
      out.cols,
      out.stride,
      sumsStart,
      shares,
    ];
  },
  hostData: ({ ranges }) => runsData(ranges),
};

export interface SpanSumInputs {
  /** [rows, keys] */
  readonly masses: Matrix;
  /** (start, end) of each span. Keys beyond the last one count as zero. */
  readonly spans: Uint32Array;
  /** [rows, spans] */
  readonly out: Matrix;
}

export const spanSums: Kernel<SpanSumInputs> = {
  name: 'span-sums',
  family: 'reduction',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32'],
  data: true,
  types: () => '',
  source: (_, form) => `${sumsSource}\n${reduceSource(form)}`,
  constants: () => ({}),
  grid: ({ out }) => [out.cols, out.rows, 1],
  buffers: ({ masses, out }) => [masses.buffer, out.buffer],
  values: ({ masses, out }) => [masses.cols, masses.stride, out.stride],
  hostData: ({ spans }) => ({ words: spans }),
};
