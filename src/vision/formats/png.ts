/** PNG (W3C Portable Network Graphics, third edition): a signature, then chunks of length, kind, data and CRC-32. */
import { crc32 } from '../crc.ts';
import type { ImageBytes, ImageFormat } from './bytes.ts';

const FIRST_CHUNK = 8;
/** Length, kind and CRC. */
const CHUNK_FRAME = 12;
const HEADER_BYTES = 13;

export const png: ImageFormat = {
  matches: (file) => file.text(0, FIRST_CHUNK) === '\x89PNG\r\n\x1a\n',
  size: (file) => {
    if (file.u32(FIRST_CHUNK, 'IHDR') !== HEADER_BYTES || file.text(FIRST_CHUNK + 4, 4) !== 'IHDR')
      throw file.malformed('IHDR', FIRST_CHUNK, 'the first chunk is no image header');
    return { width: file.u32(16, 'width'), height: file.u32(20, 'height') };
  },
  check: (file) => {
    let data = false;
    for (let at = FIRST_CHUNK; ;) {
      const length = file.u32(at, 'chunk');
      const kind = file.text(at + 4, 4);
      file.need(at, length + CHUNK_FRAME, kind);
      if (isCritical(file, at)) checkSum(file, at, length, kind);
      if (kind === 'IEND') break;
      data ||= kind === 'IDAT';
      at += length + CHUNK_FRAME;
    }
    if (!data) throw file.malformed('IDAT', FIRST_CHUNK, 'the file has no image data');
  },
};

/** Decoders need the chunks whose kind begins with a capital, and may skip all others. */
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
