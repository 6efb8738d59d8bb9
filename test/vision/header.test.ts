/** Formats, sizes and wholeness from bytes alone, on PIL's files (training/parity/images.py) and on what no encoder writes. */
import { describe, expect, test } from '@jest/globals';
import { OctavoError } from '../../src/errors.ts';
import type { ImageType } from '../../src/vision/formats/index.ts';
import { readHeader } from '../../src/vision/header.ts';
import { encodePng } from '../../src/vision/index.ts';
import { random } from '../support/random.ts';
import { noisePicture, pictureFile, pictures } from './pictures.ts';

const TYPES: Readonly<Record<string, ImageType>> = {
  png: 'png',
  jpg: 'jpeg',
  webp: 'webp',
  gif: 'gif',
  bmp: 'bmp',
  avif: 'avif',
};
const big = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const little = (value: number): number[] => big(value).reverse();
const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
const fault = (bytes: Iterable<number>): OctavoError => {
  try {
    readHeader(Uint8Array.from(bytes), 'file');
  } catch (error) {
    if (error instanceof OctavoError) return error;
    throw error;
  }
  throw new Error('it was taken');
};

describe('whole files', () => {
  test.each(pictures.map(({ name }) => name))('%s', (name) => {
    const wrong = name === 'wrong-extension.png';
    const one = name.startsWith('one.');
    const size = one ? { width: 1, height: 1 } : { width: 32, height: 24 };
    expect(readHeader(pictureFile(name), name)).toEqual({
      type: wrong ? 'jpeg' : TYPES[name.replace(/.*\./, '')],
      ...size,
    });
  });
});

describe('cut files', () => {
  test.each(pictures.map(({ name }) => name))('%s, at every byte', (name) => {
    const bytes = pictureFile(name);
    for (let end = 0; end < bytes.length; end++) {
      try {
        readHeader(bytes.subarray(0, end), name);
      } catch (error) {
        expect(error).toBeInstanceOf(OctavoError);
        expect([
          ['InputError', 'empty'],
          ['FileError', 'truncated'],
          ['FileError', 'unsupported'],
          ['FileError', 'malformed'],
        ]).toContainEqual([(error as OctavoError).name, (error as OctavoError).code]);
        continue;
      }
      // A GIF goes on after its first picture; whether a JPEG's last scan is whole, only decoding tells (read.test.ts).
      expect(name).toMatch(/gif$|jpg$|^wrong/);
    }
  });

  test('bytes after the end do not matter', () => {
    for (const { name } of pictures) {
      if (name.endsWith('.avif')) continue;
      expect(() => readHeader(Uint8Array.from([...pictureFile(name), 0, 1, 0xff, 2]), name)).not.toThrow();
    }
  });
});

