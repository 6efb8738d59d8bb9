/**
 * Reads the pixels of everything that can be drawn onto a canvas: in pages and workers here, and with the same bands in
 * Node.
 */
import { DeviceError, FileError, InputError } from '../errors.ts';
import type { ImageDecoder } from './decoder.ts';
import { CHANNELS, checkSize, type Rgba } from './image.ts';

/** Sources that can be drawn and that have a size of their own. */
export type Drawable = ImageBitmap | OffscreenCanvas | HTMLCanvasElement | HTMLImageElement;

/** The part of a 2D context that is used, both in browsers and in Node's package. */
export interface Paper {
  fillStyle: unknown;
  fillRect(x: number, y: number, width: number, height: number): void;
  getImageData(x: number, y: number, width: number, height: number): { readonly data: ArrayLike<number> };
}

/**
 * The number of pixels in one band. A canvas of the whole image would hold a second copy of it, and iOS limits canvases
 * to 16.7 million pixels (larger ones silently stay empty).
 */
const BAND_PIXELS = 4 << 20;

/**
 * Draws the image over white and reads it band by band. `draw` puts rows `[top, top + rows)` at the canvas's origin.
 */
export function readBands<P extends Paper>(
  width: number,
  height: number,
  open: (width: number, height: number) => P,
  draw: (paper: P, top: number, rows: number) => void,
): Rgba {
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  const band = Math.min(height, Math.max(1, Math.floor(BAND_PIXELS / width)));
  const paper = open(width, band);
  for (let top = 0; top < height; top += band) {
    const rows = Math.min(band, height - top);
    paper.fillStyle = '#fff';
    paper.fillRect(0, 0, width, rows);
    draw(paper, top, rows);
    data.set(paper.getImageData(0, 0, width, rows).data, top * width * CHANNELS);
  }
  return { data, width, height };
}

/**
 * Throws `InputError('argument')` if the source has no size or is too large, or if the browser does not let the page
 * read its pixels.
 */
export function readDrawable(source: Drawable, name: string): Rgba {
  const [width, height] =
    'naturalWidth' in source ? [source.naturalWidth, source.naturalHeight] : [source.width, source.height];
  checkSize(width, height, name);
  try {
    return readBands(width, height, openPaper, (paper, top, rows) =>
      paper.drawImage(source, 0, top, width, rows, 0, 0, width, rows),
    );
  } catch (cause) {
    if (cause instanceof DeviceError) throw cause;
    throw new InputError(
      'argument',
      `${name}: its pixels cannot be read (${messageOf(cause)}); an image of another site needs crossorigin="anonymous" and that site's consent`,
      { name },
      { cause },
    );
  }
}

/** Waits until the element's image has loaded. Throws `FileError('malformed')` if it cannot be loaded. */
export async function readElement(source: HTMLImageElement, name: string): Promise<Rgba> {
  try {
    await source.decode();
  } catch (cause) {
    throw new FileError('malformed', { file: name, field: 'element' }, 'the <img> element could not load its image', {
      cause,
    });
  }
  return readDrawable(source, name);
}

/** The browser's own decoder: it returns the first frame, applies the EXIF orientation and converts colours to sRGB. */
export const browserDecoder: ImageDecoder = {
  async decode(file, { type }, name) {
    // A Blob cannot be made of shared memory.
    const bytes = file.buffer instanceof ArrayBuffer ? (file as Uint8Array<ArrayBuffer>) : new Uint8Array(file);
    const bitmap = await createImageBitmap(new Blob([bytes], { type: `image/${type}` }), {
      imageOrientation: 'from-image',
    });
    try {
      return readDrawable(bitmap, name);
    } finally {
      bitmap.close();
    }
  },
};

/** Workers have no document, and older web views have no OffscreenCanvas, or one without a 2D context. */
function openPaper(width: number, height: number): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  // The pixels are read back by the CPU in any case, so the canvas need not live on the GPU.
  const options: CanvasRenderingContext2DSettings = { willReadFrequently: true };
  if (typeof OffscreenCanvas === 'function') {
    const paper = new OffscreenCanvas(width, height).getContext('2d', options);
    if (paper !== null) return paper;
  }
  if (typeof document === 'object') {
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const paper = canvas.getContext('2d', options);
    if (paper !== null) return paper;
  }
  throw new DeviceError(
    'unavailable',
    `no canvas of ${width} x ${height} pixels can be made here, and images are read with one; give a smaller image or raw pixels {data, width, height}`,
    { width, height },
  );
}

/**
 * Returns pixels for the page, with a copy of the data. Throws `DeviceError('unavailable')` in Node, where `encodePng`
 * writes a file instead.
 */
export function toImageData({ data, width, height }: Rgba): ImageData {
  if (typeof ImageData !== 'function')
    throw new DeviceError('unavailable', 'there is no ImageData here; use the pixels, or encodePng');
  return new ImageData(new Uint8ClampedArray(data), width, height);
}

/** Returns a bitmap for the page; the caller closes it. Throws the same errors as `toImageData`. */
export async function toImageBitmap(image: Rgba): Promise<ImageBitmap> {
  const pixels = toImageData(image);
  return createImageBitmap(pixels);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
