/** Pages for tests: their content, and the quantiser as plain loops over single values, from the definition of the layout. */
import { pageNumber, type KvFormat, type KvPool } from '../../../src/backend/backend.ts';
import type { Random } from '../../support/random.ts';

export const PAGE = 32;
export const QUANTISED = ['q8', 'q4', 'q2', 'k8v4', 'k4v2'] as const;
/** Of a key and of a value. */
export const BITS = { q8: [8, 8], q4: [4, 4], q2: [2, 2], k8v4: [8, 4], k4v2: [4, 2] } as const;
const { ceil, floor, fround, max, min } = Math;

/** The f16 nearest to x (ties to even, at most 65504) as a number, by its definition: a multiple of the step of its binade. */
export function half(x: number): number {
  if (Number.isNaN(x)) return NaN;
  const size = min(65504, Math.abs(x));
  const step = 2 ** (max(-14, floor(Math.log2(size || 1))) - 10);
  const scaled = size / step;
  const even = floor(scaled) + (scaled % 1 > 0.5 || (scaled % 1 === 0.5 && floor(scaled) % 2 === 1) ? 1 : 0);
  return (x < 0 || Object.is(x, -0) ? -1 : 1) * min(65504, even * step);
}

/** Bits of an f16 that `half` gave. */
export function halfBits(x: number): number {
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  const exponent = floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}

/** A page of keys [32, d], then values [32, d], quantised: its bytes, and the values that they mean. */
export function quantised(
  x: Float32Array,
  d: number,
  [keyBits, valueBits]: readonly [number, number],
): { bytes: Uint8Array; meant: Float64Array } {
  const groups = ceil(d / 32);
  const [keyRow, valueRow] = [ceil((d * keyBits) / 32) * 4, ceil((d * valueBits) / 32) * 4];
  const valueScales = 4 * d + PAGE * keyRow;
  const valueCodes = valueScales + 4 * PAGE * groups;
  const bytes = new Uint8Array(valueCodes + PAGE * valueRow);
  const view = new DataView(bytes.buffer);
  const meant = new Float64Array(x.length);
  const group = (bits: number, scaleAt: number, cells: { at: number; row: number; channel: number }[]): void => {
    const values = cells.map(({ at }) => x[at]!);
    const bad = values.some(Number.isNaN);
    const [low, high] = [min(...values), max(...values)];
    const scale = bad ? NaN : low === high ? 0 : half(fround(fround(high - low) / (2 ** bits - 1)));
    const minimum = bad ? NaN : half(low);
    view.setUint16(scaleAt, halfBits(scale), true);
    view.setUint16(scaleAt + 2, halfBits(minimum), true);
    cells.forEach(({ at, row: start, channel }) => {
      const u =
        bad || scale === 0
          ? 0
          : max(0, min(2 ** bits - 1, floor(fround(fround(fround(x[at]! - minimum) / scale) + 0.5))));
      bytes[start + ((channel * bits) >> 3)]! |= u << ((channel * bits) % 8);
      meant[at] = minimum + scale * u;
    });
  };
  for (let c = 0; c < d; c++)
    group(
      keyBits,
      4 * c,
      Array.from({ length: PAGE }, (_, t) => ({ at: t * d + c, row: 4 * d + t * keyRow, channel: c })),
    );
  for (let t = 0; t < PAGE; t++) {
    for (let g = 0; g < groups; g++) {
      const cells = Array.from({ length: min(32, d - 32 * g) }, (_, i) => ({
        at: (PAGE + t) * d + 32 * g + i,
        row: valueCodes + t * valueRow,
        channel: 32 * g + i,
      }));
      group(valueBits, valueScales + 4 * (t * groups + g), cells);
    }
  }
  return { bytes, meant };
}

/** Keys with a few large channels, as models have them, and values; a channel and a token that are all one number. */
export function contents(r: Random, d: number): Float32Array {
  const x = r.normals(2 * PAGE * d);
  for (let t = 0; t < PAGE; t++) {
    x[t * d + 1]! *= 30;
    x[t * d + 2] = -0.3;
    x[t * d + 3]! *= 1e-6;
  }
  x.fill(7, (PAGE + 5) * d, (PAGE + 6) * d);
  return x;
}

export const f32Bytes = (x: Float32Array): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** The numbers of new pages of `format`. */
export function fresh(pool: KvPool, format: KvFormat, count: number): Int32Array {
  const first = pool.pages(format);
  pool.reserve(first + count, format);
  return Int32Array.from({ length: count }, (_, i) => pageNumber(format, first + i));
}
