/** Images that tripped this kind of software once (../shared/cases, where present), claims that no file of that length can keep, and orientations. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { readImage } from '../../src/vision/index.ts';
import { upright } from '../../src/vision/orientation.ts';
import { crc32 } from '../../src/vision/crc.ts';
import { pictureFile } from './pictures.ts';

const FOLDER = new URL('../../../shared/cases/images/', import.meta.url);
const present = existsSync(FOLDER);
const options = { decoder: createNodeDecoder() };
const LEVELS = 4;

interface Truth {
  readonly w: number;
  readonly h: number;
  /** Colours in the middle of the four quarters. */
  readonly c: readonly (readonly number[])[];
}

describe('images that failed once', () => {
  if (!present) {
    test.skip('../shared/cases/images is not here', () => {});
    return;
  }
  const truth = JSON.parse(readFileSync(new URL('truth.json', FOLDER), 'utf8')) as Record<string, Truth>;
  const names = readdirSync(FOLDER).filter((name) => truth[name] !== undefined);
  test.each(names)('%s', async (name) => {
    const { w, h, c } = truth[name]!;
    const image = await readImage(new Uint8Array(readFileSync(new URL(name, FOLDER))), options);
    expect([image.width, image.height]).toEqual([w, h]);
    const quarters = [
      [w / 4, h / 4],
      [(3 * w) / 4, h / 4],
      [w / 4, (3 * h) / 4],
      [(3 * w) / 4, (3 * h) / 4],
    ] as const;
    for (const [i, [x, y]] of quarters.entries()) {
      const at = 4 * (Math.floor(y) * w + Math.floor(x));
      for (let k = 0; k < 3; k++) expect(Math.abs(image.data[at + k]! - c[i]![k]!)).toBeLessThanOrEqual(LEVELS);
    }
  });
  test.each([
    ['huge.png', /InputError|FileError/],
    ['drawing.svg', /FileError/],
  ])('%s is refused by name', async (name, kind) => {
    const fault: unknown = await readImage(new Uint8Array(readFileSync(new URL(name, FOLDER))), options).catch(
      (error: unknown) => error,
    );
    expect((fault as Error).name).toMatch(kind);
  });
});

describe('sizes that the data cannot fill', () => {
  test('a PNG of 69 bytes that claims 16,384 x 3,000 pixels', async () => {
    const bytes = Uint8Array.from(pictureFile('one.png'));
    const view = new DataView(bytes.buffer);
    view.setUint32(16, 16_384);
    view.setUint32(20, 3000);
    view.setUint32(29, crc32(bytes, 12, 29));
    await expect(readImage(bytes, options)).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringMatching(/cannot hold 16384 x 3000 pixels/),
    });
  });
  test('a JPEG that claims the same', async () => {
    const bytes = Uint8Array.from(pictureFile('one.jpg'));
    const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    new DataView(bytes.buffer).setUint16(frame + 5, 3000);
    new DataView(bytes.buffer).setUint16(frame + 7, 16_384);
    await expect(readImage(bytes, options)).rejects.toMatchObject({ code: 'truncated' });
  });
});

test('turning and mirroring, beside the eight placements spelled out', () => {
  // Two columns a and b over three rows; each number is one pixel.
  const stored = [1, 2, 3, 4, 5, 6];
  const shown: Readonly<Record<number, readonly number[]>> = {
    1: [1, 2, 3, 4, 5, 6],
    2: [2, 1, 4, 3, 6, 5],
    3: [6, 5, 4, 3, 2, 1],
    4: [5, 6, 3, 4, 1, 2],
    5: [1, 3, 5, 2, 4, 6],
    6: [5, 3, 1, 6, 4, 2],
    7: [6, 4, 2, 5, 3, 1],
    8: [2, 4, 6, 1, 3, 5],
  };
  const data = Uint8ClampedArray.from(stored.flatMap((value) => [value, value, value, 255]));
  for (const [orientation, wanted] of Object.entries(shown)) {
    const image = upright({ data, width: 2, height: 3 }, Number(orientation));
    expect([image.width, image.height]).toEqual(Number(orientation) < 5 ? [2, 3] : [3, 2]);
    expect([...image.data].filter((_, i) => i % 4 === 0)).toEqual(wanted);
  }
});
