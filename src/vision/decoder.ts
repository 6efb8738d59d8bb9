/**
 * The interface of image decoders, which turn a file's bytes into pixels: the browser itself, or a package in Node
 * (`src/platform/images-node.ts`).
 */
import type { ImageHeader } from './header.ts';
import type { Rgba } from './image.ts';

export interface ImageDecoder {
  /**
   * Returns the first frame in 8-bit sRGB, over white where it is transparent. The file declares itself upright
   * (decodable.ts), and its header has been read and is within the limits. Any error thrown here that is not one of
   * Octavo's is taken to mean that the file is damaged.
   */
  decode(file: Uint8Array, header: ImageHeader, name: string): Promise<Rgba>;
}
