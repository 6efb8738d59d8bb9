/** The image formats that can be read, by name. */
import { bmp } from './bmp.ts';
import type { ImageFormat } from './bytes.ts';
import { gif } from './gif.ts';
import { avif, heic } from './heif.ts';
import { jpeg } from './jpeg.ts';
import { png } from './png.ts';
import { webp } from './webp.ts';

export type ImageType = 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'avif' | 'heic';

export const FORMATS: Readonly<Record<ImageType, ImageFormat>> = { png, jpeg, webp, gif, bmp, avif, heic };
