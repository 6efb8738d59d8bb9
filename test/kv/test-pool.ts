/** A page pool for tests of sequences, and helpers that write and read the numbers in its pages. */
import { expect } from '@jest/globals';
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageIndex,
  type KvFormat,
  type KvPool,
} from '../../src/backend/backend.ts';
import { NO_PAGE, type Sequence } from '../../src/kv/sequence.ts';
import { CLOSED_TOKENS, type KvBits } from '../../src/kv/precision.ts';

/** A pool whose pages hold one number a token; conversion keeps it. */
export interface TestPool extends KvPool {
  readonly page: (page: number) => number[];
  /** Calls of `reserve` beyond it fail. */
  limit: number;
  broken: boolean;
}
export function pool(layers: number, kvHeads: number, limit = Infinity, format: 'f32' | 'f16' = 'f32'): TestPool {
  const data = Object.fromEntries(KV_FORMATS.map((f) => [f, [] as number[][]])) as Record<KvFormat, number[][]>;
  const page = (number: number): number[] => data[pageFormat(number)][pageIndex(number)]!;
  const all = (): number => KV_FORMATS.reduce((sum, f) => sum + data[f].length, 0);
  const made: TestPool = {
    page,
    limit,
    broken: false,
    spec: { layers, kvHeads, headDim: 32, format },
    pages: (f = format) => data[f].length,
    pageBytes: (f = format) => ({ f32: 32, f16: 16, q8: 9, q4: 5, q2: 3, k8v4: 7, k4v2: 4 })[f],
    reserve: (pages, f = format) => {
      if (all() - data[f].length + pages > made.limit) throw new Error('out of memory');
      while (data[f].length < pages) data[f].push(Array.from({ length: PAGE_TOKENS }, () => NaN));
    },
    shrink: (pages, f = format) => void (data[f].length = pages),
    copy: (from, to) => {
      if (made.broken) throw new Error('lost');
      data[pageFormat(to)][pageIndex(to)] = [...page(from)];
    },
    convert: (from, to) => {
      if (made.broken) throw new Error('lost');
      from.forEach((source, i) => (data[pageFormat(to[i]!)][pageIndex(to[i]!)] = [...page(source)]));
    },
    read: async () => new Uint8Array(0),
    write: () => {},
    free: () => {},
  };
  return made;
}

/** Writes `values` at the end of a sequence, in every row. */
export function append(memory: TestPool, sequence: Sequence, values: readonly number[]): void {
  const start = sequence.length;
  sequence.ensure(start + values.length);
  values.forEach((value, i) => {
    for (let row = 0; row < sequence.pagesPerBlock; row++) {
      const position = start + i;
      const page = sequence.table[row * sequence.blocks + Math.floor(position / PAGE_TOKENS)]!;
      expect(pageFormat(page)).toBe(memory.spec.format);
      memory.page(page)[position % PAGE_TOKENS] = value * 10 + row;
    }
  });
}

/** By position; undefined in holes. */
export function content(memory: TestPool, sequence: Sequence, row: number): (number | undefined)[] {
  return Array.from({ length: sequence.length }, (_, p) => {
    const page = sequence.table[row * sequence.blocks + Math.floor(p / PAGE_TOKENS)]!;
    return page === NO_PAGE ? undefined : (memory.page(page)[p % PAGE_TOKENS]! - row) / 10;
  });
}

export const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
export const formatsOf = (sequence: Sequence, row = 0): (KvFormat | undefined)[] =>
  [
    ...sequence.table.subarray(row * sequence.blocks, row * sequence.blocks + Math.ceil(sequence.length / PAGE_TOKENS)),
  ].map((page) => (page === NO_PAGE ? undefined : pageFormat(page)));

export const BITS: readonly KvBits[] = [16, 8, 4, 2, 'staircase'];

/** `length` rounded down to a multiple at which tokens are closed together. */
export const groups = (length: number): number => length - (length % CLOSED_TOKENS);
