/** The one tolerance table (docs: style.md, rule 18) and the assertions that use it. Integers and copies are compared exactly. */
import type { WeightFormat } from '../../src/backend/weight.ts';

export const TOLERANCE = {
  /** Relative, per element: f32 elementwise operations. */
  elementwise: 1e-6,
  /** NMSE: sums in f32. */
  reduction: 1e-7,
  /** NMSE: f16 operands (weights or KV pages), and quantised products whose activations may be int8, against f64 on the dequantised weights. */
  half: 5e-4,
  quantised: 5e-4,
  /** NMSE: products of keys at 7 bits and queries at 8. */
  coarse: 1e-3,
} as const;

/** NMSE allowed for a product with weights of this format. */
export function productTolerance(format: WeightFormat): number {
  if (format === 'F32') return TOLERANCE.reduction;
  return format === 'F16' || format === 'BF16' ? TOLERANCE.half : TOLERANCE.quantised;
}

/** Normalised mean squared error: sum (found - wanted)^2 / sum wanted^2. */
export function nmse(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < wanted.length; i++) {
    error += (found[i]! - wanted[i]!) ** 2;
    power += wanted[i]! ** 2;
  }
  if (error === 0) return 0;
  return error / power;
}

/** Throws with what was computed (operation, shape, format), the NMSE found and allowed, and the worst element. */
export function expectNmse(found: ArrayLike<number>, wanted: ArrayLike<number>, allowed: number, what: string): void {
  if (found.length !== wanted.length) throw new Error(`${what}: ${found.length} values, expected ${wanted.length}`);
  const value = nmse(found, wanted);
  if (value <= allowed) return;
  let worst = 0;
  let bad = 0;
  for (let i = 0; i < wanted.length; i++) {
    const gap = Math.abs(found[i]! - wanted[i]!);
    if (!(gap <= Math.abs(found[worst]! - wanted[worst]!))) worst = i;
    if (!(gap <= 0.05 * Math.abs(wanted[i]!) + 1e-3)) bad++;
  }
  throw new Error(
    `${what}: NMSE ${value.toExponential(2)}, allowed ${allowed.toExponential(0)}; ` +
      `${bad} of ${wanted.length} values are off by more than 5 %; worst at ${worst}: ${found[worst]}, expected ${wanted[worst]}`,
  );
}

/** Every element within `rtol` of the expected one, or within `rtol` of the largest where it is near 0. */
export function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, rtol: number, what: string): void {
  if (found.length !== wanted.length) throw new Error(`${what}: ${found.length} values, expected ${wanted.length}`);
  for (let i = 0; i < wanted.length; i++) {
    const gap = Math.abs(found[i]! - wanted[i]!);
    if (!(gap <= rtol * Math.max(1, Math.abs(wanted[i]!)))) {
      throw new Error(
        `${what}: element ${i} is ${found[i]}, expected ${wanted[i]} (relative ${(gap / Math.max(1, Math.abs(wanted[i]!))).toExponential(2)}, allowed ${rtol.toExponential(0)})`,
      );
    }
  }
}

/** Equal bit for bit. */
export function expectSame(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  if (found.length !== wanted.length) throw new Error(`${what}: ${found.length} values, expected ${wanted.length}`);
  for (let i = 0; i < wanted.length; i++) {
    if (!Object.is(found[i], wanted[i]) && found[i] !== wanted[i])
      throw new Error(`${what}: element ${i} is ${found[i]}, expected exactly ${wanted[i]}`);
  }
}
