import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { PAGE_TOKENS, pageFormat } from '../../src/backend/backend.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { Prefixes, type SharedPrompt } from '../../src/kv/prefixes.ts';
import { ReferencePool } from '../reference/pages.ts';

const HEAD_DIM = 4;
const OPEN_BLOCK = 2 * 2 * PAGE_TOKENS * HEAD_DIM * 4;

function pool(): ReferencePool {
  return new ReferencePool({ layers: 1, kvHeads: 2, headDim: HEAD_DIM, format: 'f32' }, () => undefined);
}

function prompt(ids: readonly number[], more: Partial<SharedPrompt> = {}): SharedPrompt {
  return { ids: Int32Array.from(ids), spans: [], contentKey: '', bits: 16, ...more };
}
const count = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);

/** Appends ids as keys and values that stand for all ids up to theirs, as computed ones do. */
function read(sequence: Sequence, { ids, bits }: SharedPrompt, cached: number): void {
  const memory = sequence.pool as ReferencePool;
  sequence.ensure(ids.length);
  for (let p = cached; p < ids.length; p++)
    for (let head = 0; head < 2; head++)
      for (const part of [0, 1] as const) memory.row(sequence, 0, head, p, part).fill(state(ids, p));
  sequence.settle(bits);
}
function state(ids: Int32Array, p: number): number {
  let hash = 7;
  for (let i = 0; i <= p; i++) hash = (Math.imul(hash, 31) + ids[i]!) % 10007;
  return hash;
}
/** Whether the sequence holds what reading the ids makes. */
function holds(sequence: Sequence, ids: Int32Array): void {
  const memory = sequence.pool as ReferencePool;
  for (let p = 0; p < sequence.length; p++) expect(memory.row(sequence, 0, 1, p, 0)[0]).toBe(state(ids, p));
}

