/** WebP (RFC 9649): a RIFF file whose first chunk is `VP8 ` (lossy), `VP8L` (lossless) or `VP8X` (extended). */
import type { ImageFormat, ImageBytes, Size } from './bytes.ts';
import { exifOrientation, withoutOrientation } from './exif.ts';

/** The position of the first chunk's data. */
const DATA = 20;
/** Some writers put JPEG's EXIF identifier in front of the EXIF data. */
const EXIF = 'Exif\0\0';

export const webp: ImageFormat = {
  matches: (file) => file.text(0, 4) === 'RIFF' && file.text(8, 4) === 'WEBP',
  size: (file) => {
    const kind = file.text(12, 4);
    if (kind === 'VP8X') return { width: 1 + file.u24(DATA + 4, 'width'), height: 1 + file.u24(DATA + 7, 'height') };
    if (kind === 'VP8L') return losslessSize(file);
    if (kind === 'VP8 ') return lossySize(file);
    file.need(12, 8, 'chunk');
    throw file.malformed('chunk', 12, `${JSON.stringify(kind)} is no kind of image`);
  },
  check: (file) => file.need(8, file.u32(4, 'file size', true), 'file size'),
  orientation: (file) => {
    const end = Math.min(file.length, 8 + file.u32(4, 'file size', true));
    for (let at = 12; at + 8 <= end;) {
      const length = file.u32(at + 4, 'chunk', true);
      if (file.text(at, 4) === 'EXIF') {
        const start = at + 8 + (file.text(at + 8, EXIF.length) === EXIF ? EXIF.length : 0);
        const found = exifOrientation(file.bytes, start, at + 8 + length);
        if (found === undefined || found.value === 1) return undefined;
        return { value: found.value, neutral: withoutOrientation(file.bytes, found) };
      }
      at += 8 + length + (length & 1);
    }
    return undefined;
  },
};

function losslessSize(file: ImageBytes): Size {
  if (file.u8(DATA, 'VP8L') !== 0x2f) throw file.malformed('VP8L', DATA, 'the signature is missing');
  const bits = file.u32(DATA + 1, 'VP8L', true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

function lossySize(file: ImageBytes): Size {
  if (file.u24(DATA + 3, 'VP8') !== 0x2a019d) throw file.malformed('VP8', DATA + 3, 'the start code is missing');
  return { width: file.u16(DATA + 6, 'width', true) & 0x3fff, height: file.u16(DATA + 8, 'height', true) & 0x3fff };
}
