/** Our PNG files, read back by Skia (the package that Node decodes with). */
import { describe, expect, test } from '@jest/globals';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { encodePng, readImage, toImageBitmap, toImageData, type Rgba } from '../../src/vision/index.ts';
import { readHeader } from '../../src/vision/header.ts';
import { random } from '../support/random.ts';
import { noisePicture } from './pictures.ts';

const decoder = createNodeDecoder();
const smooth = (width: number, height: number): Rgba => {
  const { data } = noisePicture(random(1), width, height);
  for (let i = 0; i < data.length; i += 4) data.set([(i / 4) % width, Math.floor(i / 4 / width), (i >> 3) & 255], i);
  return { data, width, height };
};

describe('read back byte for byte', () => {
  test.each<[number, number]>([
    [1, 1],
    [1, 9],
    [9, 1],
    [3, 2],
    [257, 5],
    [64, 64],
  ])('%i x %i', async (width, height) => {
    for (const image of [noisePicture(random(width), width, height), smooth(width, height)]) {
      const file = await encodePng(image);
      expect(readHeader(file, 'ours')).toEqual({ type: 'png', width, height });
      expect(await readImage(file, { decoder })).toEqual(image);
    }
  });

  test('with alpha: over white, as the pixels themselves', async () => {
    const image = noisePicture(random(4), 31, 17, false);
    const file = await encodePng(image);
    // Colour type 6: red, green, blue, alpha.
    expect(file[25]).toBe(6);
    const [fromFile, fromPixels] = [await readImage(file, { decoder }), await readImage(image)];
    for (const [i, value] of fromFile.data.entries())
      expect(Math.abs(value - fromPixels.data[i]!)).toBeLessThanOrEqual(1);
  });

  test('smooth pictures become small', async () => {
    const image = smooth(256, 256);
    expect((await encodePng(image)).length).toBeLessThan(image.data.length / 40);
  });
});

test('pixels that are none', async () => {
  const image = noisePicture(random(1), 2, 2);
  await expect(encodePng({ ...image, width: 0 })).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
  await expect(encodePng({ ...image, height: 3 })).rejects.toThrow(
    '16 bytes for 2 x 3 pixels; red, green, blue and alpha take 24',
  );
  await expect(encodePng({ ...image, data: new Float32Array(16) as unknown as Uint8ClampedArray })).rejects.toThrow(
    /Uint8ClampedArray/,
  );
  expect(() => toImageData(image)).toThrow(expect.objectContaining({ name: 'DeviceError', code: 'unavailable' }));
  await expect(toImageBitmap(image)).rejects.toMatchObject({ name: 'DeviceError' });
});
