/** What the sparse methods of prefill share: their options checked, the blocks of queries that they choose for, and the budget of each. */
import { InputError } from '../../errors.ts';
import type { PrefillOptions } from '../options.ts';

/** Queries that share one choice of keys. */
export const QUERY_BLOCK = 128;

export interface SparseSettings {
  /** At most 1: a share of the keys up to the block's end; above: keys. */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  /** Last queries of the prompt that see everything. */
  readonly instruction: number;
}

/** Throws `InputError('argument')` for what cannot be. */
export function sparseSettings(options: PrefillOptions, defaults: Omit<SparseSettings, 'budget'>): SparseSettings {
  const { budget = 0.25, sinks = defaults.sinks, local = defaults.local, instruction = defaults.instruction } = options;
  if (!(budget > 0 && (budget <= 1 || Number.isInteger(budget)))) {
    throw new InputError('argument', `prefill.budget is ${budget}; give a share in (0, 1] or a whole number of tokens above 1`, { budget });
  }
  whole('sinks', sinks, 0);
  whole('local', local, 1);
  whole('instruction', instruction, 0);
  return { budget, sinks, local, instruction };
}

function whole(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= 0x7fffffff) return;
  throw new InputError('argument', `prefill.${name} is ${value}; give a whole number of tokens, at least ${least}`, { [name]: value });
}

/** Queries `[start, start + queries)` of a call, at positions from `position + start` on. */
export interface QueryBlock {
  readonly start: number;
  readonly queries: number;
  /** First key that is always seen as one of the newest: the first query still has `local` of them. */
  readonly local: number;
  /** Keys up to and with the last query's. */
  readonly end: number;
  /** Keys that the block's list may have, forced ones among them; `end` or more: all. */
  readonly budget: number;
}

export interface Queries {
  readonly position: number;
  readonly count: number;
  readonly promptEnd: number;
}

/** Blocks in which every query belongs to the instruction see everything; where it begins within a block: `withInstruction`. */
export function queryBlocks({ position, count, promptEnd }: Queries, { budget, local, instruction }: SparseSettings): QueryBlock[] {
  const blocks: QueryBlock[] = [];
  for (let start = 0; start < count; start += QUERY_BLOCK) {
    const queries = Math.min(QUERY_BLOCK, count - start);
    const first = position + start;
    const end = first + queries;
    const keys = budget <= 1 ? Math.ceil(budget * end) : budget;
    blocks.push({ start, queries, local: Math.max(0, first + 1 - local), end, budget: first >= promptEnd - instruction ? end : keys });
  }
  return blocks;
}

/** Spans of rows for `rowMeans`. */
export function blockSpans(blocks: readonly QueryBlock[]): Uint32Array {
  return Uint32Array.from(blocks.flatMap(({ start, queries }) => [start, start + queries]));
}
