/** Reproducible data on which backends are compared and kernels timed, and the error between two results. */
import { uniform } from './random.ts';
import { WEIGHT_FORMATS, type WeightFormat } from './weight.ts';

/**
 * The normalised mean squared error above which a backend or a form of a kernel is wrong; differences in rounding stay below it, including int8
 * activations of the reference.
 */
export const MOST_ERROR = 1e-3;

/** Returns numbers in [-1, 1). */
export function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * uniform(seed, i) - 1);
}

/**
 * Makes random quants with small scales: every f16 scale of a block is set to a small number, since random bits may be
 * infinite or NaN.
 */
export function weightBytes(format: WeightFormat, count: number, seed: number): Uint8Array {
  if (format === 'F32') return new Uint8Array(numbers(count, 90 + seed).buffer);
  const { block, bytes } = WEIGHT_FORMATS[format];
  const out = Uint8Array.from({ length: (count / block) * bytes }, (_, i) => Math.floor(256 * uniform(70 + seed, i)));
  const view = new DataView(out.buffer);
  // Q8_0 and Q4_0 begin with their scale; Q6_K ends with it. 0x1c00 is 2^-8, 0x0c00 is 2^-12.
  for (let at = 0; at < out.length; at += bytes)
    view.setUint16(format === 'Q6_K' ? at + bytes - 2 : at, format === 'Q6_K' ? 0x0c00 : 0x1c00, true);
  return out;
}

/** The normalised mean squared error; NaN where a value is no number, Infinity where the lengths differ. */
export function normalisedError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Infinity;
  let error = 0;
  let power = 0;
  for (let i = 0; i < wanted.length; i += 1) {
    error += ((found[i] ?? NaN) - (wanted[i] ?? NaN)) ** 2;
    power += (wanted[i] ?? NaN) ** 2;
  }
  return error / power;
}
