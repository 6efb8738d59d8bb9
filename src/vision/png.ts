/**
 * Writes PNG (W3C Portable Network Graphics, third edition) with eight bits per channel, and with alpha only if a pixel
 * is not opaque.
 */
import { DeviceError } from '../errors.ts';
import { crc32 } from './crc.ts';
import { CHANNELS, checkPixels, type Rgba } from './image.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** The number of the format's row filters, which determine the value that is subtracted from each byte. */
const FILTERS = 5;

/**
 * Returns the whole file. Throws `InputError('argument')` if the number of bytes does not match the sides, and
 * `DeviceError` in browsers without CompressionStream.
 */
export async function encodePng(image: Rgba): Promise<Uint8Array<ArrayBuffer>> {
  checkPixels(image, 'image');
  const channels = isOpaque(image.data) ? 3 : CHANNELS;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, image.width);
  view.setUint32(4, image.height);
  header.set([8, channels === 3 ? 2 : 6, 0, 0, 0], 8);
  const parts = [
    SIGNATURE,
    ...chunk('IHDR', header),
    ...chunk('IDAT', await deflate(filtered(image, channels))),
    ...chunk('IEND', new Uint8Array(0)),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

function isOpaque(data: Uint8ClampedArray): boolean {
  for (let i = 3; i < data.length; i += CHANNELS) if (data[i] !== 255) return false;
  return true;
}

/**
 * Returns the rows, each preceded by the number of the filter that makes its bytes smallest (as signed numbers), which
 * is the format's own recommendation.
 */
function filtered({ data, width, height }: Rgba, channels: number): Uint8Array {
  const row = width * channels;
  const out = new Uint8Array((row + 1) * height);
  const trial = new Uint8Array(row);
  let above = new Uint8Array(row);
  let line = new Uint8Array(row);
  for (let y = 0; y < height; y++) {
    for (let x = 0, from = y * width * CHANNELS, to = 0; x < width; x++, from += CHANNELS) {
      for (let c = 0; c < channels; c++) line[to++] = data[from + c] ?? 0;
    }
    let best = Infinity;
    for (let filter = 0; filter < FILTERS; filter++) {
      const cost = filterRow(filter, line, above, channels, trial);
      if (cost >= best) continue;
      best = cost;
      out[y * (row + 1)] = filter;
      out.set(trial, y * (row + 1) + 1);
    }
    [above, line] = [line, above];
  }
  return out;
}

/** Fills `out` with the filtered row and returns the sum of its bytes' magnitudes. */
function filterRow(filter: number, line: Uint8Array, above: Uint8Array, channels: number, out: Uint8Array): number {
  let cost = 0;
  for (let i = 0; i < line.length; i++) {
    const left = i < channels ? 0 : (line[i - channels] as number);
    const up = above[i] as number;
    const corner = i < channels ? 0 : (above[i - channels] as number);
    const value = ((line[i] as number) - guess(filter, left, up, corner)) & 255;
    out[i] = value;
    cost += value < 128 ? value : 256 - value;
  }
  return cost;
}

function guess(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  // Paeth: takes the neighbour nearest to left + up - corner.
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** Compresses to the zlib format. */
async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  if (typeof CompressionStream !== 'function')
    throw new DeviceError(
      'unavailable',
      'this browser has no CompressionStream, which writes PNG; take the pixels instead, or update the browser',
    );
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind: string, data: Uint8Array): Uint8Array[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, data.length);
  for (let i = 0; i < 4; i++) head[4 + i] = kind.charCodeAt(i);
  const named = new Uint8Array(4 + data.length);
  named.set(head.subarray(4));
  named.set(data, 4);
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, crc32(named));
  return [head, data, sum];
}
