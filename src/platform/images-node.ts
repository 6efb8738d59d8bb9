/** Images in Node: Skia's decoders, from the package `@napi-rs/canvas`, loaded when the first image is read. */
import { DeviceError } from '../errors.ts';
import { readBands, type Paper } from '../vision/canvas.ts';
import type { ImageDecoder } from '../vision/decoder.ts';
import { checkSize } from '../vision/image.ts';

interface NodeImage {
  readonly width: number;
  readonly height: number;
}

interface NodePaper extends Paper {
  drawImage(
    image: unknown,
    x: number,
    y: number,
    width: number,
    height: number,
    toX: number,
    toY: number,
    toWidth: number,
    toHeight: number,
  ): void;
}

/** The part of the package that is used, declared here so that the published types do not depend on it. */
export interface NodeCanvas {
  loadImage(file: Uint8Array): Promise<NodeImage>;
  createCanvas(width: number, height: number): { getContext(kind: '2d'): NodePaper };
}

/** Not a literal, so that bundlers do not include the package, which has a binary for each system. */
const CANVAS = '@napi-rs/canvas';
const importCanvas = async (): Promise<NodeCanvas> => (await import(CANVAS)) as NodeCanvas;

/**
 * Decodes off the thread; `load` is for tests. Throws `DeviceError('unavailable')` when the package is not installed.
 */
export function createNodeDecoder(load: () => Promise<NodeCanvas> = importCanvas): ImageDecoder {
  return {
    async decode(file, _, name) {
      let canvas: NodeCanvas;
      try {
        canvas = await load();
      } catch (cause) {
        throw new DeviceError(
          'unavailable',
          `${name}: Node decodes images by the package @napi-rs/canvas, which is not installed (or not for this system): npm i @napi-rs/canvas. Pixels {data, width, height} need none`,
          { package: '@napi-rs/canvas' },
          { cause },
        );
      }
      const image = await canvas.loadImage(file);
      const { width, height } = image;
      checkSize(width, height, name);
      return readBands(
        width,
        height,
        (w, h) => canvas.createCanvas(w, h).getContext('2d'),
        (paper, top, rows) => paper.drawImage(image, 0, top, width, rows, 0, 0, width, rows),
      );
    },
  };
}
