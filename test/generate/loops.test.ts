import { describe, expect, test } from '@jest/globals';
import { LoopDetector } from '../../src/generate/loops.ts';
import { random } from '../support/random.ts';

/** How many of the ids are taken before a loop is found; undefined: none. */
function found(ids: readonly number[]): number | undefined {
  const detector = new LoopDetector();
  const at = ids.findIndex((id) => detector.push(id));
  return at < 0 ? undefined : at + 1;
}
const times = (count: number, ids: readonly number[]): number[] => Array.from({ length: count }, () => ids).flat();
const passage = (length: number): number[] => Array.from({ length }, (_, i) => 1000 + i);

describe('loops', () => {
  test.each([1, 2, 7, 40, 95, 96, 200, 384])(
    'a passage of %i tokens over and over is found soon, whatever was before it',
    (length) => {
      const before = [1, 2, 3, 4, 5];
      const at = found([...before, ...times(200, passage(length))]);
      expect(at).toBeLessThanOrEqual(before.length + Math.max(96, 4 * length) + length);
      expect(at).toBeGreaterThanOrEqual(before.length + Math.min(96, 3 * length));
    },
  );

  test('what merely repeats a little is none: a rule, a row of a table, a refrain', () => {
    expect(found([...passage(50), ...times(80, [7]), ...passage(50)])).toBeUndefined();
    expect(found(times(3, passage(60)))).toBeUndefined();
    expect(found(times(2, passage(300)))).toBeUndefined();
    expect(found([...times(2, [...passage(100), 1]), ...times(2, [...passage(100), 2])])).toBeUndefined();
  });

  test('text that counts on is none', () => {
    expect(found(Array.from({ length: 400 }, (_, i) => [1, 2, i + 10, 3]).flat())).toBeUndefined();
    const draw = random(5);
    expect(found(Array.from({ length: 3000 }, () => draw.integer(0, 50)))).toBeUndefined();
  });
});
