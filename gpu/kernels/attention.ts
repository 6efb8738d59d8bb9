/**
 * Ranged attention over KV pages, in one dispatch or in shares of the keys that a second dispatch joins: see
 * attention.wgsl and attention-merge.wgsl.
 */
import { isClosed, pageBuffers, pageReader, pageTypes, type KvOperand } from '../lib/pages.ts';
import { biasStart, mostKeys, runsData, runsStart, type Ranges } from '../lib/runs.ts';
import runs from '../lib/runs.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import { joinedSource } from '../lib/joined.ts';
import type { Form } from '../runtime/forms.ts';
import type { Kernel } from '../runtime/kernel.ts';
import mergeSource from './attention-merge.wgsl';
import source from './attention.wgsl';
import type { Matrix } from './operands.ts';

/** The operands of attention and of the probe. */
export interface QueryOperands {
  readonly q: Matrix;
  readonly heads: number;
  readonly kv: KvOperand;
  readonly position: number;
  readonly ranges: Ranges;
  readonly scale: number;
}

export interface AttentionInputs extends QueryOperands {
  readonly out: DeviceBuffer;
  /** What is computed: the result, shares of it, or only each row's maximum and sum, from vec4 `outStart` on. */
  readonly mode: 'result' | 'shares' | 'sums';
  /** 1 for the result. */
  readonly shares: number;
  readonly outStart?: number;
  /** Of the result: values of its rows, and the first values of a head that it has (default all). */
  readonly outStride?: number;
  readonly width?: number;
}

const MODES = { result: 0, shares: 1, sums: 2 } as const;

const WORKGROUP = 128;
/** Threads of a row in the softmax. */
const LANES = 8;
/** The largest head dimension: the channels of a row, four a thread, must fit a workgroup. */
const MAXIMUM_HEAD_DIM = 512;
/** Floats of q in workgroup memory: 8 KiB of the 16 that WebGPU guarantees. */
export const QUERY_FLOATS = 2048;

/** This many workgroups keep a large GPU busy. Keys are split into shares until there are as many. */
const BUSY = 256;
/** The fewest keys in a share, and the largest number of shares. */
const SHARE_KEYS = 256;
const MAXIMUM_SHARES = 64;

/** How the threads of a workgroup are divided; see the kernel's header. */
function tiling(
  { q, heads, kv }: QueryOperands,
  form: Form,
): {
  queries: number;
  tileHeads: number;
  headTiles: number;
  keys: number;
  rowGroups: number;
} {
  const { spec } = kv;
  const group = heads / spec.kvHeads;
  const rows = Math.min(16, Math.max(1, Math.floor(QUERY_FLOATS / spec.headDim)));
  const owners = Math.floor(WORKGROUP / (spec.headDim / 4));
  if (q.rows === 1) {
    // In decode there are few rows, so threads share the keys. Two heads in a workgroup halve the reading and still
    // leave many workgroups. Closed pages cost more to decode, so there four heads share the reading.
    const tileHeads = Math.min(group, rows, form.heads > 0 ? form.heads : closed(kv) ? 4 : 2);
    return { queries: 1, tileHeads, headTiles: Math.ceil(group / tileHeads), keys: WORKGROUP, rowGroups: 1 };
  }
  const tileHeads = Math.min(group, 8, rows);
  const queries = Math.max(1, Math.floor(rows / tileHeads));
  return {
    queries,
    tileHeads,
    headTiles: Math.ceil(group / tileHeads),
    keys: 32,
    rowGroups: Math.min(owners, queries * tileHeads),
  };
}

/** Tells whether there are pages of quantised codes, which must be decoded. */
const closed = (kv: KvOperand): boolean => kv.memories.some(({ format }) => isClosed(format));

/** Returns the workgroups of one share. */
function tiles(inputs: QueryOperands, form: Form): readonly [x: number, y: number] {
  const { queries, headTiles } = tiling(inputs, form);
  const { ranges, q, kv } = inputs;
  return [
    Math.ceil(q.rows / ranges.queryBlock) * Math.ceil(Math.min(ranges.queryBlock, q.rows) / queries),
    kv.spec.kvHeads * headTiles,
  ];
}

