/** Random choices by a seed, the same on every device. */
import { pcgHash, uniform } from '../../backend/random.ts';

/** `count` of `from`, ascending: those with the smallest hashes of (seed, value), the lower value first among equals. */
export function pickSome(from: readonly number[], count: number, seed: number): number[] {
  const salt = pcgHash(seed >>> 0);
  const keyed = from.map((value) => ({ value, key: pcgHash((salt + value) >>> 0) }));
  keyed.sort((a, b) => a.key - b.key || a.value - b.value);
  return keyed
    .slice(0, count)
    .map(({ value }) => value)
    .sort((a, b) => a - b);
}

/** One of `count` indices. */
export function pickOne(count: number, seed: number): number {
  return Math.floor(uniform(seed, 0) * count);
}
