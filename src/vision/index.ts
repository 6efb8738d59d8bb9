/** Pictures in and out: files, addresses and canvases to pixels, pixels to what models read, and back to PNG. Knows no model. */
export { toImageBitmap, toImageData } from './canvas.ts';
export type { ImageDecoder } from './decoder.ts';
export { MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, type Rgba } from './image.ts';
export { encodePng } from './png.ts';
export { readImage, type ImageInput, type ReadImageOptions } from './read.ts';
export { resizeBicubic } from './resize.ts';
export { centreCropToSquare, padToSquare, resizeToSquare, toPixels, type SquareFit } from './square.ts';