/**
 * Returns the number of shares into which the keys are split, so that few queries over many keys use the whole GPU. It
 * is a power of two, so that it seldom changes as the context grows.
 */
export function attentionShares(inputs: QueryOperands, form: Form): number {
  const [x, y] = tiles(inputs, form);
  const most = Math.min(MAXIMUM_SHARES, Math.floor(BUSY / (x * y)));
  if (most < 2) return 1;
  const wanted = Math.min(most, Math.floor(mostKeys(inputs.ranges) / SHARE_KEYS));
  return wanted < 2 ? 1 : 2 ** Math.floor(Math.log2(wanted));
}

/** Floats of a row's part in a share: maximum and sum, then as many as a head has. */
export const partFloats = (headDim: number): number => headDim + 4;

/** Returns the number of lists of a query block. */
export const rangeHeads = ({ ranges, kv }: QueryOperands): number => (ranges.shared ? 1 : kv.spec.kvHeads);

export function headDimProblem({ kv }: QueryOperands): string | undefined {
  const { headDim } = kv.spec;
  if (headDim % 4 === 0 && headDim <= MAXIMUM_HEAD_DIM) return undefined;
  return `headDim is ${headDim}; it must be a multiple of 4, at most ${MAXIMUM_HEAD_DIM}`;
}

export const attention: Kernel<AttentionInputs> = {
  name: 'attention',
  family: 'attention',
  bindings: ['read', 'read', 'write', 'read', 'read', 'read', 'read'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'f32', 'u32', 'u32', 'u32'],
  data: true,
  types: ({ kv }) => pageTypes(kv),
  source: ({ kv }, form) =>
    `${pageReader(
      kv.memories.map(({ format }) => format),
      3,
    )}\n${source}\n${joinedSource(form, LANES)}\n${runs}`,
  constants(inputs, form) {
    const { queries, tileHeads, headTiles, keys, rowGroups } = tiling(inputs, form);
    return {
      HEAD_DIM: inputs.kv.spec.headDim,
      HEADS: inputs.heads,
      KV_HEADS: inputs.kv.spec.kvHeads,
      QUERIES: queries,
      TILE_HEADS: tileHeads,
      HEAD_TILES: headTiles,
      KEYS: keys,
      ROW_GROUPS: rowGroups,
      STAGED: inputs.q.rows > 1 && closed(inputs.kv) ? 1 : 0,
      MODE: MODES[inputs.mode],
      OUT_DIM: inputs.width ?? inputs.kv.spec.headDim,
    };
  },
  problem: headDimProblem,
  grid: (inputs, form) => [...tiles(inputs, form), inputs.shares],
  buffers: ({ q, kv, out }) => [q.buffer, kv.table, out, ...pageBuffers(kv)],
  values(inputs, form) {
    const { q, kv, position, ranges, scale, shares, outStart, outStride = 0 } = inputs;
    const { queries } = tiling(inputs, form);
    const queryBlock = Math.min(ranges.queryBlock, q.rows);
    return [
      q.rows,
      position,
      q.stride / 4,
      kv.tableStart,
      kv.blocks,
      queryBlock,
      Math.ceil(queryBlock / queries),
      rangeHeads(inputs),
      runsStart(ranges),
      biasStart(ranges),
      ranges.causal ? 1 : 0,
      scale,
      shares,
      outStart ?? 0,
      outStride / 4,
    ];
  },
  hostData: ({ ranges }) => runsData(ranges),
};

export interface MergeInputs {
  /** [shares, tokens, heads, partFloats] */
  readonly parts: DeviceBuffer;
  readonly shares: number;
  readonly heads: number;
  readonly headDim: number;
  /** The first values of a head that the result has. */
  readonly width: number;
  readonly out: Matrix;
}

export const attentionMerge: Kernel<MergeInputs> = {
  name: 'attention-merge',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'u32'],
  types: () => '',
  source: () => mergeSource,
  constants: ({ heads, headDim, width }) => ({ HEAD_DIM: headDim, HEADS: heads, OUT_DIM: width }),
  grid: ({ heads, out }) => [heads, out.rows, 1],
  buffers: ({ parts, out }) => [parts, out.buffer],
  values: ({ shares, out }) => [out.rows, out.stride / 4, shares],
};
