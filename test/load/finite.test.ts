/** Infinite values and NaN in weights are refused while loading, by the tensor's name, wherever they are and however the bytes arrive. */
import { describe, expect, test } from '@jest/globals';
import { createFiniteCheck } from '../../src/load/finite.ts';
import { openModel } from '../../src/load/index.ts';
import { STORED_FORMATS, storedBytes, type StoredFormat } from '../../src/load/stored-format.ts';
import { writeGguf } from '../support/gguf-writer.ts';
import { random } from '../support/random.ts';
import { readAll, weightNoise } from './collect.ts';
import { writeSafetensors } from './safetensors-writer.ts';

/** Where a block keeps numbers of 16 bits that scale it; written here by hand from ggml-common.h. */
const SCALES: Partial<Record<StoredFormat, readonly number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
};
const BAD: Partial<Record<StoredFormat, readonly number[][]>> = {
  F32: [
    [0, 0, 0x80, 0x7f],
    [0, 0, 0x80, 0xff],
    [1, 0, 0x80, 0x7f],
    [0, 0, 0xc0, 0xff],
  ],
  BF16: [
    [0x80, 0x7f],
    [0x80, 0xff],
    [0x81, 0x7f],
  ],
};
const F16_BAD = [
  [0, 0x7c],
  [0, 0xfc],
  [1, 0x7c],
  [0xff, 0xff],
];
const formats = (Object.keys(STORED_FORMATS) as StoredFormat[]).filter((format) => format !== 'MXFP4');

/** Random bytes with small exponents in every place where one is. */
function sound(format: StoredFormat, values: number): Uint8Array<ArrayBuffer> {
  const bytes = weightNoise(storedBytes([values], format), values);
  for (const scale of SCALES[format] ?? [])
    for (let at = scale + 1; at < bytes.length; at += STORED_FORMATS[format].bytes) bytes[at]! &= 0xbf;
  return bytes;
}

describe.each(formats)('%s', (format) => {
  const count = 512;
  const { bytes: size, block } = STORED_FORMATS[format];
  const places = SCALES[format] ?? [0];
  const bad = BAD[format] ?? F16_BAD;

  test('sound values pass, in pieces of any size and at any address', () => {
    const bytes = sound(format, count);
    const shifted = new Uint8Array(bytes.length + 3);
    for (const shift of [0, 1, 2, 3])
      for (const piece of [1, 2, 3, 5, 64, bytes.length]) {
        shifted.set(bytes, shift);
        const check = createFiniteCheck(format);
        for (let at = 0; at < bytes.length; at += piece)
          expect(check.push(shifted.subarray(shift + at, shift + Math.min(bytes.length, at + piece)))).toBe(true);
      }
  });

  test('one bad number anywhere is found', () => {
    const r = random(3);
    for (let n = 0; n < 60; n++) {
      const bytes = sound(format, count);
      const at = r.integer(0, count / block) * size + r.pick([...places]);
      bytes.set(bad[n % bad.length]!, at);
      const check = createFiniteCheck(format);
      const piece = r.pick([1, 2, 3, 7, 18, 100, bytes.length]);
      let passed = true;
      for (let from = 0; from < bytes.length; from += piece)
        passed = check.push(bytes.subarray(from, from + piece)) && passed;
      expect(passed).toBe(false);
    }
  });

  test("a file with one is refused by the tensor's name", async () => {
    const good = sound(format, count);
    const wrong = sound(format, count);
    wrong.set(bad[0]!, places[0]! + size * (count / block - 1));
    const tensor = (name: string, data: Uint8Array<ArrayBuffer>) => ({ name, shape: [1, count], format, data });
    const model = await openModel(writeGguf({}, [tensor('good', good), tensor('blk.7.bad', wrong)]));
    await expect(readAll(model)).rejects.toMatchObject({
      name: 'FileError',
      code: 'malformed',
      facts: { field: 'blk.7.bad' },
      message: expect.stringMatching(/infinite values or NaN/),
    });
  });
});

test('values of an odd number of bytes, whose last one is bad', () => {
  for (const format of ['F16', 'BF16'] as const) {
    const check = createFiniteCheck(format);
    expect(check.push(Uint8Array.of(0, 0, 0, 0, 0xff, 0xff))).toBe(false);
  }
});

test('in safetensors, also where the file is quantised while it loads', async () => {
  const data = new Uint8Array(new Float32Array(64).fill(1).buffer);
  data.set([0, 0, 0xc0, 0x7f], 100);
  const folder = {
    'config.json': new TextEncoder().encode('{"model_type":"llama"}'),
    'model.safetensors': writeSafetensors({ 'model.up.weight': { dtype: 'F32', shape: [2, 32], data } }),
  };
  for (const quantize of [undefined, 'q8', 'q4'] as const) {
    const model = await openModel(folder, quantize === undefined ? {} : { quantize });
    await expect(readAll(model)).rejects.toMatchObject({ facts: { field: 'model.up.weight' } });
  }
});
