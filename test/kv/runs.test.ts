/** Intersections, unions and holes of ranges, against one flag (and bias) a key. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { KvView, Ranges } from '../../src/backend/backend.ts';
import { checkRanges } from '../../src/backend/page-checks.ts';
import { denseCausal, withinWindow } from '../../src/kv/ranges.ts';
import { heldKeys, intersect, ListWriter, union, withHeads, withoutHoles, type RunList } from '../../src/kv/runs.ts';
import { InputError } from '../../src/errors.ts';

const KEYS = 40;
/** A list as a map of keys: undefined where the key is not shown, else its bias. */
type Shown = readonly (number | undefined)[];

const shown = fc.array(fc.option(fc.constantFrom(0, 0, 0, 1.5, -2), { nil: undefined }), {
  minLength: KEYS,
  maxLength: KEYS,
});

function write(out: ListWriter, keys: Shown): void {
  keys.forEach((bias, key) => {
    if (bias !== undefined) out.push(key, key + 1, bias);
  });
  out.next();
}

function build(lists: readonly Shown[], shape: Pick<Ranges, 'queryBlock' | 'shared' | 'causal'>): Ranges {
  const out = new ListWriter();
  for (const list of lists) write(out, list);
  return out.build(shape);
}

function listOf(keys: Shown): RunList {
  const { runs, bias } = build([keys], { queryBlock: 1, shared: true, causal: true });
  return { runs, bias };
}

function read(ranges: Ranges, list: number): Shown {
  const keys: (number | undefined)[] = Array.from({ length: KEYS });
  for (let r = ranges.offsets[list]!; r < ranges.offsets[list + 1]!; r++) {
    for (let key = ranges.runs[2 * r]!; key < ranges.runs[2 * r + 1]!; key++) {
      expect(keys[key]).toBeUndefined();
      keys[key] = ranges.bias?.[r] ?? 0;
    }
  }
  return keys;
}

const both = (a: Shown, b: Shown): Shown =>
  a.map((x, i) => (x === undefined || b[i] === undefined ? undefined : x + b[i]));
const either = (a: Shown, b: Shown): Shown => a.map((x, i) => x ?? b[i]);

/** Two query blocks; one list each where shared, else one a head. */
const heads = 3;
const ranges = (shared: boolean): fc.Arbitrary<{ maps: readonly Shown[]; ranges: Ranges }> =>
  fc
    .array(shown, { minLength: shared ? 2 : 2 * heads, maxLength: shared ? 2 : 2 * heads })
    .map((maps) => ({ maps, ranges: build(maps, { queryBlock: 4, shared, causal: true }) }));
const anyRanges = fc.boolean().chain(ranges);
const mapOf = (
  { maps, ranges: { shared } }: { maps: readonly Shown[]; ranges: Ranges },
  block: number,
  head: number,
): Shown => maps[shared ? block : block * heads + head]!;
const limits = { queryCount: 8, kvHeads: heads, keyCount: KEYS };

test('what a writer writes is read again, in as few runs as may be', () => {
  fc.assert(
    fc.property(fc.array(shown, { minLength: 2, maxLength: 2 }), (maps) => {
      const written = build(maps, { queryBlock: 4, shared: true, causal: true });
      checkRanges('test', written, limits);
      maps.forEach((map, list) => expect(read(written, list)).toEqual([...map]));
      for (let r = 1; r < written.runs.length / 2; r++) {
        const touches = written.runs[2 * r] === written.runs[2 * r - 1] && r !== written.offsets[1];
        expect(touches && (written.bias?.[r] ?? 0) === (written.bias?.[r - 1] ?? 0)).toBe(false);
      }
    }),
  );
});

test('intersection with one list a head, or one for all', () => {
  fc.assert(
    fc.property(anyRanges, fc.array(shown, { minLength: heads, maxLength: heads }), fc.boolean(), (from, maps, one) => {
      const met = intersect(from.ranges, (one ? maps.slice(0, 1) : maps).map(listOf));
      checkRanges('test', met, limits);
      expect(met.shared).toBe(from.ranges.shared && one);
      for (let block = 0; block < 2; block++) {
        for (let head = 0; head < heads; head++) {
          expect(read(met, met.shared ? block : block * heads + head)).toEqual([
            ...both(mapOf(from, block, head), maps[one ? 0 : head]!),
          ]);
        }
      }
    }),
  );
});

