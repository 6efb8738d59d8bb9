/** A painted image, as the page receives it. */
import { toImageBitmap, toImageData } from '../vision/canvas.ts';
import type { Rgba } from '../vision/image.ts';

/** Pixels, with ways to show and store them: an ImageData or ImageBitmap for a canvas, a PNG for a file. */
export class PaintedPicture implements Rgba {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Red, green, blue, alpha, row by row from the top. */
  readonly data: Uint8ClampedArray;
  /** The seed, which paints the same picture again with the same words and options on the same device. */
  readonly seed: number;

  /** @hidden Made by `OctavoModel.paint` and `edit`. */
  constructor({ data, width, height, seed }: Rgba & { readonly seed: number }) {
    this.data = data;
    this.width = width;
    this.height = height;
    this.seed = seed;
  }

  /** The bytes of a PNG file, in browsers and in Node. */
  toPng(): Promise<Uint8Array<ArrayBuffer>> {
    // Pages that do not encode PNG do not download the encoder.
    return import('../vision/png.ts').then(({ encodePng }) => encodePng(this));
  }

  /** A PNG file for `<img>`, downloads and forms. */
  async toBlob(): Promise<Blob> {
    return new Blob([await this.toPng()], { type: 'image/png' });
  }

  /** Returns a copy of the pixels for `putImageData`. Throws `DeviceError('unavailable')` in Node. */
  toImageData(): ImageData {
    return toImageData(this);
  }

  /**
   * Returns an ImageBitmap for `drawImage` and bitmap canvases; the caller closes it. Throws
   * `DeviceError('unavailable')` in Node.
   */
  async toImageBitmap(): Promise<ImageBitmap> {
    return toImageBitmap(this);
  }
}
