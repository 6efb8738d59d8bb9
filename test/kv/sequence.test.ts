import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageIndex,
  pageNumber,
  type KvFormat,
  type KvPool,
} from '../../src/backend/backend.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { NO_PAGE, PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { closedBlocks, closedFormat, CLOSED_TOKENS, coarser } from '../../src/kv/precision.ts';
import { InputError } from '../../src/errors.ts';

/** A pool whose pages hold one number a token; conversion keeps it. */
interface TestPool extends KvPool {
  readonly page: (page: number) => number[];
  /** Calls of `reserve` beyond it fail. */
  limit: number;
  broken: boolean;
}
function pool(layers: number, kvHeads: number, limit = Infinity, format: 'f32' | 'f16' = 'f32'): TestPool {
  const data = Object.fromEntries(KV_FORMATS.map((f) => [f, [] as number[][]])) as Record<KvFormat, number[][]>;
  const page = (number: number): number[] => data[pageFormat(number)][pageIndex(number)]!;
  const all = (): number => KV_FORMATS.reduce((sum, f) => sum + data[f].length, 0);
  const made: TestPool = {
    page,
    limit,
    broken: false,
    spec: { layers, kvHeads, headDim: 32, format },
    pages: (f = format) => data[f].length,
    pageBytes: (f = format) => ({ f32: 32, f16: 16, q8: 9, q4: 5, q2: 3 })[f],
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
function append(memory: TestPool, sequence: Sequence, values: readonly number[]): void {
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
function content(memory: TestPool, sequence: Sequence, row: number): (number | undefined)[] {
  return Array.from({ length: sequence.length }, (_, p) => {
    const page = sequence.table[row * sequence.blocks + Math.floor(p / PAGE_TOKENS)]!;
    return page === NO_PAGE ? undefined : (memory.page(page)[p % PAGE_TOKENS]! - row) / 10;
  });
}

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const formatsOf = (sequence: Sequence, row = 0): (KvFormat | undefined)[] =>
  [
    ...sequence.table.subarray(row * sequence.blocks, row * sequence.blocks + Math.ceil(sequence.length / PAGE_TOKENS)),
  ].map((page) => (page === NO_PAGE ? undefined : pageFormat(page)));

const BITS: readonly KvBits[] = [16, 8, 4, 2, 'staircase'];

describe('sequences over pages', () => {
  test('any history of append, settle, truncate, fork, release and free keeps every content apart, and no page is lost', () => {
    const kinds = ['append', 'append', 'truncate', 'settle', 'settle', 'fork', 'release', 'free'] as const;
    const step = fc.record({
      kind: fc.constantFrom(...kinds),
      who: fc.nat(9),
      count: fc.integer({ min: 1, max: 120 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(...BITS), (steps, bits) => {
        const memory = pool(2, 3);
        const pages = new PageAllocator(memory);
        const capacity = 300;
        /** What each row should hold, undefined in holes; and how many blocks were ever closed of those that are there. */
        const alive: { sequence: Sequence; model: (number | undefined)[][]; closed: number }[] = [
          { sequence: new Sequence(pages, capacity), model: count(6).map(() => []), closed: 0 },
        ];
        let stamp = 0;
        for (const { kind, who, count } of steps) {
          const it = alive[who % Math.max(1, alive.length)];
          if (!it) continue;
          const { sequence, model } = it;
          if (kind === 'append') {
            const values = Array.from({ length: Math.min(count, capacity - sequence.length) }, () => ++stamp);
            append(memory, sequence, values);
            for (const row of model) row.push(...values);
          } else if (kind === 'truncate') {
            const { length } = sequence;
            let wanted = Math.min(count, length);
            if (it.closed * PAGE_TOKENS > groups(wanted)) wanted = groups(wanted);
            const hole = model.some((row) => row[Math.floor(wanted / PAGE_TOKENS) * PAGE_TOKENS] === undefined);
            if (wanted < length && hole) wanted -= wanted % PAGE_TOKENS;
            const left = sequence.truncate(count);
            expect(left).toBe(wanted);
            it.closed = Math.min(it.closed, Math.ceil(left / PAGE_TOKENS));
            for (const row of model) row.length = left;
          } else if (kind === 'settle') {
            sequence.settle(bits);
            if (bits !== 16) it.closed = Math.max(it.closed, groups(sequence.length) / PAGE_TOKENS);
          } else if (kind === 'fork') {
            alive.push({ sequence: sequence.fork(), model: model.map((row) => [...row]), closed: it.closed });
          } else if (kind === 'release') {
            const blocks = Math.floor(sequence.length / PAGE_TOKENS);
            if (blocks === 0) continue;
            const [row, block] = [count % 6, (count >> 2) % blocks];
            sequence.release(Math.floor(row / 3), row % 3, block);
            model[row]!.fill(undefined, block * PAGE_TOKENS, (block + 1) * PAGE_TOKENS);
          } else {
            sequence.free();
            alive.splice(alive.indexOf(it), 1);
          }
          for (const { sequence: s, model: m } of alive) {
            expect(s.length).toBe(m[0]!.length);
            for (let row = 0; row < 6; row++) expect(content(memory, s, row)).toEqual(m[row]);
            const there = new Set([...s.table].filter((page) => page !== NO_PAGE).map(pageFormat));
            expect(s.formats).toEqual(KV_FORMATS.filter((format) => format === 'f32' || there.has(format)));
          }
          const held = new Set(alive.flatMap(({ sequence: s }) => [...s.table].filter((page) => page !== NO_PAGE)));
          expect(pages.used).toBe(held.size);
          expect(pages.usedBytes).toBe([...held].reduce((sum, page) => sum + memory.pageBytes(pageFormat(page)), 0));
        }
        for (const { sequence } of alive) sequence.free();
        expect(pages.used).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test('a fork shares full blocks for good and copies only the partly filled one', () => {
    const memory = pool(1, 1);
    const pages = new PageAllocator(memory);
    const a = new Sequence(pages, 256);
    append(memory, a, count(70));
    expect(pages.used).toBe(3);
    const b = a.fork();
    expect(pages.used).toBe(3);
    const version = b.version;
    append(memory, b, [1]);
    expect(pages.used).toBe(4);
    expect(b.version).toBeGreaterThan(version);
    expect([...b.table.subarray(0, 2)]).toEqual([...a.table.subarray(0, 2)]);
    // Now the first owner is alone with its block and writes in place.
    const before = a.version;
    append(memory, a, [2]);
    expect(pages.used).toBe(4);
    expect(a.version).toBe(before);
  });

  test('the version moves exactly when the table does', () => {
    const sequence = new Sequence(new PageAllocator(pool(1, 2)), 96);
    const steps = [
      ...count(97).map((tokens) => () => sequence.ensure(tokens)),
      () => sequence.settle(4),
      () => sequence.settle(4),
      () => sequence.release(0, 1, 0),
      () => sequence.release(0, 1, 0),
    ];
    for (const step of steps) {
      const [table, version] = [String(sequence.table), sequence.version];
      step();
      expect(sequence.version !== version).toBe(String(sequence.table) !== table);
    }
  });

  test('beyond the capacity, after free, pages of nobody: typed errors that change nothing', () => {
    const memory = pool(1, 1, 2);
    const pages = new PageAllocator(memory);
    const sequence = new Sequence(pages, 100);
    sequence.ensure(64);
    expect(() => sequence.ensure(101)).toThrow(InputError);
    expect(() => sequence.ensure(65)).toThrow('out of memory');
    expect(sequence.length).toBe(64);
    expect(pages.used).toBe(2);
    sequence.free();
    sequence.free();
    expect(() => sequence.ensure(1)).toThrow(InputError);
    for (const page of [0, NO_PAGE, pageNumber('q4', 3)]) expect(() => pages.release(page)).toThrow(InputError);
  });

  test('where there is no room for growth by half, the exact need is tried; then what is held for convenience is given up', () => {
    const pages = new PageAllocator(pool(1, 1, 11));
    const held = pages.allocate(10);
    expect(held).toHaveLength(10);
    expect(pages.allocate(1)).toEqual([10]);
    pages.reclaim = () => {
      const page = held.pop();
      if (page !== undefined) pages.release(page);
      return page !== undefined;
    };
    expect(pages.allocate(2)).toHaveLength(2);
    expect(held).toHaveLength(8);
    expect(() => pages.allocate(9)).toThrow('out of memory');
  });
});

/** Down to where tokens are closed together. */
const groups = (length: number): number => length - (length % CLOSED_TOKENS);

describe('closing', () => {
  test.each([
    ['f32', 8, 'q8'],
    ['f16', 4, 'q4'],
    ['f32', 2, 'q2'],
  ] as const)('%s pages at %s bits: all but the newest 0 to 127 tokens', (open, bits, closed) => {
    const memory = pool(2, 1, Infinity, open);
    const sequence = new Sequence(new PageAllocator(memory), 400);
    for (let tokens = 1; tokens <= 300; tokens++) {
      append(memory, sequence, [tokens]);
      sequence.settle(bits);
      const closedCount = groups(tokens) / PAGE_TOKENS;
      const formats = formatsOf(sequence, 1);
      expect(formats).toEqual(formats.map((_, block) => (block < closedCount ? closed : open)));
    }
    expect(content(memory, sequence, 1)).toEqual(count(300).map((i) => i + 1));
  });

  test('staircase: newest quarter of the closed blocks 8, then 4, the oldest quarter 2 bits, from any growth', () => {
    for (const chunk of [1, 7, 32, 100, 670]) {
      const memory = pool(1, 1);
      const sequence = new Sequence(new PageAllocator(memory), 1000);
      for (let tokens = 0; tokens < 670; tokens += chunk) {
        append(memory, sequence, count(Math.min(chunk, 670 - tokens)));
        sequence.settle('staircase');
      }
      // 20 closed: 5 at 2 bits, 5 at 8.
      expect(formatsOf(sequence)).toEqual([
        ...Array(5).fill('q2'),
        ...Array(10).fill('q4'),
        ...Array(5).fill('q8'),
        'f32',
      ]);
      sequence.free();
      expect(sequence.pages.used).toBe(0);
    }
    for (let closed = 1; closed < 60; closed++) {
      for (let block = 0; block < closed; block++)
        expect(coarser(closedFormat(block, closed, 'staircase'), closedFormat(block, closed + 1, 'staircase'))).toBe(
          false,
        );
    }
    expect([0, 127, 128, 255, 256].map((length) => closedBlocks(length, 4))).toEqual([0, 0, 4, 4, 8]);
    expect(closedBlocks(1000, 16)).toBe(0);
  });

  test('what was appended since the last closing can be undone; before it, the tokens that are closed too far are given up', () => {
    const memory = pool(1, 2);
    const pages = new PageAllocator(memory);
    const sequence = new Sequence(pages, 300);
    append(memory, sequence, count(200));
    sequence.settle(4);
    expect(formatsOf(sequence)).toEqual(['q4', 'q4', 'q4', 'q4', 'f32', 'f32', 'f32']);
    expect(sequence.truncate(190)).toBe(190);
    const { version } = sequence;
    append(memory, sequence, [7]);
    expect(sequence.version).toBe(version);
    expect(sequence.truncate(128)).toBe(128);
    expect(formatsOf(sequence)).toEqual(['q4', 'q4', 'q4', 'q4']);
    append(memory, sequence, count(150));
    sequence.settle(4);
    expect(sequence.truncate(250)).toBe(128);
    expect(content(memory, sequence, 1)).toEqual(count(128));
    expect(sequence.truncate(127)).toBe(0);
    expect(pages.used).toBe(0);
  });

  test('a fork shares closed pages; what one closes, the other keeps as it was', () => {
    const memory = pool(1, 1);
    const pages = new PageAllocator(memory);
    const a = new Sequence(pages, 300);
    append(memory, a, count(140));
    const b = a.fork();
    a.settle(2);
    expect(formatsOf(a)).toEqual(['q2', 'q2', 'q2', 'q2', 'f32']);
    expect(formatsOf(b)).toEqual(['f32', 'f32', 'f32', 'f32', 'f32']);
    expect(pages.used).toBe(9);
    const c = a.fork();
    expect(pages.used).toBe(9);
    expect(c.truncate(130)).toBe(130);
    append(memory, c, [5]);
    expect(formatsOf(c)).toEqual(['q2', 'q2', 'q2', 'q2', 'f32']);
    expect(c.truncate(100)).toBe(0);
    expect(b.truncate(100)).toBe(100);
    expect(content(memory, a, 0)).toEqual(count(140));
    for (const sequence of [a, b, c]) sequence.free();
    expect(pages.used).toBe(0);
  });

  test('when the device has no room or fails, nothing has changed', () => {
    const memory = pool(1, 1, 8);
    const pages = new PageAllocator(memory);
    const sequence = new Sequence(pages, 300);
    append(memory, sequence, count(200));
    const table = String(sequence.table);
    memory.limit = 7;
    expect(() => sequence.settle(4)).toThrow('out of memory');
    expect([String(sequence.table), pages.used]).toEqual([table, 7]);
    memory.limit = 100;
    memory.broken = true;
    expect(() => sequence.settle(4)).toThrow('lost');
    expect([String(sequence.table), pages.used]).toEqual([table, 7]);
    memory.broken = false;
    sequence.settle(4);
    expect(formatsOf(sequence)).toEqual([...Array(4).fill('q4'), 'f32', 'f32', 'f32']);
    const copy = sequence.fork();
    memory.broken = true;
    expect(() => sequence.ensure(210)).toThrow('lost');
    expect([sequence.length, pages.used]).toEqual([200, 7]);
    copy.free();
  });
});

describe('holes', () => {
  test('released and replaced pages, what they refuse, and where a sequence can be gone on from', () => {
    const memory = pool(2, 2);
    const pages = new PageAllocator(memory);
    const sequence = new Sequence(pages, 300);
    append(memory, sequence, count(150));
    expect(() => sequence.release(0, 0, 4)).toThrow('no such full block');
    expect(() => sequence.release(2, 0, 0)).toThrow(InputError);
    sequence.release(1, 0, 1);
    sequence.release(1, 0, 1);
    expect(pages.used).toBe(19);
    expect([...sequence.pagesOf(1)].map((page) => page === NO_PAGE)).toEqual([false, false, true, false]);
    const [mean] = pages.allocate(1) as [number];
    sequence.replace(1, 0, 2, mean);
    expect([...sequence.pagesOf(2)][2]).toBe(mean);
    expect(pages.used).toBe(19);
    expect([0, 1, 2, 3].map((block) => sequence.whole(block))).toEqual([true, false, false, true]);
    const copy = sequence.fork();
    expect(copy.truncate(70)).toBe(64);
    expect(copy.truncate(33)).toBe(32);
    copy.settle(8);
    append(memory, copy, [1]);
    copy.free();
    sequence.settle(8);
    // What stands for something else is not closed.
    expect(formatsOf(sequence, 2)).toEqual(['q8', undefined, 'f32', 'q8', 'f32']);
    expect(formatsOf(sequence, 1)).toEqual(['q8', 'q8', 'q8', 'q8', 'f32']);
    expect(sequence.truncate(140)).toBe(140);
    const [back] = pages.allocate(1) as [number];
    expect(() => sequence.restore(0, 0, 1, back)).toThrow('has its page');
    sequence.restore(1, 0, 1, back);
    expect(sequence.whole(1)).toBe(true);
    sequence.free();
    expect(pages.used).toBe(0);
  });
});

describe('adopting', () => {
  test('pages of another sequence or a store, all or nothing', () => {
    const memory = pool(1, 2);
    const pages = new PageAllocator(memory);
    const from = new Sequence(pages, 300);
    append(memory, from, count(100));
    from.settle(4);
    const blocks = [0, 1, 2, 3].map((block) => from.pagesOf(block));
    const to = new Sequence(pages, 200);
    const retained = (): void => blocks.forEach((block) => block.forEach((page) => pages.retain(page)));
    const before = pages.used;
    for (const [list, tokens] of [
      [blocks, 90],
      [blocks, 300],
      [blocks.slice(0, 2), 100],
      [[Int32Array.of(0)], 32],
      [[Int32Array.of(90, 91)], 32],
      [[Int32Array.of(0, NO_PAGE)], 20],
    ] as const) {
      expect(() => to.adopt(list, tokens)).toThrow(InputError);
      expect([to.length, pages.used, to.version]).toEqual([0, before, 0]);
    }
    retained();
    to.adopt(blocks, 100);
    expect(content(memory, to, 1)).toEqual(count(100));
    append(memory, to, [7]);
    expect(content(memory, from, 1)).toEqual(count(100));
    expect(() => to.adopt(blocks, 200)).toThrow('ends within a block');
    from.free();
    to.settle(4);
    expect(content(memory, to, 0)).toEqual([...count(100), 7]);
    to.free();
    expect(pages.used).toBe(0);
  });

  test('an open page among closed ones is what `replace` put there', () => {
    const memory = pool(1, 2);
    const pages = new PageAllocator(memory);
    const to = new Sequence(pages, 200);
    const [open] = pages.allocate(1) as [number];
    const [closed] = pages.allocate(1, 'q4') as [number];
    to.adopt([Int32Array.of(open, closed)], 32);
    append(memory, to, count(100));
    to.settle(4);
    expect(formatsOf(to, 0)).toEqual(['f32', 'q4', 'q4', 'q4', 'f32']);
    expect(to.whole(0)).toBe(false);
  });
});
