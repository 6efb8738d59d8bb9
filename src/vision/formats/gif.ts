/**
 * GIF (version 89a) consists of a screen descriptor and blocks: extensions (21), images (2C) and the trailer (3B). Only
 * the first image is read.
 */
import { checkSize } from '../image.ts';
import type { ImageBytes, ImageFormat } from './bytes.ts';

const SCREEN = 6;
const FIRST_BLOCK = 13;

export const gif: ImageFormat = {
  matches: (file) => /^GIF8[79]a$/.test(file.text(0, SCREEN)),
  size: (file) => ({ width: file.u16(SCREEN, 'width', true), height: file.u16(SCREEN + 2, 'height', true) }),
  check: (file) => {
    for (let at = FIRST_BLOCK + colourTable(file.u8(SCREEN + 4, 'screen')); ;) {
      const kind = file.u8(at, 'block');
      if (kind === 0x21) {
        at = skipParts(file, at + 2);
      } else if (kind === 0x2c) {
        // A decoder allocates memory even for a frame that is larger than the screen.
        checkSize(file.u16(at + 5, 'frame', true), file.u16(at + 7, 'frame', true), file.name);
        // Skips nine bytes of position, size and flags, then the colour table, the code size and the sub-blocks.
        skipParts(file, at + 10 + colourTable(file.u8(at + 9, 'frame')) + 1);
        return;
      } else {
        throw file.malformed('block', at, kind === 0x3b ? 'the file has no image data' : `${kind} is no kind of block`);
      }
    }
  },
};

/** Returns the size in bytes of the colour table that these flags announce. */
function colourTable(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1);
}

/** Skips sub-blocks, each of a length and data, up to and including the one of length 0. */
function skipParts(file: ImageBytes, from: number): number {
  for (let at = from; ;) {
    const length = file.u8(at, 'data');
    at += 1 + length;
    if (length === 0) return at;
  }
}
