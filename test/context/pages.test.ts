import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { PAGE_TOKENS, type KvPool } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/context/pages.ts';
import { InputError } from '../../src/errors.ts';

/** A pool whose pages hold one number a token. */
function pool(layers: number, kvHeads: number, limit = Infinity): KvPool & { readonly data: number[][] } {
  const data: number[][] = [];
  return {
    data,
    spec: { layers, kvHeads, headDim: 32, format: 'f32' },
    pages: () => data.length,
    pageBytes: () => 0,
    reserve: (pages) => {
      if (pages > limit) throw new Error('out of memory');
      while (data.length < pages) data.push(Array.from({ length: PAGE_TOKENS }, () => NaN));
    },
    copy: (from, to) => {
      data[to] = [...data[from]!];
    },
    convert: () => {},
    read: async () => new Uint8Array(0),
    write: () => {},
    free: () => {},
  };
}

/** Writes `values` at the end of a sequence, in every lane. */
function append(memory: ReturnType<typeof pool>, sequence: Sequence, values: readonly number[]): void {
  const start = sequence.length;
  sequence.ensure(start + values.length);
  const lanes = memory.spec.layers * memory.spec.kvHeads;
  values.forEach((value, i) => {
    for (let lane = 0; lane < lanes; lane++) {
      const position = start + i;
      const page = sequence.table[lane * sequence.blocks + Math.floor(position / PAGE_TOKENS)]!;
      memory.data[page]![position % PAGE_TOKENS] = value * 10 + lane;
    }
  });
}

function content(memory: ReturnType<typeof pool>, sequence: Sequence, lane: number): number[] {
  return Array.from({ length: sequence.length }, (_, p) => {
    const page = sequence.table[lane * sequence.blocks + Math.floor(p / PAGE_TOKENS)]!;
    return (memory.data[page]![p % PAGE_TOKENS]! - lane) / 10;
  });
}

describe('sequences over pages', () => {
  test('any history of append, truncate, fork and free keeps every content apart, and no page is lost', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), who: fc.nat(9), count: fc.integer({ min: 1, max: 70 }) }),
      fc.record({ kind: fc.constant('truncate' as const), who: fc.nat(9), count: fc.nat(120) }),
      fc.record({ kind: fc.constant('fork' as const), who: fc.nat(9), count: fc.constant(0) }),
      fc.record({ kind: fc.constant('free' as const), who: fc.nat(9), count: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const memory = pool(2, 3);
        const pages = new PageAllocator(memory);
        const capacity = 200;
        const alive: { sequence: Sequence; model: number[] }[] = [{ sequence: new Sequence(pages, capacity), model: [] }];
        let stamp = 0;
        for (const { kind, who, count } of steps) {
          const it = alive[who % Math.max(1, alive.length)];
          if (!it) continue;
          const { sequence, model } = it;
          if (kind === 'append') {
            const values = Array.from({ length: Math.min(count, capacity - model.length) }, () => ++stamp);
            append(memory, sequence, values);
            model.push(...values);
          } else if (kind === 'truncate') {
            sequence.truncate(count);
            model.length = Math.min(model.length, count);
          } else if (kind === 'fork') {
            alive.push({ sequence: sequence.fork(), model: [...model] });
          } else {
            sequence.free();
            alive.splice(alive.indexOf(it), 1);
          }
          for (const { sequence: s, model: m } of alive) {
            expect(s.length).toBe(m.length);
            for (let lane = 0; lane < 6; lane++) expect(content(memory, s, lane)).toEqual(m);
          }
          const held = new Set(alive.flatMap(({ sequence: s }) => [...s.table].filter((page) => page >= 0)));
          expect(pages.used).toBe(held.size);
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
    append(memory, a, Array.from({ length: 70 }, (_, i) => i));
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
    for (let tokens = 1; tokens <= 96; tokens++) {
      const [table, version] = [String(sequence.table), sequence.version];
      sequence.ensure(tokens);
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
    expect(() => pages.release(0)).toThrow(InputError);
  });

  test('where there is no room for growth by half, the exact need is tried', () => {
    const pages = new PageAllocator(pool(1, 1, 11));
    expect(pages.allocate(10)).toHaveLength(10);
    expect(pages.allocate(1)).toEqual([10]);
  });
});
