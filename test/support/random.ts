/** Seeded random test data (mulberry32), independent of the product's own generator. */

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Integer in [low, high). */
  integer(low: number, high: number): number;
  /** Normal, mean 0, variance 1. */
  normal(): number;
  normals(count: number, scale?: number): Float32Array;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(values: readonly T[]): T[];
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (low: number, high: number): number => low + Math.floor(uniform() * (high - low));
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {
    uniform,
    integer,
    normal,
    normals: (count, scale = 1) => Float32Array.from({ length: count }, () => normal() * scale),
    pick: (from) => from[integer(0, from.length)]!,
    shuffle: (values) => {
      const out = [...values];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(0, i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}