test('union, shared or not', () => {
  fc.assert(
    fc.property(anyRanges, anyRanges, (a, b) => {
      const joined = union(a.ranges, b.ranges);
      checkRanges('test', joined, limits);
      expect(joined.shared).toBe(a.ranges.shared && b.ranges.shared);
      for (let block = 0; block < 2; block++) {
        for (let head = 0; head < heads; head++) {
          expect(read(joined, joined.shared ? block : block * heads + head)).toEqual([
            ...either(mapOf(a, block, head), mapOf(b, block, head)),
          ]);
        }
      }
    }),
  );
  expect(() => union(denseCausal(4, 8), { ...denseCausal(4, 8), causal: false })).toThrow(InputError);
  expect(() =>
    intersect(
      { ...denseCausal(4, 8), shared: false, offsets: Uint32Array.of(0, 1, 1, 1), runs: Uint32Array.of(0, 8) },
      [listOf([0]), listOf([0])],
    ),
  ).toThrow(InputError);
});

test('the lists of some heads in place of theirs', () => {
  fc.assert(
    fc.property(
      anyRanges,
      fc.array(fc.option(shown, { nil: undefined }), { minLength: heads, maxLength: heads }),
      (from, maps) => {
        const put = withHeads(
          from.ranges,
          maps.map((map) => map && listOf(map)),
        );
        checkRanges('test', put, limits);
        for (let block = 0; block < 2; block++) {
          for (let head = 0; head < heads; head++)
            expect(read(put, block * heads + head)).toEqual([...(maps[head] ?? mapOf(from, block, head))]);
        }
      },
    ),
  );
});

test('a window keeps the biases of what it leaves', () => {
  fc.assert(
    fc.property(ranges(true), fc.integer({ min: 1, max: 20 }), fc.nat(5), (from, window, sinks) => {
      const position = 20;
      const limited = withinWindow(from.ranges, { queryCount: 8, position, window, sinks });
      for (let query = 0; query < 8; query++) {
        const whole = mapOf(from, Math.floor(query / 4), 0);
        const wanted = whole.map((bias, key) => (key < sinks || key > position + query - window ? bias : undefined));
        expect(read(limited, Math.floor(query / limited.queryBlock))).toEqual(wanted);
      }
    }),
  );
});

test('holes: what was released is in no list; without holes nothing changes', () => {
  const view = (table: readonly number[]): KvView => ({
    pool: { spec: { layers: 2, kvHeads: 2, headDim: 4, format: 'f32' } } as KvView['pool'],
    blocks: 3,
    table: Int32Array.from(table),
    version: 0,
  });
  const dense = denseCausal(4, 80);
  const whole = view([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(withoutHoles(dense, whole, 1, 80)).toBe(dense);
  // Blocks that are not in use yet are no holes.
  expect(heldKeys(view([0, -1, -1, 1, -1, -1, 6, 7, 8, 9, 10, 11]), 0, 32)).toBeUndefined();
  const holed = view([0, 1, 2, 3, 4, 5, 6, -1, 8, -1, 10, 11]);
  expect(withoutHoles(dense, holed, 0, 80)).toBe(dense);
  const left = withoutHoles(dense, holed, 1, 80);
  checkRanges('test', left, { queryCount: 4, kvHeads: 2, keyCount: 80 });
  expect([[...left.offsets], [...left.runs]]).toEqual([
    [0, 2, 3],
    [0, 32, 64, 80, 32, 80],
  ]);
});

test('biases that are no numbers, or too few, are refused', () => {
  const dense = denseCausal(4, 8);
  checkRanges('test', { ...dense, bias: Float32Array.of(1) }, { queryCount: 4, kvHeads: 2, keyCount: 8 });
  for (const bias of [[], [1, 2], [NaN], [Infinity], [-Infinity]]) {
    expect(() =>
      checkRanges('test', { ...dense, bias: Float32Array.from(bias) }, { queryCount: 4, kvHeads: 2, keyCount: 8 }),
    ).toThrow(InputError);
  }
});
