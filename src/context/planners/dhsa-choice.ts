/** From scores of chunks to ranges: the bridge to assembly/select/chunks.ts, and the dense end of a prompt. */
import type { Ranges } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import { denseCausal } from '../ranges.ts';
import { QUERY_BLOCK, type Queries, type QueryBlock, type SparseSettings } from './dhsa-settings.ts';
import { withScratch } from './dhsa-scratch.ts';

export interface ChunkChoice {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly blocks: readonly QueryBlock[];
  /** [blocks, heads * headDim]: mean query of each block. */
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

/** Lists of all blocks and KV heads: what each block of queries may see. */
export function chooseChunks(wasm: Wasm, choice: ChunkChoice): Ranges {
  const { heads, kvHeads, headDim, blocks, queries, vectors, starts, end, sinks, whole } = choice;
  const lists = blocks.length * kvHeads;
  const scratchBytes = wasm.exports.choiceScratchBytes(starts.length, headDim);
  const sizes = [4 * WORDS, 4 * queries.length, 4 * (starts.length + 1), 16 * blocks.length, scratchBytes, 4 * (lists + 1), 8 * lists * (starts.length + 2)];
  return withScratch(wasm, sizes, (args = 0, q = 0, bounds = 0, table = 0, scratch = 0, offsets = 0, runs = 0) => {
    wasm.f32(q, queries.length).set(queries);
    wasm.u32(bounds, starts.length).set(starts);
    wasm.u32(bounds + 4 * starts.length, 1)[0] = end;
    wasm.u32(table, 4 * blocks.length).set(blocks.flatMap((block) => [block.queries, block.local, block.end, block.budget]));
    const words = [q, vectors, bounds, table, blocks.length, heads, kvHeads, headDim, starts.length, sinks, whole ? 1 : 0, scratch, offsets, runs];
    wasm.u32(args, WORDS).set(words);
    const count = wasm.exports.chooseChunks(args) >>> 0;
    return { queryBlock: QUERY_BLOCK, shared: false, causal: true, offsets: wasm.u32(offsets, lists + 1).slice(), runs: wasm.u32(runs, 2 * count).slice() };
  });
}

/** Queries of a list where the instruction begins within a block. */
const FINE_BLOCK = 32;

/**
 * `ranges` of blocks of QUERY_BLOCK queries with a dense list wherever one of the prompt's last `instruction` queries is: where those begin within
 * a block, in lists of 32 queries, of which the first may see everything for up to 31 queries too many.
 */
export function withInstruction(ranges: Ranges, { position, count, promptEnd }: Queries, { instruction }: SparseSettings): Ranges {
  const dense = Math.max(0, promptEnd - instruction - position);
  if (dense >= count || dense % QUERY_BLOCK === 0) return ranges;
  const lists = (ranges.offsets.length - 1) / Math.ceil(count / QUERY_BLOCK);
  const offsets = [0];
  const runs: number[] = [];
  for (let start = 0; start < count; start += FINE_BLOCK) {
    const end = Math.min(start + FINE_BLOCK, count);
    for (let list = 0; list < lists; list++) {
      const at = Math.floor(start / QUERY_BLOCK) * lists + list;
      if (end > dense) runs.push(0, position + end);
      else for (let i = 2 * (ranges.offsets[at] ?? 0); i < 2 * (ranges.offsets[at + 1] ?? 0); i++) runs.push(ranges.runs[i] ?? 0);
      offsets.push(runs.length / 2);
    }
  }
  return { ...ranges, queryBlock: FINE_BLOCK, offsets: Uint32Array.from(offsets), runs: Uint32Array.from(runs) };
}

/** What every query sees where no budget leaves anything out; else undefined. */
export function allSeen(blocks: readonly QueryBlock[], { position, count }: Queries): Ranges | undefined {
  return blocks.every((block) => block.budget >= block.end) ? denseCausal(count, position + count) : undefined;
}
