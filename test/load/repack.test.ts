/** Formats that no device computes with: repacked while loading, and held against gguf-py's own dequantisation (training/parity/block_formats.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createConverter } from '../../src/load/convert.ts';
import { openModel } from '../../src/load/index.ts';
import { REPACKED_AS, STORED_FORMATS, type RepackedFormat } from '../../src/load/stored-format.ts';
import { dequantise } from '../reference/dequantise.ts';
import { writeGguf } from '../support/gguf-writer.ts';
import { readAll } from './collect.ts';

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'base64'));
const { cases } = JSON.parse(readFileSync(new URL('../fixtures/repack.json', import.meta.url), 'utf8')) as {
  cases: { format: RepackedFormat; blocks: string; values: string }[];
};
/** Of the greatest value of a block: what rounding the scale to f16 adds. */
const SCALE_ROUNDING = 2 ** -11;

describe.each(cases.map((one) => [one.format, one] as const))('%s', (format, { blocks: stored, values: truth }) => {
  const blocks = bytesOf(stored);
  const values = new Float32Array(bytesOf(truth).buffer);
  const cols = STORED_FORMATS[format].block;

  test("read from a file, the values are gguf-py's", async () => {
    const rows = values.length / cols;
    const model = await openModel(writeGguf({}, [{ name: 'w', shape: [rows, cols], format, data: blocks }]));
    const info = model.tensors.get('w')!;
    expect(info).toMatchObject({ format: REPACKED_AS[format], stored: format });
    const found = dequantise(info.format, (await readAll(model)).get('w')!, values.length);
    expect(found.length).toBe(values.length);
    for (const [i, value] of found.entries()) {
      const wanted = values[i]!;
      if (format === 'IQ4_XS') expect(Math.abs(value - wanted)).toBeLessThanOrEqual(Math.abs(wanted) * SCALE_ROUNDING);
      else expect(value).toBe(wanted === 0 ? value : wanted);
      if (wanted === 0) expect(Math.abs(value)).toBe(0);
    }
  });

  test('in chunks of any size the bytes are the same', () => {
    const whole = createConverter(format, REPACKED_AS[format], 'f', 'w')!.push(blocks).slice();
    for (const size of [1, 7, 16, 17, 18, 33, 137, 1000]) {
      const converter = createConverter(format, REPACKED_AS[format], 'f', 'w')!;
      const parts: number[] = [];
      for (let at = 0; at < blocks.length; at += size) parts.push(...converter.push(blocks.subarray(at, at + size)));
      expect(Uint8Array.from(parts)).toEqual(whole);
    }
  });
});

test("scales that f16 cannot hold: small ones of MXFP4 are rounded, large ones refused by the tensor's name", async () => {
  const block = (exponent: number): Uint8Array<ArrayBuffer> =>
    Uint8Array.of(exponent, ...Array.from({ length: 16 }, () => 0x7f));
  const read = async (data: Uint8Array<ArrayBuffer>): Promise<Float64Array> =>
    dequantise(
      'Q5_0',
      (await readAll(await openModel(writeGguf({}, [{ name: 'w', shape: [1, 32], format: 'MXFP4', data }])))).get('w')!,
      32,
    );
  for (const exponent of [0, 90, 100, 103, 104, 143]) {
    const [first, last] = [(await read(block(exponent)))[0]!, (await read(block(exponent)))[31]!];
    expect(Math.abs(first + 12 * 2 ** (exponent - 128))).toBeLessThanOrEqual(2 ** -25);
    expect(Math.abs(last - 12 * 2 ** (exponent - 128))).toBeLessThanOrEqual(2 ** -25);
  }
  for (const exponent of [144, 255])
    await expect(read(block(exponent))).rejects.toMatchObject({ code: 'malformed', facts: { field: 'w' } });
  const huge = new Uint8Array(136);
  huge.set([0xff, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  const model = await openModel(writeGguf({}, [{ name: 'w', shape: [1, 256], format: 'IQ4_XS', data: huge }]));
  await expect(readAll(model)).rejects.toMatchObject({ code: 'malformed', facts: { field: 'w' } });
});
