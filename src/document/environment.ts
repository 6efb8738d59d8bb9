/** What reading documents needs of where it runs; the platform gives it. */
import type { Records } from '../store/records.ts';

/** A surface that a page is drawn on, so that it can be recognised. */
export interface Surface {
  /** A CanvasRenderingContext2D, or what draws like one. */
  readonly context: unknown;
  png(): Promise<Blob>;
}

export interface DocumentEnvironment {
  /** Bytes and name of a file on the disk; undefined in browsers, where there are no paths. */
  readonly readPath: ((path: string) => Promise<{ readonly bytes: Uint8Array; readonly name: string }>) | undefined;
  /** A thread for pdf.js; undefined where it reads in the calling one. */
  readonly startPdfWorker: (() => Worker) | undefined;
  /** Undefined where nothing can be drawn. */
  surface(width: number, height: number): Promise<Surface | undefined>;
  /** Where libraries are kept; undefined where nothing can be. */
  records(): Promise<Records | undefined>;
}
