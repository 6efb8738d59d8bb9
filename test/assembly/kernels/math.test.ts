/** exp, the activations and the f16 conversions of the CPU engine against f64, on every build. */
import { describe, expect, test } from '@jest/globals';
import type { Wasm } from '../../../src/wasm.ts';
import { activate } from '../../reference/maths.ts';
import { random } from '../../support/random.ts';
import { openWasm, TEST_BUILDS } from '../../support/wasm.ts';

/** y = f(x) through memory, for a kernel `(out, x, count)`. */
function map(wasm: Wasm, x: Float32Array, kernel: (out: number, x: number, count: number) => void): Float32Array {
  const from = wasm.alloc(x.byteLength);
  const to = wasm.alloc(x.byteLength);
  wasm.f32(from, x.length).set(x);
  kernel(to, from, x.length);
  const out = wasm.f32(to, x.length).slice();
  wasm.free(from);
  wasm.free(to);
  return out;
}

/** Steps over [-105, 105] with a ragged tail, and the edges. */
const INPUTS = Float32Array.from([
  ...Array.from({ length: 42001 }, (_, i) => (i - 21000) / 200),
  0,
  -0,
  1e-30,
  -1e-30,
  Infinity,
  -Infinity,
]);

function worst(found: Float32Array, wanted: (x: number) => number, absolute: number): number {
  let gap = 0;
  for (let i = 0; i < INPUTS.length; i++) {
    const truth = wanted(INPUTS[i]!);
    if (!Number.isFinite(truth) || Math.abs(truth) > 3e38) continue;
    gap = Math.max(gap, Math.abs(found[i]! - truth) / (Math.abs(truth) + absolute));
  }
  return gap;
}

describe.each(TEST_BUILDS)('%s', (build) => {
  test('exp: relative error below 2e-7 where the result is normal and below e^88.3; 0, inf-free and NaN at the edges', async () => {
    const wasm = await openWasm(build);
    const found = map(wasm, INPUTS, wasm.exports.expRow);
    const inside = (x: number): number => (x > 88.3 || x < -87.3 ? NaN : Math.exp(x));
    expect(worst(found, inside, 0)).toBeLessThan(2e-7);
    expect(
      [...map(wasm, Float32Array.of(-Infinity, NaN, -200, Infinity, NaN), wasm.exports.expRow)].map((v) =>
        v > 1e38 ? 'huge' : v,
      ),
    ).toEqual([0, NaN, 0, 'huge', NaN]);
  });

  test.each([
    ['silu', 1, 3e-7],
    ['gelu', 2, 2e-6],
    ['geluTanh', 3, 2e-6],
  ] as const)('%s', async (kind, number, allowed) => {
    const wasm = await openWasm(build);
    const found = map(wasm, INPUTS, (out, x, count) => wasm.exports.activateRow(out, x, count, number));
    // Relative down to 1e-4 of the input; the tails beyond are tiny beside everything they are added to.
    expect(worst(found, (x) => activate(kind, x), 1e-4)).toBeLessThan(allowed);
    expect(
      map(wasm, new Float32Array(5).fill(NaN), (out, x, count) => wasm.exports.activateRow(out, x, count, number)),
    ).toEqual(new Float32Array(5).fill(NaN));
  });

  test('every f16 survives the way to f32 and back; f32 is rounded to the nearest f16, ties to even', async () => {
    const wasm = await openWasm(build);
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const at = wasm.alloc(65536 * 2);
    const floats = wasm.alloc(65536 * 4);
    const shorts = (): Uint16Array => new Uint16Array(wasm.memory.buffer, at, 65536);
    shorts().set(halves);
    wasm.exports.widen(floats, at, 65535);
    wasm.exports.widen(floats + 4 * 65535, at + 2 * 65535, 1);
    const values = wasm.f32(floats, 65536).slice();
    const truth = (h: number): number => {
      const sign = h & 0x8000 ? -1 : 1;
      const exponent = (h >> 10) & 31;
      const mantissa = h & 1023;
      if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
      return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
    };
    for (let h = 0; h < 65536; h++)
      if (!Object.is(values[h], truth(h))) throw new Error(`f16 ${h} became ${values[h]}, expected ${truth(h)}`);
    wasm.exports.narrow(at, floats, 65536);
    for (let h = 0; h < 65536; h++) {
      const back = shorts()[h]!;
      const wanted = Number.isNaN(truth(h))
        ? (h & 0x8000) | 0x7e00
        : (h & 0x7fff) === 0x7c00
          ? (h & 0x8000) | 0x7bff
          : h;
      if (back !== wanted) throw new Error(`f16 ${h} came back as ${back}, expected ${wanted}`);
    }
    const r = random(3);
    const odd = Float32Array.from({ length: 4000 }, () => r.normal() * 10 ** r.integer(-9, 5));
    wasm.f32(floats, odd.length).set(odd);
    wasm.exports.narrow(at, floats, odd.length);
    for (let i = 0; i < odd.length; i++) {
      const h = shorts()[i]! & 0x7fff;
      const x = Math.abs(odd[i]!);
      const gap = Math.abs(truth(h) - x);
      for (const other of [h - 1, h + 1]) {
        if (other >= 0 && other < 0x7c00 && Math.abs(truth(other) - x) < gap)
          throw new Error(`${odd[i]} became ${truth(h)}, ${truth(other)} is nearer`);
      }
    }
    // Halfway between 1 and 1 + 2^-10, and the next: to the even neighbour.
    wasm.f32(floats, 2).set([1 + 2 ** -11, 1 + 3 * 2 ** -11]);
    wasm.exports.narrow(at, floats, 2);
    expect([...shorts().subarray(0, 2)]).toEqual([0x3c00, 0x3c02]);
  });
});
