/** Pictures for tests: noise, RGB bytes as opaque pixels and back, and PIL's files. */
import { readFileSync } from 'node:fs';
import type { Rgba } from '../../src/vision/index.ts';
import type { Random } from '../support/random.ts';

export function rgbaOf(rgb: Uint8Array, width: number, height: number): Rgba {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return { data, width, height };
}

export function rgbOf({ data }: Rgba): Uint8Array {
  return Uint8Array.from(data.filter((_, i) => i % 4 !== 3));
}

export function noisePicture(source: Random, width: number, height: number, opaque = true): Rgba {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < data.length; i++) data[i] = opaque && i % 4 === 3 ? 255 : source.integer(0, 256);
  return { data, width, height };
}

/** A file of test/fixtures/vision with what PIL reads from it. */
export interface PictureFile {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Base64 of RGB bytes, upright and over white. */
  readonly rgb: string;
}

const FOLDER = new URL('../fixtures/vision/', import.meta.url);
export const { files: pictures } = JSON.parse(readFileSync(new URL('pictures.json', FOLDER), 'utf8')) as {
  readonly files: readonly PictureFile[];
};

export function pictureFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}
