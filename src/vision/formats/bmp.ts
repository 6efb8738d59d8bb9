/**
 * BMP (Windows bitmap) consists of a file header of 14 bytes, an information header, a palette, and rows padded to a
 * multiple of four bytes.
 */
import type { ImageFormat } from './bytes.ts';

const INFORMATION = 14;
/**
 * The size of the first version's header, which has 16-bit sides. All other versions begin with 40 bytes of one layout.
 */
const OLD_HEADER = 12;
/** Compressions whose rows have a fixed length: none, and channels given by bit masks. */
const PLAIN: ReadonlySet<number> = new Set([0, 3, 6]);

export const bmp: ImageFormat = {
  matches: (file) => file.text(0, 2) === 'BM',
  size: (file) => {
    if (file.u32(INFORMATION, 'header', true) === OLD_HEADER)
      return { width: file.u16(INFORMATION + 4, 'width', true), height: file.u16(INFORMATION + 6, 'height', true) };
    // A negative height means that the rows run from the top.
    return { width: file.i32(INFORMATION + 4, 'width'), height: Math.abs(file.i32(INFORMATION + 8, 'height')) };
  },
  check: (file) => {
    const old = file.u32(INFORMATION, 'header', true) === OLD_HEADER;
    const bits = file.u16(INFORMATION + (old ? 10 : 14), 'bits a pixel', true);
    const compression = old ? 0 : file.u32(INFORMATION + 16, 'compression', true);
    if (!PLAIN.has(compression)) return file.need(0, file.u32(2, 'file size', true), 'file size');
    const { width, height } = bmp.size(file);
    file.need(file.u32(10, 'pixels', true), Math.ceil((width * bits) / 32) * 4 * height, 'pixels');
  },
};
