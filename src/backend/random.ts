/**
 * Counter-based random numbers: the same (seed, index) gives the same number on every device, in any order.
 * PCG's RXS-M-XS 32-bit output hash (O'Neill 2014; Jarzynski & Olano 2020), all arithmetic modulo 2^32.
 */

/** 32 random bits. */
export function pcgHash(value: number): number {
  const state = (Math.imul(value, 747796405) + 2891336453) >>> 0;
  const word = Math.imul(((state >>> ((state >>> 28) + 4)) ^ state) >>> 0, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
}

/** Uniform in [0, 1) with 24 bits, exact in f32. */
export function uniform(seed: number, index: number): number {
  return (pcgHash((pcgHash(seed >>> 0) + (index >>> 0)) >>> 0) >>> 8) / 0x1000000;
}
