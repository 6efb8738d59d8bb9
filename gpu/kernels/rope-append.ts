/** Rotates q and k, and appends k and v to the pages: see rope-append.wgsl. */
import { pageWriter, type KvOperand, type OpenMemory } from '../lib/pages.ts';
import { reduceSource } from '../lib/joined.ts';
import hadamard from '../lib/hadamard.wgsl';
import ropeRows from '../lib/rope-rows.wgsl';
import ropeRun from '../lib/rope-run.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import { hadamardBlock } from './hadamard.ts';
import type { Matrix, RmsOperand } from './operands.ts';
import source from './rope-append.wgsl';

/** See rope-rows.wgsl. */
export interface RopeSections {
  readonly order: 'consecutive' | 'interleaved';
  /** Pairs of each axis. */
  readonly pairs: readonly [number, number, number];
}

export interface RopeAppendInputs {
  readonly qkv: Matrix;
  readonly heads: number;
  /** KV heads of qkv, a divisor of the pool's; 0 for queries only. */
  readonly kvHeads: number;
  /** Values of a head of qkv. */
  readonly headDim: number;
  readonly kv: KvOperand;
  /** The memory of the pages that are written. */
  readonly open: OpenMemory;
  readonly position: number;
  /** The position of the first token, for RoPE. */
  readonly first: number;
  /** The positions of all tokens, for RoPE, [axes, tokens]; only for `ropeAppendRows`. */
  readonly positions?: Int32Array | undefined;
  /** Which axis rotates a pair. By default the first axis rotates all pairs. */
  readonly sections?: RopeSections | undefined;
  /** Values of a head that `angles` rotate; 0 for none. */
  readonly rotary: number;
  readonly interleaved: boolean;
  /** (cos, sin) as rope-append.wgsl draws them; `angleRows` makes them. */
  readonly angles: DeviceBuffer;
  readonly qNorm?: RmsOperand | undefined;
  readonly kNorm?: RmsOperand | undefined;
  /** Given: v is normalised without a weight. */
  readonly vEpsilon?: number | undefined;
  /** Whether heads of v are transformed: see rope-append.wgsl. */
  readonly hadamard: boolean;
  readonly q: Matrix;
  readonly none: DeviceBuffer;
}

/** Positions are split as 512 high + low. */
const LOW_ROWS = 512;

/** Returns the number of positions for which `rows` rows of angles suffice. */
export const anglePositions = (rows: number): number => (rows - LOW_ROWS) * LOW_ROWS;

/**
 * Makes the angle table for positions below `positions`, in f64 until the last rounding. `magnitude` is multiplied into
 * the low rows.
 */
export function angleRows(inverseFrequency: Float64Array, magnitude: number, positions: number): Float32Array {
  const pairs = inverseFrequency.length;
  const rows = LOW_ROWS + Math.ceil(positions / LOW_ROWS);
  const out = new Float32Array(rows * pairs * 2);
  for (let row = 0; row < rows; row += 1) {
    const low = row < LOW_ROWS;
    const position = low ? row : (row - LOW_ROWS) * LOW_ROWS;
    const scale = low ? magnitude : 1;
    for (let i = 0; i < pairs; i += 1) {
      const angle = position * (inverseFrequency[i] ?? 0);
      out[2 * (row * pairs + i)] = scale * Math.cos(angle);
      out[2 * (row * pairs + i) + 1] = scale * Math.sin(angle);
    }
  }
  return out;
}

export const ropeAppend: Kernel<RopeAppendInputs> = {
  name: 'rope-append',
  family: 'reduction',
  bindings: ['read', 'read', 'read', 'read', 'read', 'write', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'f32', 'f32', 'u32', 'u32', 'f32'],
  types: ({ open }) => open.format,
  source: ({ open }, form) => `${pageWriter(open.format)}\n${source}\n${reduceSource(form)}\n${hadamard}\n${ropeRun}`,
  constants: ({ heads, kvHeads, headDim, kv, rotary, interleaved, qNorm, kNorm, vEpsilon, hadamard: transformed }) => ({
    HEAD_DIM: kv.spec.headDim,
    HEADS: heads,
    KV_HEADS: kv.spec.kvHeads,
    GIVEN_DIM: headDim,
    GIVEN_KV: kvHeads,
    COPIES: kvHeads === 0 ? 1 : kv.spec.kvHeads / kvHeads,
    ROTARY: rotary,
    INTERLEAVED: interleaved ? 1 : 0,
    Q_NORM: qNorm === undefined ? 0 : 1,
    K_NORM: kNorm === undefined ? 0 : 1,
    V_NORM: vEpsilon === undefined ? 0 : 1,
    HADAMARD: transformed ? hadamardBlock(headDim) : 1,
  }),
  problem: ({ kv: { spec } }) =>
    spec.headDim % 4 === 0 ? undefined : `headDim is ${spec.headDim}; it must be a multiple of 4`,
  grid: ({ qkv, heads, kvHeads, kv }) => [heads + (kvHeads === 0 ? 0 : 2 * kv.spec.kvHeads), qkv.rows, 1],
  buffers: ({ qkv, angles, qNorm, kNorm, kv, open, q, none }) => [
    qkv.buffer,
    angles,
    qNorm?.weight ?? none,
    kNorm?.weight ?? none,
    kv.table,
    open.buffer,
    q.buffer,
  ],
  values: ({ qkv, q, position, first, kv, open, qNorm, kNorm, vEpsilon }) => [
    qkv.stride,
    q.stride,
    position,
    kv.tableStart,
    kv.blocks,
    open.pages,
    qNorm?.epsilon ?? 0,
    kNorm?.epsilon ?? 0,
    first,
    qkv.rows,
    vEpsilon ?? 0,
  ],
};

const ORDERS = { consecutive: 1, interleaved: 2 } as const;

/** The same for tokens whose positions are not consecutive or have several axes. */
export const ropeAppendRows: Kernel<RopeAppendInputs> = {
  ...ropeAppend,
  name: 'rope-append-rows',
  family: 'reduction',
  data: true,
  source: ({ open }, form) => `${pageWriter(open.format)}\n${source}\n${reduceSource(form)}\n${hadamard}\n${ropeRows}`,
  constants(inputs, form) {
    const { positions, qkv, sections } = inputs;
    // With one axis, it rotates all pairs.
    const several = sections !== undefined && (positions?.length ?? 0) > qkv.rows;
    return {
      ...ropeAppend.constants(inputs, form),
      SECTIONS: several ? ORDERS[sections.order] : 0,
      TIME_PAIRS: sections?.pairs[0] ?? 0,
      HEIGHT_PAIRS: sections?.pairs[1] ?? 0,
      WIDTH_PAIRS: sections?.pairs[2] ?? 0,
    };
  },
  hostData: ({ positions = new Int32Array(0) }) => ({
    words: new Uint32Array(positions.buffer, positions.byteOffset, positions.length),
  }),
};
