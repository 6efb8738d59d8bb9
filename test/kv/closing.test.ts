/** Closing of pages by age: which tokens are closed, at how many bits, and what truncation does to them. */
import { describe, expect, test } from '@jest/globals';
import { PAGE_TOKENS } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { closedBlocks, closedFormat, coarser } from '../../src/kv/precision.ts';
import { pool, append, content, count, formatsOf, groups } from './test-pool.ts';

describe('closing', () => {
  test.each([
    ['f32', 8, 'q8'],
    ['f16', 4, 'q4'],
    ['f32', 2, 'q2'],
    ['f16', { keys: 8, values: 4 }, 'k8v4'],
    ['f32', { keys: 4, values: 2 }, 'k4v2'],
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

  test('staircase: newest quarter of the closed blocks 8, then 4, the oldest quarter 2 bits but for the first block, from any growth', () => {
    for (const chunk of [1, 7, 32, 100, 670]) {
      const memory = pool(1, 1);
      const sequence = new Sequence(new PageAllocator(memory), 1000);
      for (let tokens = 0; tokens < 670; tokens += chunk) {
        append(memory, sequence, count(Math.min(chunk, 670 - tokens)));
        sequence.settle('staircase');
      }
      // 20 closed: 5 at 8 bits, and the first; 4 at 2.
      expect(formatsOf(sequence)).toEqual([
        'q8',
        ...Array(4).fill('q2'),
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

  test.each([
    [{ newest: 0.5, oldest: 0 }, ['q8', ...Array(9).fill('q4'), ...Array(10).fill('q8')]],
    [{ newest: 0, oldest: 0.3 }, ['q8', ...Array(5).fill('q2'), ...Array(14).fill('q4')]],
    [{ newest: 0.1, oldest: 0.9 }, ['q8', ...Array(17).fill('q2'), ...Array(2).fill('q8')]],
  ] as const)('staircase of the shares %j, which never becomes finer', (bits, formats) => {
    expect(count(20).map((block) => closedFormat(block, 20, bits))).toEqual(formats);
    for (let closed = 1; closed < 60; closed++)
      for (let block = 0; block < closed; block++)
        expect(coarser(closedFormat(block, closed, bits), closedFormat(block, closed + 1, bits))).toBe(false);
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
