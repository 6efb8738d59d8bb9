import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Ranges } from '../../src/backend/backend.ts';
import { checkRanges } from '../../src/backend/page-checks.ts';
import { withinSpans } from '../../src/kv/open-spans.ts';
import { bidirectional, denseCausal, slidingWindow, withinWindow } from '../../src/kv/ranges.ts';
import { InputError } from '../../src/errors.ts';

/** The keys that a query sees, by the contract's words. */
function seen(ranges: Ranges, query: number, position: number, head: number, kvHeads: number): number[] {
  const heads = ranges.shared ? 1 : kvHeads;
  const list = Math.floor(query / ranges.queryBlock) * heads + (ranges.shared ? 0 : head);
  const keys: number[] = [];
  for (let r = ranges.offsets[list]!; r < ranges.offsets[list + 1]!; r++) {
    for (let key = ranges.runs[2 * r]!; key < ranges.runs[2 * r + 1]!; key++)
      if (!ranges.causal || key <= position + query) keys.push(key);
  }
  return keys;
}
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test('dense', () => {
  const causal = denseCausal(4, 10);
  checkRanges('test', causal, { queryCount: 4, kvHeads: 2, keyCount: 10 });
  expect(seen(causal, 1, 6, 1, 2)).toEqual(upTo(8));
  expect(seen(bidirectional(4, 10), 1, 6, 1, 2)).toEqual(upTo(10));
});

test('sliding window with sinks: exact for every query', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.nat(40),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(8),
      (queryCount, position, window, sinks) => {
        const ranges = slidingWindow(queryCount, position, window, sinks);
        checkRanges('test', ranges, { queryCount, kvHeads: 3, keyCount: position + queryCount });
        for (let query = 0; query < queryCount; query++) {
          const p = position + query;
          expect(seen(ranges, query, position, 0, 3)).toEqual(
            upTo(p + 1).filter((key) => key > p - window || key < sinks),
          );
        }
      },
    ),
  );
  expect(slidingWindow(4, 0, 4).queryBlock).toBe(4);
});

test('spans that are seen in both directions, within a window and without: exact for every query', () => {
  const argument = fc.record({
    position: fc.nat(20),
    before: fc.nat(5),
    tokens: fc.integer({ min: 1, max: 9 }),
    between: fc.nat(3),
    after: fc.nat(5),
    window: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(argument, ({ position, before, tokens, between, after, window }) => {
      const first = position + before;
      const second = first + tokens + between;
      const spans = [
        [first, first + tokens],
        [second, second + tokens],
      ] as const;
      const queryCount = before + tokens + between + tokens + after;
      const keyCount = position + queryCount;
      const opened = withinSpans(denseCausal(queryCount, keyCount), { queryCount, position, spans });
      const limited = withinWindow(opened, { queryCount, position, window });
      for (const [ranges, behind] of [
        [opened, Infinity],
        [limited, window],
      ] as const) {
        checkRanges('test', ranges, { queryCount, kvHeads: 2, keyCount });
        for (let query = 0; query < queryCount; query++) {
          const own = position + query;
          const together = (key: number): boolean =>
            spans.some(([start, end]) => start <= own && own < end && start <= key && key < end);
          expect(seen(ranges, query, position, 0, 2)).toEqual(
            upTo(keyCount).filter((key) => (key <= own || together(key)) && key > own - behind),
          );
        }
      }
    }),
  );
  const text = denseCausal(3, 9);
  expect(withinSpans(text, { queryCount: 3, position: 6, spans: [[1, 4]] })).toBe(text);
});

test('a window over ranges of each head', () => {
  const ranges: Ranges = {
    queryBlock: 2,
    shared: false,
    causal: true,
    offsets: Uint32Array.of(0, 1, 3, 4, 5),
    runs: Uint32Array.of(0, 9, 0, 3, 6, 9, 2, 11, 8, 11),
  };
  checkRanges('test', ranges, { queryCount: 4, kvHeads: 2, keyCount: 11 });
  const limited = withinWindow(ranges, { queryCount: 4, position: 7, window: 4, sinks: 1 });
  checkRanges('test', limited, { queryCount: 4, kvHeads: 2, keyCount: 11 });
  for (let query = 0; query < 4; query++) {
    for (let head = 0; head < 2; head++) {
      expect(seen(limited, query, 7, head, 2)).toEqual(
        seen(ranges, query, 7, head, 2).filter((key) => key > 7 + query - 4 || key < 1),
      );
    }
  }
});

test('what is not sorted, disjoint, complete or in bounds is refused', () => {
  const good = denseCausal(4, 10);
  const limits = { queryCount: 4, kvHeads: 1, keyCount: 10 };
  const bad: Partial<Ranges>[] = [
    { queryBlock: 0 },
    { queryBlock: 2 },
    { shared: false, offsets: Uint32Array.of(0, 1, 1) },
    { offsets: Uint32Array.of(1, 1) },
    { offsets: Uint32Array.of(0, 2) },
    { runs: Uint32Array.of(0, 11) },
    { runs: Uint32Array.of(6, 5) },
    { runs: Uint32Array.of(0, 4, 3, 6), offsets: Uint32Array.of(0, 2) },
  ];
  for (const change of bad) expect(() => checkRanges('test', { ...good, ...change }, limits)).toThrow(InputError);
  expect(() => slidingWindow(1, 0, 0)).toThrow(InputError);
});
