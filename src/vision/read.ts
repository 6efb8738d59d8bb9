/** Reads pixels from every kind of image input that a caller may pass. */
import { DeviceError, FileError, InputError, OctavoError } from '../errors.ts';
import { abortable } from '../load/byte-source.ts';
import { browserDecoder, readDrawable, readElement, type Drawable } from './canvas.ts';
import type { ImageDecoder } from './decoder.ts';
import { blobBytes, type NamedBytes } from './blob.ts';
import type { FetchOptions } from './fetch.ts';
import { decodable } from './decodable.ts';
import { readHeader, type ImageHeader } from './header.ts';
import { checkPixels, checkSize, isByteArray, overWhite, type Rgba } from './image.ts';
import { upright } from './orientation.ts';

/**
 * An image file (Blob, File or its bytes), its URL (http, https, data or blob; in Node also a path or a file: URL),
 * pixels (ImageData, or red, green, blue and alpha bytes with the sides), or what a page displays (ImageBitmap, a
 * canvas or an `<img>`).
 */
export type ImageInput = string | URL | Blob | Uint8Array | ArrayBuffer | Rgba | ImageData | Drawable;

export interface ReadImageOptions extends FetchOptions {
  /** If absent, the browser decodes. Node's decoder is `createNodeDecoder()` of src/platform. */
  readonly decoder?: ImageDecoder | undefined;
}

/**
 * Returns the image's pixels, which the caller owns: the first frame in 8-bit sRGB, upright as the file's orientation
 * says (EXIF; in AVIF and HEIC the image's own properties), with transparent parts over white. Formats are recognised
 * by their bytes. A file that is too large is refused before it is decoded, and an incomplete one is refused rather
 * than drawn in part. Throws `InputError` (not an image, unreadable or too large), `FileError` (unknown format,
 * truncated or damaged), `StorageError('network')`, and `DeviceError('unavailable')` if no decoder is available;
 * rejects with the signal's reason on abort. Does not close an ImageBitmap.
 */
export async function readImage(input: ImageInput, options: ReadImageOptions = {}): Promise<Rgba> {
  const { signal } = options;
  signal?.throwIfAborted();
  if (typeof input === 'string') return decode(await fromAddress(input, options), options);
  if (input instanceof URL) return decode(await fromAddress(input.href, options), options);
  if (input instanceof Blob) return decode(await blobBytes(input, blobName(input), signal), options);
  if (isArrayBuffer(input)) return decode({ name: 'image', bytes: new Uint8Array(input) }, options);
  if (isFileBytes(input)) return decode({ name: 'image', bytes: input }, options);
  if (typeof input === 'object' && input !== null) {
    const name = drawableName(input);
    if (name === 'HTMLImageElement') return abortable(readElement(input as HTMLImageElement, name), signal);
    if (name !== undefined) return readDrawable(input as Drawable, name);
    if ('data' in input && 'width' in input && 'height' in input) {
      checkPixels(input, 'image');
      return overWhite(input);
    }
  }
  throw new InputError(
    'argument',
    'the image must be a Blob, File, URL, path, bytes, ImageData, ImageBitmap, canvas, <img> or {data, width, height}',
    { type: typeof input },
  );
}

function blobName(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' && blob.name !== '' ? blob.name : 'image';
}

async function decode({ name, bytes }: NamedBytes, { decoder, signal }: ReadImageOptions): Promise<Rgba> {
  const header = readHeader(bytes, name);
  const chosen = decoder ?? (typeof createImageBitmap === 'function' ? browserDecoder : undefined);
  if (chosen === undefined)
    throw new DeviceError('unavailable', `${name}: nothing here decodes images; give pixels {data, width, height}`, {
      name,
    });
  const { files, orientation } = decodable(bytes, header.type, name);
  let image: Rgba | undefined;
  for (const file of files) {
    const found = await decodeFile(chosen, file, header, name, signal);
    if (image !== undefined && !samePixels(found, image))
      throw new FileError(
        'truncated',
        { file: name, field: 'scan', offset: bytes.length },
        'the file ends within the image data; get the whole file',
      );
    image ??= found;
  }
  if (image === undefined)
    throw new FileError('malformed', { file: name, field: header.type }, 'it holds no image data');
  // The header may declare another size than the frame inside has.
  checkSize(image.width, image.height, name);
  return upright(image, orientation);
}

async function decodeFile(
  decoder: ImageDecoder,
  file: Uint8Array,
  header: ImageHeader,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Rgba> {
  try {
    return await abortable(decoder.decode(file, header, name), signal);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof OctavoError) throw cause;
    const known =
      header.type === 'avif' || header.type === 'heic'
        ? `${header.type.toUpperCase()} is not decoded by this device, or the file is damaged`
        : 'it could not be decoded: the file is damaged';
    throw new FileError(
      'malformed',
      { file: name, field: header.type },
      `${known}; get it again, or save it as PNG or JPEG`,
      { cause },
    );
  }
}

function samePixels(a: Rgba, b: Rgba): boolean {
  return a.width === b.width && a.height === b.height && a.data.every((value, i) => value === b.data[i]);
}

function isArrayBuffer(input: unknown): input is ArrayBuffer {
  return Object.prototype.toString.call(input) === '[object ArrayBuffer]';
}

/** A clamped array holds pixels, never a file. */
function isFileBytes(input: unknown): input is Uint8Array {
  return isByteArray(input) && input[Symbol.toStringTag] === 'Uint8Array';
}

/**
 * Returns the name of the input's class if the browser can draw it, determined by its tag, which is the same in every
 * frame.
 */
function drawableName(input: object): string | undefined {
  const name = Object.prototype.toString.call(input).slice('[object '.length, -1);
  return ['ImageBitmap', 'OffscreenCanvas', 'HTMLCanvasElement', 'HTMLImageElement'].includes(name) ? name : undefined;
}

async function fromAddress(address: string, options: FetchOptions): Promise<NamedBytes> {
  const { fetchImage } = await import('./fetch.ts');
  return fetchImage(address, options);
}
