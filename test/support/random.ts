/** Seeded random test data (mulberry32), independent of the product's own generator. */

// Looked up once: in jest's module context each look-up of a global is slow.
const { cos, floor, imul, log, PI, sqrt } = Math;

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
  // Signed, so that the engine keeps it as an integer.
  let state = seed | 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = state;
    t = imul(t ^ (t >>> 15), t | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (low: number, high: number): number => low + floor(uniform() * (high - low));
  const normal = (): number => sqrt(-2 * log(1 - uniform())) * cos(2 * PI * uniform());
  return {
    uniform,
    integer,
    normal,
    normals: (count, scale = 1) => {
      const out = new Float32Array(count);
      for (let i = 0; i < count; i++) out[i] = normal() * scale;
      return out;
    },
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
