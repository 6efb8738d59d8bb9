/** What reading documents needs of where it runs; the platform gives it. */
import type { Records } from '../store/records.ts';
import type { Rgba } from '../vision/image.ts';

/** What a page is drawn on, so that it can be recognised. */
export interface Canvas {
  width: number;
  height: number;
  /** A CanvasRenderingContext2D, or what draws like one. */
  getContext(kind: '2d'): unknown;
}

export interface Drawing {
  canvas(width: number, height: number): Canvas;
  png(canvas: Canvas): Promise<Blob>;
}

export interface DocumentEnvironment {
  /** Bytes and name of a file on the disk; undefined in browsers, where there are no paths. */
  readonly readPath: ((path: string) => Promise<{ readonly bytes: Uint8Array; readonly name: string }>) | undefined;
  /** A thread for pdf.js; undefined where it reads in the calling one. */
  readonly startPdfWorker: (() => Worker) | undefined;
  /** Undefined where nothing can be drawn. */
  drawing(): Promise<Drawing | undefined>;
  /** The pixels of a picture's file, upright. */
  readPicture(bytes: Uint8Array, name: string, signal: AbortSignal | undefined): Promise<Rgba>;
  /** Where libraries are kept; undefined where nothing can be. */
  records(): Promise<Records | undefined>;
}
