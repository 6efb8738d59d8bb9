/**
 * Shared by the sparse methods of prefill: their checked options, the blocks of queries for which they choose, and the
 * budget of each.
 */
import type { Ranges } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { PrefillOptions } from '../options.ts';
import { denseCausal } from '../../kv/ranges.ts';

/** The number of queries whose mean chooses keys. */
const QUERY_BLOCK = 128;
/**
 * The number of queries that share a list. It is smaller, so that the newest keys, which move on with each query, take
 * less of the budget.
 */
export const LIST_BLOCK = 32;

export interface SparseSettings {
  /** At most 1: a share of the keys up to the block's end; above: keys. */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  /** The last queries of the prompt, which see everything. */
  readonly instruction: number;
}

/** Throws `InputError('argument')` for invalid options. */
export function sparseSettings(
  options: PrefillOptions,
  defaults: Omit<SparseSettings, 'budget'> & Partial<SparseSettings>,
): SparseSettings {
  const {
    budget = defaults.budget ?? 0.25,
    sinks = defaults.sinks,
    local = defaults.local,
    instruction = defaults.instruction,
  } = options;
  if (!(budget > 0 && (budget <= 1 || Number.isInteger(budget)))) {
    throw new InputError(
      'argument',
      `prefill.budget is ${budget}; give a share in (0, 1] or a whole number of tokens above 1`,
      { budget },
    );
  }
  whole('sinks', sinks, 0);
  whole('local', local, 1);
  whole('instruction', instruction, 0);
  return { budget, sinks, local, instruction };
}

function whole(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= 0x7fffffff) return;
  throw new InputError('argument', `prefill.${name} is ${value}; give a whole number of tokens, at least ${least}`, {
    [name]: value,
  });
}

/** A list of keys: for queries `[start, start + queries)` of a call, at positions from `position + start` on. */
export interface QueryBlock {
  readonly start: number;
  readonly queries: number;
  /** The index of the mean query that chooses, and the number of queries of which it is the mean. */
  readonly row: number;
  readonly pooled: number;
  /** The first of the newest keys that are always visible: the list's first query still has `local` of them. */
  readonly local: number;
  /** Keys up to and with the last query's. */
  readonly end: number;
  /** The number of keys that the list may have, including those always visible; `end` or more means all. */
  readonly budget: number;
}

export interface Queries {
  readonly position: number;
  readonly count: number;
  readonly promptEnd: number;
}

/**
 * Makes lists of LIST_BLOCK queries, four to a mean query. A list with a query of the instruction sees everything,
 * which is up to 31 queries too many. `queryBlock` of their ranges is LIST_BLOCK.
 */
export function queryBlocks(
  { position, count, promptEnd }: Queries,
  { budget, local, instruction }: SparseSettings,
): QueryBlock[] {
  const blocks: QueryBlock[] = [];
  for (let start = 0; start < count; start += LIST_BLOCK) {
    const queries = Math.min(LIST_BLOCK, count - start);
    const row = Math.floor(start / QUERY_BLOCK);
    const first = position + start;
    const end = first + queries;
    const keys = budget <= 1 ? Math.ceil(budget * end) : budget;
    const pooled = Math.min(QUERY_BLOCK, count - row * QUERY_BLOCK);
    blocks.push({
      start,
      queries,
      row,
      pooled,
      local: Math.max(0, first + 1 - local),
      end,
      budget: end > promptEnd - instruction ? end : keys,
    });
  }
  return blocks;
}

/** Returns spans of rows for `rowMeans`: the queries of each mean. */
export function pooledSpans(count: number): number[] {
  return Array.from({ length: Math.ceil(count / QUERY_BLOCK) }, (_, row) => [
    row * QUERY_BLOCK,
    Math.min(count, (row + 1) * QUERY_BLOCK),
  ]).flat();
}

/** Returns ranges in which every query sees all keys if no budget excludes any; otherwise undefined. */
export function allSeen(blocks: readonly QueryBlock[], { position, count }: Queries): Ranges | undefined {
  return blocks.every((block) => block.budget >= block.end) ? denseCausal(count, position + count) : undefined;
}
