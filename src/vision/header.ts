/**
 * Determines an image file's format and size, and whether it is complete, from its bytes before any decoder receives
 * them.
 */
import { FileError } from '../errors.ts';
import { FORMATS, type ImageType } from './formats/index.ts';
import { ImageBytes, type ImageFormat } from './formats/bytes.ts';
import { checkFileBytes, checkSize } from './image.ts';

export interface ImageHeader {
  readonly type: ImageType;
  /**
   * The size as stored, before EXIF orientation is applied. For AVIF and HEIC it is the size of the largest image in
   * the file.
   */
  readonly width: number;
  readonly height: number;
}

/** Formats that people are likely to try, named in the message that refuses them. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^(II\*\0|MM\0\*)/, 'a TIFF image'],
  [/^%PDF/, 'a PDF document'],
  [/^(\xff\x0a|\0\0\0\x0cJXL )/, 'a JPEG XL image'],
  [/^(\xef\xbb\xbf)?\s*</, 'a web page or an SVG drawing'],
  [/^\0\0\x01\0/, 'an icon'],
];

/**
 * The format is recognised by the bytes; the file's name and declared type do not matter. Throws `InputError` for an
 * empty file or for a file or image that is too large (`MAX_FILE_BYTES`, `MAX_SIDE`, `MAX_PIXELS`), and
 * `FileError('unsupported' | 'truncated' | 'malformed')` otherwise. A JPEG has no checksum, so damage inside its coded
 * data is not noticed.
 */
export function readHeader(bytes: Uint8Array, name: string): ImageHeader {
  checkFileBytes(bytes.length, name);
  const file = new ImageBytes(name, bytes);
  for (const [type, format] of Object.entries(FORMATS) as [ImageType, ImageFormat][]) {
    if (!format.matches(file)) continue;
    const { width, height } = format.size(file);
    if (width < 1 || height < 1)
      throw file.malformed('size', 0, `${width} x ${height} pixels; an image has at least one pixel a side`);
    checkSize(width, height, name);
    format.check(file);
    return { type, width, height };
  }
  const start = file.text(0, 16);
  const other = OTHERS.find(([pattern]) => pattern.test(start))?.[1] ?? 'no image of a known format';
  throw new FileError(
    'unsupported',
    { file: name, field: 'format', offset: 0 },
    `it is ${other}; PNG, JPEG, WebP, GIF, BMP and AVIF are read: save it as one of them`,
  );
}
