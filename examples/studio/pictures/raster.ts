/** Pictures as the application keeps them: files of a bounded size, with their addresses for `<img>`. */

export interface Photo {
  readonly blob: Blob;
  readonly width: number;
  readonly height: number;
}

/** Pixels, as the package gives them. */
export interface Pixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Models see at most 1,024 pixels a side; a little more leaves room for cropping. */
const LARGEST = 1536;
/** Photographs above this are kept as JPEG. */
const LOSSLESS = 512;
const THUMB = 320;

/** Throws for files that this browser cannot decode. */
export async function takePhoto(file: Blob): Promise<Photo> {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  try {
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
    const canvas = drawn(bitmap, width, height);
    const small = Math.max(width, height) <= LOSSLESS;
    return { blob: await toBlob(canvas, small ? 'image/png' : 'image/jpeg'), width, height };
  } finally {
    bitmap.close();
  }
}

export async function thumbnail({ blob, width, height }: Photo): Promise<Blob> {
  if (Math.max(width, height) <= THUMB) return blob;
  const scale = THUMB / Math.max(width, height);
  const bitmap = await createImageBitmap(blob);
  try {
    return await toBlob(drawn(bitmap, Math.round(width * scale), Math.round(height * scale)), 'image/jpeg');
  } finally {
    bitmap.close();
  }
}

/** A PNG file of pixels, exactly. */
export async function photoOf({ data, width, height }: Pixels): Promise<Photo> {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  putPixels(canvas, { data, width, height });
  return { blob: await toBlob(canvas, 'image/png'), width, height };
}

export function putPixels(canvas: HTMLCanvasElement, { data, width, height }: Pixels): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
}

function drawn(bitmap: ImageBitmap, width: number, height: number): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

function toBlob(canvas: HTMLCanvasElement, type: string): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob === null ? reject(new Error('the picture has no pixels')) : resolve(blob)),
      type,
      0.9,
    );
  });
}

const addresses = new WeakMap<Blob, string>();

/** The address of a file for `<img>`, the same one every time. */
export function addressOf(blob: Blob): string {
  const known = addresses.get(blob);
  if (known !== undefined) return known;
  const made = URL.createObjectURL(blob);
  addresses.set(blob, made);
  return made;
}

export function release(blob: Blob): void {
  const known = addresses.get(blob);
  if (known === undefined) return;
  addresses.delete(blob);
  URL.revokeObjectURL(known);
}

/** Whether its pixels are to be seen as squares when it is shown large. */
export function isTiny({ width, height }: Pick<Photo, 'width' | 'height'>): boolean {
  return Math.max(width, height) <= 96;
}
