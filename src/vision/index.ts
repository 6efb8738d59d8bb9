/**
 * Image input and output: converts files, URLs and canvases to pixels, pixels to what models read, and pixels back to
 * PNG. Nothing here depends on a model.
 */
export { toImageBitmap, toImageData } from './canvas.ts';
export { MAX_FILE_BYTES, type Rgba } from './image.ts';
export { encodePng } from './png.ts';
export { readImage, type ImageInput } from './read.ts';
export { resize } from './resize.ts';
export { centreCropToSquare, padToSquare, resizeToSquare, toPixels, type SquareFit } from './square.ts';
