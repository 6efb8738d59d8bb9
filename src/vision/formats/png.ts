/**
 * PNG (W3C Portable Network Graphics, third edition) consists of a signature and of chunks, each with a length, kind,
 * data and CRC-32.
 */
import { crc32 } from '../crc.ts';
import type { ImageBytes, ImageFormat } from './bytes.ts';
import { exifOrientation, withoutOrientation } from './exif.ts';

const FIRST_CHUNK = 8;
/** The bytes of a chunk's length, kind and CRC. */
const CHUNK_FRAME = 12;
const HEADER_BYTES = 13;
/** One byte of deflate expands to at most this many bytes (RFC 1951: 258 bytes for two bits). */
const MAX_EXPANSION = 1032;
/** Samples per pixel, by colour type. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export const png: ImageFormat = {
  matches: (file) => file.text(0, FIRST_CHUNK) === '\x89PNG\r\n\x1a\n',
  size: (file) => {
    if (file.u32(FIRST_CHUNK, 'IHDR') !== HEADER_BYTES || file.text(FIRST_CHUNK + 4, 4) !== 'IHDR')
      throw file.malformed('IHDR', FIRST_CHUNK, 'the first chunk is no image header');
    return { width: file.u32(16, 'width'), height: file.u32(20, 'height') };
  },
  check: (file) => {
    let data = 0;
    for (const { kind, at, length } of chunks(file)) {
      if (isCritical(file, at)) checkSum(file, at, length, kind);
      if (kind === 'IDAT') data += length;
    }
    if (data === 0) throw file.malformed('IDAT', FIRST_CHUNK, 'the file has no image data');
    const { width, height } = png.size(file);
    const bits = file.u8(24, 'bit depth') * (SAMPLES[file.u8(25, 'colour type')] ?? 1);
    const wanted = height * (1 + Math.ceil((width * bits) / 8));
    // Adam7's seven passes have no filter bytes for rows that do not exist.
    if (data * MAX_EXPANSION < wanted - height)
      throw file.malformed(
        'IDAT',
        FIRST_CHUNK,
        `${data} bytes cannot hold ${width} x ${height} pixels; the file is damaged: get it again`,
      );
  },
  orientation: (file) => {
    for (const { kind, at, length } of chunks(file)) {
      if (kind !== 'eXIf') continue;
      const found = exifOrientation(file.bytes, at + 8, at + 8 + length);
      if (found === undefined || found.value === 1) return undefined;
      const neutral = withoutOrientation(file.bytes, found);
      new DataView(neutral.buffer).setUint32(at + 8 + length, crc32(neutral, at + 4, at + 8 + length));
      return { value: found.value, neutral };
    }
    return undefined;
  },
};

/** Yields every chunk up to the end chunk, with `at` the position of its length field. Each one is complete. */
function* chunks(file: ImageBytes): Generator<{ kind: string; at: number; length: number }> {
  for (let at = FIRST_CHUNK; ;) {
    const length = file.u32(at, 'chunk');
    const kind = file.text(at + 4, 4);
    file.need(at, length + CHUNK_FRAME, kind);
    yield { kind, at, length };
    if (kind === 'IEND') return;
    at += length + CHUNK_FRAME;
  }
}

/** A decoder needs the chunks whose kind begins with a capital letter and may skip all others. */
function isCritical(file: ImageBytes, at: number): boolean {
  return (file.u8(at + 4, 'chunk') & 0x20) === 0;
}

function checkSum(file: ImageBytes, at: number, length: number, kind: string): void {
  const found = crc32(file.bytes, at + 4, at + 8 + length);
  const wanted = file.u32(at + 8 + length, kind);
  if (found !== wanted)
    throw file.malformed(
      kind,
      at,
      `its checksum is ${found.toString(16)}, the file says ${wanted.toString(16)}; the file is damaged: get it again`,
    );
}
