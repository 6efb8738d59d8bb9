/** Sequences over pages: any history of operations, holes, and adopted blocks. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { KV_FORMATS, PAGE_TOKENS, pageFormat, pageNumber } from '../../src/backend/backend.ts';
import { NO_PAGE, PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { InputError } from '../../src/errors.ts';
import { pool, append, content, count, formatsOf, groups, BITS } from './test-pool.ts';

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