describe('equal beginnings', () => {
  test('a second sequence adopts whole blocks of what the first has read, and goes its own way', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 1e9);
    const first = prompt(count(100));
    const a = new Sequence(pages, 200);
    read(a, first, 0);
    prefixes.publish(first, a);
    expect(prefixes.idle).toBe(0);
    const second = prompt([...count(70), ...count(60, 500)]);
    const b = new Sequence(pages, 200);
    prefixes.adopt(second, b);
    expect(b.length).toBe(64);
    expect([...b.pagesOf(1)]).toEqual([...a.pagesOf(1)]);
    read(b, second, 64);
    holds(a, first.ids);
    holds(b, second.ids);
    const used = pages.used;
    a.free();
    // The partly filled block is gone, the three whole ones are remembered, two of them still held by b.
    expect([pages.used, prefixes.idle]).toEqual([used - 2, 2]);
    b.free();
    expect([pages.used, prefixes.idle]).toEqual([6, 6]);
    prefixes.free();
    expect(pages.used).toBe(0);
  });

  test('never the last id, never beyond the capacity, never less than there is', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 1e9);
    const all = prompt(count(160));
    const a = new Sequence(pages, 200);
    read(a, all, 0);
    prefixes.publish(all, a);
    const adopted = (ids: number[], capacity: number, held = 0): number => {
      const b = new Sequence(pages, capacity);
      if (held > 0) read(b, prompt(ids.slice(0, held)), 0);
      prefixes.adopt(prompt(ids), b);
      if (b.length > 0) holds(b, Int32Array.from(ids));
      const { length } = b;
      b.free();
      return length;
    };
    expect(adopted(count(160), 200)).toBe(128);
    expect(adopted(count(161), 200)).toBe(160);
    expect(adopted(count(161), 100)).toBe(96);
    expect(adopted(count(161), 200, 40)).toBe(160);
    expect(adopted([...count(64), 999, ...count(50)], 200, 65)).toBe(65);
    expect(adopted([1, ...count(160)], 200)).toBe(0);
    a.free();
    prefixes.free();
    expect(pages.used).toBe(0);
  });

  test('equal ids are not enough: pictures and settings count, wherever they stand', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 1e9);
    const ids = count(128);
    const picture = { at: 40, tokens: 50, contentKey: 'a', bidirectional: false };
    const given = prompt(ids, { spans: [picture], contentKey: 'dhsa' });
    const a = new Sequence(pages, 200);
    read(a, given, 0);
    prefixes.publish(given, a);
    const adopted = (more: Partial<SharedPrompt>): number => {
      const b = new Sequence(pages, 200);
      prefixes.adopt(prompt([...ids, 1], { contentKey: 'dhsa', ...more }), b);
      const { length } = b;
      b.free();
      return length;
    };
    expect(adopted({ spans: [picture] })).toBe(128);
    expect(adopted({ spans: [{ ...picture, contentKey: 'b' }] })).toBe(32);
    expect(adopted({ spans: [{ ...picture, at: 41 }] })).toBe(32);
    expect(adopted({ spans: [] })).toBe(32);
    expect(adopted({ spans: [picture, { at: 100, tokens: 5, contentKey: 'c', bidirectional: false }] })).toBe(96);
    expect(adopted({ spans: [picture], contentKey: 'dense' })).toBe(0);
    // A shared beginning does not end inside a span whose tokens attend to each other in both directions.
    const open = { at: 100, tokens: 60, contentKey: 'd', bidirectional: true };
    expect(adopted({ spans: [picture, open] })).toBe(96);
    expect(adopted({ spans: [{ ...picture, tokens: 88 }] })).toBe(32);
    a.free();
  });

  test('closed pages are shared as they are; blocks with holes, still open, or in another format than they would have are not', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 1e9);
    const formats = (bits: KvBits, tokens: number): string => {
      const b = new Sequence(pages, 1000);
      prefixes.adopt(prompt(count(tokens), { bits, contentKey: String(bits) }), b);
      const found = Array.from({ length: b.length / PAGE_TOKENS }, (_, block) => pageFormat(b.pagesOf(block)[0]!)).join(
        ' ',
      );
      b.free();
      return found;
    };
    const publish = (bits: KvBits, tokens: number, change?: (sequence: Sequence) => void): void => {
      const given = prompt(count(tokens), { bits, contentKey: String(bits) });
      const a = new Sequence(pages, 1000);
      read(a, given, 0);
      change?.(a);
      prefixes.publish(given, a);
      a.free();
    };
    publish(4, 270);
    const eight = (format: string): string => Array(8).fill(format).join(' ');
    expect(formats(4, 271)).toBe(eight('q4'));
    expect(formats(4, 2000)).toBe(eight('q4'));
    // Whole groups only: behind less, tokens are open that are closed here.
    expect(formats(4, 256)).toBe('q4 q4 q4 q4');
    expect(formats(4, 128)).toBe('');
    publish(8, 500, (sequence) => sequence.release(0, 1, 6));
    expect(formats(8, 500)).toBe('q8 q8 q8 q8');
    // 20 closed, 4 at 2 bits: another length has others.
    publish('staircase', 650);
    expect(formats('staircase', 700).startsWith('q8 q2 q2 q2 q2 q4')).toBe(true);
    expect(formats('staircase', 600)).toBe('');
    prefixes.free();
    publish('staircase', 140);
    expect(formats('staircase', 700)).toBe('q8 q4 q4 q8');
    prefixes.free();
    expect(pages.used).toBe(0);
  });

  test('positions of slots go with the pages', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 1e9);
    const given = prompt(count(100));
    const a = new Sequence(pages, 200);
    const values = Int32Array.from({ length: 200 }, (_, slot) => (slot < 40 ? slot : slot + 10));
    a.positions = { axes: 1, values };
    read(a, given, 0);
    prefixes.publish(given, a);
    const b = new Sequence(pages, 150);
    prefixes.adopt(prompt(count(97)), b);
    expect(b.length).toBe(96);
    expect([...b.positions!.values.subarray(0, 96)]).toEqual([...values.subarray(0, 96)]);
    expect(b.positions!.values).toHaveLength(150);
    for (const sequence of [a, b]) sequence.free();
  });

  test('what was used last stays, within the bound; a device without room gets all of it back', () => {
    const pages = new PageAllocator(pool());
    const prefixes = new Prefixes(pages, 4 * OPEN_BLOCK);
    const publish = (from: number, tokens: number): void => {
      const given = prompt(count(tokens, from));
      const a = new Sequence(pages, 1000);
      prefixes.adopt(given, a);
      read(a, given, a.length);
      prefixes.publish(given, a);
      a.free();
    };
    const known = (from: number): number => {
      const b = new Sequence(pages, 1000);
      prefixes.adopt(prompt(count(900, from)), b);
      const { length } = b;
      b.free();
      return length;
    };
    publish(0, 64);
    publish(1000, 64);
    expect([known(0), known(1000)]).toEqual([64, 64]);
    known(0);
    publish(2000, 64);
    expect([known(1000), known(0), known(2000)]).toEqual([0, 64, 64]);
    // One longer than the bound: its first blocks, without which the others are of no use, stay.
    publish(3000, 300);
    expect([known(3000), known(0), known(2000)]).toEqual([128, 0, 0]);
    expect(pages.used).toBe(8);
    expect(pages.reclaim?.()).toBe(true);
    while (pages.reclaim?.() === true);
    expect(pages.used).toBe(0);
    publish(0, 64);
    expect(known(0)).toBe(64);
  });

  test('any history: whatever is adopted is what reading would have made, and no page is lost', () => {
    const ids = fc
      .array(fc.nat(1), { minLength: 1, maxLength: 6 })
      .map((blocks) => blocks.flatMap((block) => count(PAGE_TOKENS, 100 * block)));
    const step = fc.record({ ids, extra: fc.nat(40), end: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), fc.integer({ min: 0, max: 12 }), (steps, blocks) => {
        const pages = new PageAllocator(pool());
        const prefixes = new Prefixes(pages, blocks * OPEN_BLOCK);
        const alive: Sequence[] = [];
        for (const { ids, extra, end } of steps) {
          const given = prompt([...ids, ...count(extra, 7)]);
          const sequence = new Sequence(pages, 300);
          prefixes.adopt(given, sequence);
          holds(sequence, given.ids);
          read(sequence, given, sequence.length);
          prefixes.publish(given, sequence);
          holds(sequence, given.ids);
          if (end) sequence.free();
          else alive.push(sequence);
        }
        for (const sequence of alive) sequence.free();
        expect(pages.used).toBe(prefixes.idle);
        expect(pages.usedBytes).toBeLessThanOrEqual(blocks * OPEN_BLOCK);
        prefixes.free();
        expect(pages.used).toBe(0);
      }),
      { numRuns: 25 },
    );
  });
});
