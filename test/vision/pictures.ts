/** Pictures for tests: noise, and RGB bytes as opaque pixels and back. */
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
