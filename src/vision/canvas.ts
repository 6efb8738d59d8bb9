/** Pixels of whatever can be drawn onto a canvas: in pages and workers here, and by the same bands in Node. */
import { DeviceError, FileError, InputError } from '../errors.ts';
import type { ImageDecoder } from './decoder.ts';
import { CHANNELS, checkSize, type Rgba } from './image.ts';

/** What can be drawn and has a size of its own. */
export type Drawable = ImageBitmap | OffscreenCanvas | HTMLCanvasElement | HTMLImageElement;

/** What is used of a 2D context, in browsers and in Node's package alike. */
export interface Paper {
  fillStyle: unknown;
  fillRect(x: number, y: number, width: number, height: number): void;
  getImageData(x: number, y: number, width: number, height: number): { readonly data: ArrayLike<number> };
}

/**
 * Pixels of one band: a canvas of the whole picture would hold a second copy of it, and iOS gives canvases of 16.7 million pixels
 * at most (and draws nothing on larger ones, silently).
 */
const BAND_PIXELS = 4 << 20;

/** The picture over white, band by band: `draw` puts rows `[top, top + rows)` at the canvas's origin. */
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

/** Throws `InputError('argument')` where its size is none or too large, or where the browser keeps its pixels from the page. */
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

/** Waits for the element's image. Throws `FileError('malformed')` where that fails. */
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

/** The browser's own decoder: first frame, EXIF orientation applied, colours brought to sRGB. */
export const browserDecoder: ImageDecoder = {
  async decode(file, { type }, name) {
    // Blobs are not made of shared memory.
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

/** Workers have no document, older web views no OffscreenCanvas or none with a 2D context. */
function openPaper(width: number, height: number): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  // The pixels come back to the CPU in any case, so they need not go to the GPU.
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

/** For the page. Owns a copy of the pixels. Throws `DeviceError('unavailable')` in Node: write a file with `encodePng` there. */
export function toImageData({ data, width, height }: Rgba): ImageData {
  if (typeof ImageData !== 'function')
    throw new DeviceError('unavailable', 'there is no ImageData here; use the pixels, or encodePng');
  return new ImageData(new Uint8ClampedArray(data), width, height);
}

/** For the page; the taker closes it. Throws as `toImageData`. */
export async function toImageBitmap(image: Rgba): Promise<ImageBitmap> {
  const pixels = toImageData(image);
  return createImageBitmap(pixels);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
