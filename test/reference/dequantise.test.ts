import { describe, expect, test } from '@jest/globals';
import { WEIGHT_FORMATS, type WeightFormat } from '../../src/backend/weight.ts';
import { dequantise, halfToNumber } from './dequantise.ts';
import { numberToHalf, quantise } from '../support/quantise.ts';
import { random } from '../support/random.ts';
import { nmse } from '../support/tolerance.ts';

const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

/** NMSE of a plain rounding encoder on normal values. */
const ROUND_TRIP: Record<WeightFormat, number> = {
  F32: 0,
  F16: 1e-6,
  BF16: 1e-4,
  Q8_0: 1e-4,
  Q6_K: 1e-3,
  Q5_0: 5e-3,
  Q5_1: 5e-3,
  Q5_K: 5e-3,
  Q4_0: 0.02,
  Q4_1: 0.02,
  Q4_K: 0.02,
  Q3_K: 0.06,
  Q2_K: 0.2,
};

test('half precision, both ways', () => {
  expect([0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x3555].map(halfToNumber)).toEqual([
    1,
    -2,
    65504,
    2 ** -24,
    2 ** -14,
    0.333251953125,
  ]);
  for (let bits = 0; bits < 0x7c00; bits++) expect(numberToHalf(halfToNumber(bits))).toBe(bits);
  expect(numberToHalf(65520)).toBe(0x7c00);
  expect(numberToHalf(-0)).toBe(0x8000);
});

describe('every format', () => {
  test.each(FORMATS)('%s: encoding and decoding keep the values', (format) => {
    const values = random(7).normals(256 * 9);
    const error = nmse(dequantise(format, quantise(format, values), values.length), values);
    expect(error).toBeLessThanOrEqual(ROUND_TRIP[format]);
    expect([...dequantise(format, quantise(format, new Float32Array(256)), 256)].every((v) => v === 0)).toBe(true);
  });
});

describe('blocks set bit by bit, values worked out by hand from ggml-common.h', () => {
  function block(format: WeightFormat, fill: (at: (offset: number, ...bytes: number[]) => void) => void): Float64Array {
    const bytes = new Uint8Array(WEIGHT_FORMATS[format].bytes);
    fill((offset, ...values) => bytes.set(values, offset));
    return dequantise(format, bytes, WEIGHT_FORMATS[format].block);
  }
  const ONE = [0x00, 0x3c];
  const HALF = [0x00, 0x38];

  test('Q4_0', () => {
    const x = block('Q4_0', (at) => {
      at(0, ...HALF);
      at(2 + 3, 0xf1);
    });
    expect([x[3], x[19], x[0]]).toEqual([0.5 * -7, 0.5 * 7, 0.5 * -8]);
  });
  test('Q5_1', () => {
    // Fifth bits of values 1 and 17: qh bits 1 and 17.
    const x = block('Q5_1', (at) => {
      at(0, ...ONE, ...HALF);
      at(4, 0x02, 0, 0x02, 0);
      at(8 + 1, 0x23);
    });
    expect([x[1], x[17], x[0]]).toEqual([19.5, 18.5, 0.5]);
  });
  test('Q2_K', () => {
    // Value 128 + 2 * 32 + 17 = 209: byte 32 + 17 of qs, bits 4..5, sub-block 13.
    const x = block('Q2_K', (at) => {
      at(13, 0x35);
      at(16 + 49, 2 << 4);
      at(80, ...ONE, ...HALF);
    });
    expect([x[209], x[208], x[0]]).toEqual([5 * 2 - 0.5 * 3, -1.5, 0]);
  });
  test('Q3_K', () => {
    // Value 5 * 32 + 20 = 180: sub-block 11, qs byte 32 + 20 bits 2..3, mask bit 5 of byte 20; scale 11 = scales[3] >> 4, high bits from scales[11] bits 4..5.
    const x = block('Q3_K', (at) => {
      at(20, 1 << 5);
      at(32 + 52, 3 << 2);
      at(96 + 3, 7 << 4);
      at(96 + 11, 2 << 4);
      at(108, ...ONE);
    });
    expect(x[180]).toBe((7 + 32 - 32) * 3);
    expect(x[181]).toBe(7 * -4);
    expect(x[0]).toBe(-32 * -4);
  });
  test('Q4_K', () => {
    // Value 2 * 64 + 32 + 9 = 169: sub-block 5, high nibble of qs[64 + 9]; scale 5 = low nibble of scales[9] and the top bits of scales[1].
    const x = block('Q4_K', (at) => {
      at(0, ...ONE, ...HALF);
      at(4 + 1, 2 << 6);
      at(4 + 5, 1 << 6);
      at(4 + 9, 0x63);
      at(16 + 73, 0xb0);
    });
    expect(x[169]).toBe((3 + 32) * 11 - 0.5 * (6 + 16));
    expect(x[137]).toBe(0);
  });
  test('Q5_K', () => {
    const x = block('Q5_K', (at) => {
      at(0, ...ONE, ...HALF);
      at(4 + 2, 9);
      at(4 + 6, 4);
      at(16 + 7, 1 << 2);
      at(48 + 32 + 7, 0x5c);
    });
    expect(x[64 + 7]).toBe(9 * (12 + 16) - 0.5 * 4);
    expect(x[64 + 8]).toBe(-2);
  });
  test('Q6_K', () => {
    // Value 128 + 3 * 32 + 18 = 242: ql[64 + 32 + 18] high nibble, qh[32 + 18] bits 6..7, scale 15.
    const x = block('Q6_K', (at) => {
      at(114, 0xa0);
      at(128 + 50, 3 << 6);
      at(192 + 15, 0xfe);
      at(208, ...ONE);
    });
    expect(x[242]).toBe(-2 * (10 + 48 - 32));
    expect(x[241]).toBe(-2 * -32);
  });
});
