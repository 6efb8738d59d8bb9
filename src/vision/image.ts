/** The representation of an image between its file and a model, and the limits of its size. */
import { InputError } from '../errors.ts';

/**
 * An image with eight bits per channel: rows from the top, with red, green, blue and alpha interleaved, `width * height
 * * 4` bytes.
 */
export interface Rgba {
  /** Four bytes a pixel. */
  readonly data: Uint8ClampedArray;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

export const CHANNELS = 4;
/** The longest side that is accepted: the largest that Chromium and Firefox can draw onto a canvas. */
export const MAX_SIDE = 16_384;
/**
 * The largest area that is accepted: a 48-megapixel phone photograph (8,064 x 6,048) fits, and its pixels take 200 MB.
 */
export const MAX_PIXELS = 50_000_000;
/** The largest file that is accepted: a 48-megapixel photograph saved as PNG takes about 100 MB. */
export const MAX_FILE_BYTES = 128 << 20;

/** Throws `InputError('argument')` unless both sides are integers, at least 1, and within the limits. */
export function checkSize(width: number, height: number, name: string): void {
  const facts = { name, width, height, maxSide: MAX_SIDE, maxPixels: MAX_PIXELS };
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1) {
    throw new InputError(
      'argument',
      `${name}: ${width} x ${height} pixels; an image has at least one pixel a side`,
      facts,
    );
  }
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
    throw new InputError(
      'argument',
      `${name}: ${width} x ${height} pixels; at most ${MAX_SIDE} a side and ${MAX_PIXELS / 1e6} million in all are read: make it smaller first`,
      facts,
    );
  }
}

/** Throws `InputError` if a file is empty ('empty') or longer than `MAX_FILE_BYTES` ('argument'). */
export function checkFileBytes(bytes: number, name: string): void {
  if (bytes === 0) throw new InputError('empty', `${name}: the image has no bytes; give a whole image file`, { name });
  if (bytes > MAX_FILE_BYTES) {
    throw new InputError(
      'argument',
      `${name}: ${bytes} bytes; image files of at most ${MAX_FILE_BYTES} are read: save it smaller, or as JPEG`,
      { name, bytes, limit: MAX_FILE_BYTES },
    );
  }
}

/** Throws `InputError('argument')` unless the pixels are bytes and their number matches the sides. */
export function checkPixels(image: Rgba, name: string): void {
  const { data, width, height } = image;
  checkSize(width, height, name);
  if (!isByteArray(data))
    throw new InputError('argument', `${name}: data must be a Uint8ClampedArray of red, green, blue, alpha`, { name });
  const wanted = width * height * CHANNELS;
  if (data.length !== wanted) {
    throw new InputError(
      'argument',
      `${name}: ${data.length} bytes for ${width} x ${height} pixels; red, green, blue and alpha take ${wanted}`,
      { name, bytes: data.length, wanted },
    );
  }
}

/**
 * Recognises byte arrays by their tag, because an array from another realm (a frame, a test's context) is not an
 * instance of this realm's class.
 */
export function isByteArray(value: unknown): value is Uint8Array | Uint8ClampedArray {
  const tag = Object.prototype.toString.call(value);
  return tag === '[object Uint8ClampedArray]' || tag === '[object Uint8Array]';
}

/** Returns a copy of the image composited over white: `c * a + 255 * (1 - a)`, rounded, with alpha 255 everywhere. */
export function overWhite(image: Rgba): Rgba {
  const { data, width, height } = image;
  const out = new Uint8ClampedArray(data);
  for (let i = 0; i < out.length; i += CHANNELS) {
    const alpha = data[i + 3] ?? 255;
    if (alpha === 255) continue;
    const white = 255 * (255 - alpha);
    for (let c = i; c < i + 3; c++) out[c] = Math.round(((data[c] ?? 0) * alpha + white) / 255);
    out[i + 3] = 255;
  }
  return { data: out, width, height };
}
