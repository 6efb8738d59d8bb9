/** The way in which products of one token read their weights is the one that takes less time for most of them. */
import { describe, expect, test } from '@jest/globals';
import { Streams } from '../../../src/backend/wasm/streams.ts';

const LARGE = 2 << 20;

/** Runs `rounds` tokens over `weights` products, which take `time(way, run)` each; returns the ways by token. */
function rounds(count: number, weights: number, time: (way: number, run: number) => number, bytes = LARGE): number[][] {
  let clock = 0;
  let run = 0;
  const streams = new Streams(() => clock);
  return Array.from({ length: count }, () =>
    Array.from({ length: weights }, (_, weight) => {
      let used = -1;
      streams.run(64 * weight, bytes, (way) => {
        used = way;
        clock += time(way, run++);
      });
      return used;
    }),
  );
}

describe('how weights are read', () => {
  test.each<[string, number, number[]]>([
    ['one after the other', 1, [3, 1]],
    ['side by side', 0, [1, 3]],
  ])('%s where that is faster, after each weight was read either way', (_, expected, times) => {
    const ways = rounds(4, 16, (way) => times[way] ?? 0);
    expect(ways[0]?.filter((way) => way === 0)).toHaveLength(8);
    expect(ways[1]).toEqual(ways[0]?.map((way) => 1 - way));
    expect(ways.slice(2).flat()).toEqual(Array.from({ length: 32 }, () => expected));
  });

  test('a few products that others held up, and later ones, change nothing', () => {
    const ways = rounds(6, 16, (way, run) => (run % 5 === 0 ? 100 : way === 1 ? 1 : 2) + (run > 64 ? 10 * way : 0));
    expect(new Set(ways.slice(2).flat())).toEqual(new Set([1]));
  });

  test('as before where no clock tells them apart, and where weights are small', () => {
    expect(
      new Set(
        rounds(4, 16, () => 0)
          .slice(2)
          .flat(),
      ),
    ).toEqual(new Set([0]));
    expect(new Set(rounds(4, 16, (way) => (way === 1 ? 1 : 3), 4096).flat())).toEqual(new Set([0]));
  });

  test('a product that fails is not timed, and its error goes on', () => {
    const streams = new Streams(() => 0);
    expect(() =>
      streams.run(0, LARGE, () => {
        throw new Error('lost');
      }),
    ).toThrow('lost');
  });
});
