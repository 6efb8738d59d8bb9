/** Resizing and squaring beside PIL's own results (training/parity/resize.py), byte for byte. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  centreCropToSquare,
  padToSquare,
  resize,
  resizeToSquare,
  toPixels,
  type Rgba,
  type SquareFit,
} from '../../src/vision/index.ts';
import type { ResizeFilter } from '../../src/vision/resize.ts';
import { random } from '../support/random.ts';
import { noisePicture, rgbaOf, rgbOf } from './pictures.ts';

interface Case {
  readonly fit: 'none' | SquareFit;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly filter: ResizeFilter;
  readonly input: string;
  readonly output: string;
}
const { cases } = JSON.parse(readFileSync(new URL('../fixtures/vision/resize.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly Case[];
};

function worst(found: Uint8Array, wanted: Uint8Array): number {
  expect(found.length).toBe(wanted.length);
  return found.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
}

describe('as PIL', () => {
  test.each(
    cases.map((entry): [string, Case] => [
      `${entry.from.join(' x ')} to ${entry.to.join(' x ')}, ${entry.filter}, ${entry.fit}`,
      entry,
    ]),
  )('%s', (_, { filter, fit, from, to, input, output }) => {
    const image = rgbaOf(Buffer.from(input, 'base64'), ...from);
    const before = image.data.slice();
    const found = fit === 'none' ? resize(image, ...to, filter) : resizeToSquare(image, to[0], fit);
    expect([found.width, found.height]).toEqual(to);
    expect(worst(rgbOf(found), Buffer.from(output, 'base64'))).toBe(0);
    expect(image.data).toEqual(before);
  });
});

describe('squares', () => {
  const sides: [number, number][] = [
    [7, 4],
    [4, 7],
    [5, 5],
    [1, 6],
    [40, 3],
  ];
  test.each(sides)('%i x %i: the same with and without the square in between', (width, height) => {
    const image = noisePicture(random(width * 100 + height), width, height);
    for (const size of [1, 4, 9, 40]) {
      expect(resizeToSquare(image, size, 'pad')).toEqual(resize(padToSquare(image), size, size, 'bicubic'));
      expect(resizeToSquare(image, size, 'crop')).toEqual(resize(centreCropToSquare(image), size, size, 'bicubic'));
    }
  });

  test('what is padded and cut off', () => {
    const row: Rgba = {
      data: Uint8ClampedArray.of(10, 20, 30, 255, 40, 50, 60, 255, 70, 80, 90, 255, 1, 2, 3, 255),
      width: 4,
      height: 1,
    };
    expect([...centreCropToSquare(row).data]).toEqual([40, 50, 60, 255]);
    const padded = padToSquare(row);
    expect([padded.width, padded.height]).toEqual([4, 4]);
    expect(padded.data.slice(16, 32)).toEqual(row.data);
    for (const y of [0, 2, 3]) expect([...padded.data.slice(y * 16, y * 16 + 4)]).toEqual([127, 127, 127, 255]);
  });

  test('a strip of the longest side needs no square of it', () => {
    const strip = noisePicture(random(3), 16_384, 2);
    const { data } = resizeToSquare(strip, 32, 'pad');
    expect([...data.slice(0, 4)]).toEqual([127, 127, 127, 255]);
    expect(() => padToSquare(strip)).toThrow(/16384 x 16384 pixels.*make it smaller/);
  });

  test('pixels in -1 to 1, rounded as f32 arithmetic does', () => {
    const image: Rgba = { data: Uint8ClampedArray.of(0, 255, 127, 255), width: 1, height: 1 };
    expect([...toPixels(image, 1, 'pad')]).toEqual([-1, 1, Math.fround(Math.fround(254 / 255) - 1)]);
    expect(toPixels(image, 3, 'crop')).toHaveLength(27);
  });

  test('what cannot be', () => {
    const image = noisePicture(random(1), 3, 3);
    expect(() => resize(image, 0, 3, 'lanczos')).toThrow(
      expect.objectContaining({ name: 'InputError', code: 'argument' }),
    );
    expect(() => resizeToSquare(image, 2.5, 'pad')).toThrow(/2.5 x 2.5/);
    expect(() => resizeToSquare(image, 2, 'stretch' as SquareFit)).toThrow(/'pad' or 'crop'/);
    expect(() => toPixels({ ...image, width: 4 }, 2, 'pad')).toThrow(/36 bytes for 4 x 3/);
    expect(() => resize(noisePicture(random(1), 1, 16_384), 16_384, 1, 'bicubic')).toThrow(/resized in width/);
  });
});

test('twelve megapixels to 512: the time is told; a fraction of a second on a core of its own', () => {
  const photo = noisePicture(random(5), 4000, 3000);
  const started = performance.now();
  resizeToSquare(photo, 512, 'pad');
  const took = performance.now() - started;
  console.info(`12 megapixels to 512: ${took.toFixed(0)} ms`);
  expect(took).toBeLessThan(5000);
});
