/** What turns a file's bytes into pixels: the browser itself, or a package in Node (`src/platform/images-node.ts`). */
import type { ImageHeader } from './header.ts';
import type { Rgba } from './image.ts';

export interface ImageDecoder {
  /**
   * The first frame over white where it is transparent, in 8-bit sRGB. The file says that it is upright (decodable.ts), its header was read and is
   * within the limits. What this throws, other than Octavo's errors, is taken to mean that the file is damaged.
   */
  decode(file: Uint8Array, header: ImageHeader, name: string): Promise<Rgba>;
}