describe('damage', () => {
  test('a changed bit anywhere in a PNG is noticed', () => {
    const bytes = pictureFile('rgb.png');
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Uint8Array.from(bytes);
      damaged[at]! ^= 0x10;
      expect(fault(damaged)).toMatchObject({ name: expect.stringMatching(/FileError|InputError/) });
    }
  });

  test('random damage: typed errors or a header, and soon', () => {
    const source = random(11);
    for (const { name } of pictures) {
      const bytes = pictureFile(name);
      for (let turn = 0; turn < 300; turn++) {
        const damaged = Uint8Array.from(bytes);
        for (let i = source.integer(1, 8); i > 0; i--)
          damaged[source.integer(0, turn % 2 === 0 ? damaged.length : Math.min(64, damaged.length))] = source.pick([
            0,
            1,
            0x7f,
            0x80,
            0xff,
            source.integer(0, 256),
          ]);
        try {
          const { width, height } = readHeader(damaged, name);
          expect(width * height).toBeLessThanOrEqual(50e6);
        } catch (error) {
          if (!(error instanceof OctavoError)) throw error;
        }
      }
    }
  });

  test('long files of one kind of part take a moment', () => {
    const size = 2 << 20;
    const started = performance.now();
    const filled = (head: number[], part: number[]): Uint8Array => {
      const bytes = new Uint8Array(size);
      bytes.set(head);
      for (let at = head.length; at + part.length <= size; at += part.length) bytes.set(part, at);
      return bytes;
    };
    const jpegHead = [0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 9, 0, 9, 3, 1, 0, 0, 2, 0, 0, 3, 0, 0];
    for (const bytes of [
      filled(jpegHead, [0xff]),
      filled(jpegHead, [0xff, 0]),
      filled(jpegHead, [0xff, 0xe1, 0, 2]),
      filled([...ascii('GIF89a'), 9, 0, 9, 0, 0, 0, 0], [0x21, 0, 0]),
      filled([...ascii('GIF89a'), 9, 0, 9, 0, 0, 0, 0, 0x21, 0], [1]),
      filled([...big(16), ...ascii('ftypavif'), 0, 0, 0, 0], [...big(8), ...ascii('free')]),
      // Each `meta` says that it reaches to the file's end, as do the boxes in it.
      filled(
        [...big(16), ...ascii('ftypavif'), 0, 0, 0, 0],
        [
          ...big(0x7fffffff),
          ...ascii('meta'),
          0,
          0,
          0,
          0,
          ...big(0x7fffffff),
          ...ascii('iprp'),
          ...big(0x7fffffff),
          ...ascii('ipco'),
        ],
      ),
    ])
      expect(() => readHeader(bytes, 'long')).toThrow(OctavoError);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('too large', () => {
  const pngOf = (width: number, height: number): number[] => [
    0x89,
    ...ascii('PNG\r\n\x1a\n'),
    ...big(13),
    ...ascii('IHDR'),
    ...big(width),
    ...big(height),
    8,
    2,
    0,
    0,
    0,
  ];
  test.each<[string, number[]]>([
    ['png', pngOf(20_000, 20_000)],
    ['jpeg', [0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0x4e, 0x20, 0x4e, 0x20, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['gif', [...ascii('GIF89a'), 0x20, 0x4e, 0x20, 0x4e, 0, 0, 0]],
    [
      'bmp',
      [
        ...ascii('BM'),
        ...little(100),
        0,
        0,
        0,
        0,
        ...little(54),
        ...little(40),
        ...little(20_000),
        ...little(-20_000),
        1,
        0,
        24,
        0,
      ],
    ],
    [
      'webp',
      [...ascii('RIFF'), ...little(100), ...ascii('WEBPVP8X'), ...little(10), 0, 0, 0, 0, 0x1f, 0x4e, 0, 0x1f, 0x4e, 0],
    ],
    [
      'avif',
      [
        ...big(16),
        ...ascii('ftypavif'),
        0,
        0,
        0,
        0,
        ...big(48),
        ...ascii('meta'),
        0,
        0,
        0,
        0,
        ...big(36),
        ...ascii('iprp'),
        ...big(28),
        ...ascii('ipco'),
        ...big(20),
        ...ascii('ispe'),
        0,
        0,
        0,
        0,
        ...big(20_000),
        ...big(20_000),
      ],
    ],
  ])('20,000 x 20,000 as %s: value, limit and remedy', (_, bytes) => {
    const { name, code, message, facts } = fault(bytes);
    expect({ name, code }).toEqual({ name: 'InputError', code: 'argument' });
    expect(message).toBe(
      'file: 20000 x 20000 pixels; at most 16384 a side and 50 million in all are read: make it smaller first',
    );
    expect(facts).toMatchObject({ width: 20_000, height: 20_000, maxSide: 16_384, maxPixels: 50_000_000 });
  });

  test('by area, and by a GIF frame beyond its screen', () => {
    expect(fault(pngOf(8000, 6251)).code).toBe('argument');
    expect(fault(pngOf(8064, 6048)).code).toBe('truncated');
    expect(
      fault([...ascii('GIF89a'), 1, 0, 1, 0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 0]).message,
    ).toMatch(/65535 x 65535/);
  });

  test('no side', () => {
    expect(fault(pngOf(0, 5))).toMatchObject({ name: 'FileError', code: 'malformed' });
    expect(fault([0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 0, 0, 9, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).message).toMatch(
      /9 x 0 pixels/,
    );
  });
});

test('what it is instead', () => {
  expect(fault([]).code).toBe('empty');
  for (const [bytes, told] of [
    ['<!doctype html>', /web page/],
    ['<svg xmlns=', /SVG/],
    ['%PDF-1.7', /PDF/],
    ['II*\0rest', /TIFF/],
    ['\xff\x0a\0\0', /JPEG XL/],
    ['\0\0\x01\0\x01\0', /icon/],
    ['hello', /known format; PNG, JPEG/],
  ] as const) {
    const { code, message } = fault(ascii(bytes));
    expect(code).toBe('unsupported');
    expect(message).toMatch(told);
  }
});

test('a file of ours', async () => {
  const bytes = await encodePng(noisePicture(random(2), 600, 400));
  expect(readHeader(bytes, 'noise.png')).toEqual({ type: 'png', width: 600, height: 400 });
});
