/** From scores of chunks to ranges: the bridge to assembly/select/chunks.ts. */
import type { Ranges } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import { LIST_BLOCK, type QueryBlock } from './dhsa-settings.ts';
import { withScratch } from './dhsa-scratch.ts';

export interface ChunkChoice {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly blocks: readonly QueryBlock[];
  /** [rows, heads * headDim]: mean queries. */
  readonly queries: Float32Array;
  /** WASM address of f32 [starts.length, kvHeads * headDim]: mean key of each chunk. */
  readonly vectors: number;
  /** First position of each chunk, ascending from 0. */
  readonly starts: readonly number[];
  /** End of the last chunk. */
  readonly end: number;
  readonly sinks: number;
  /** Chunks are taken whole or not at all. */
  readonly whole: boolean;
}

/** Words of the argument block, in the order of assembly/select/chunks.ts. */
const WORDS = 14;
/** Words of a row of its table. */
const ROW = 5;

/** Returns the lists of all blocks and KV heads: the keys that each block of queries may see. */
export function chooseChunks(wasm: Wasm, choice: ChunkChoice): Ranges {
  const { heads, kvHeads, headDim, blocks, queries, vectors, starts, end, sinks, whole } = choice;
  const lists = blocks.length * kvHeads;
  const scratchBytes = wasm.exports.choiceScratchBytes(starts.length, kvHeads, headDim);
  const sizes = [
    4 * WORDS,
    4 * queries.length,
    4 * (starts.length + 1),
    4 * ROW * blocks.length,
    scratchBytes,
    4 * (lists + 1),
    8 * lists * (starts.length + 2),
  ];
  return withScratch(wasm, sizes, (args = 0, q = 0, bounds = 0, table = 0, scratch = 0, offsets = 0, runs = 0) => {
    wasm.f32(q, queries.length).set(queries);
    wasm.u32(bounds, starts.length).set(starts);
    wasm.u32(bounds + 4 * starts.length, 1)[0] = end;
    wasm
      .u32(table, ROW * blocks.length)
      .set(blocks.flatMap(({ row, pooled, local, end: last, budget }) => [row, pooled, local, last, budget]));
    const words = [
      q,
      vectors,
      bounds,
      table,
      blocks.length,
      heads,
      kvHeads,
      headDim,
      starts.length,
      sinks,
      whole ? 1 : 0,
      scratch,
      offsets,
      runs,
    ];
    wasm.u32(args, WORDS).set(words);
    const count = wasm.exports.chooseChunks(args) >>> 0;
    return {
      queryBlock: LIST_BLOCK,
      shared: false,
      causal: true,
      offsets: wasm.u32(offsets, lists + 1).slice(),
      runs: wasm.u32(runs, 2 * count).slice(),
    };
  });
}
