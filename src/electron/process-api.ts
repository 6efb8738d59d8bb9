/** What engine processes ask of the main process and of pages, besides `EngineApi`, and the messages that start and end them. */
import type { Call } from '../worker/api.ts';
import type { FoundFile } from './files.ts';

/** The first message to an engine process. Its ports: that of the page, and that of `HostApi`. */
export interface ProcessStart {
  readonly kind: 'start';
  /** Origins from which models may be downloaded. */
  readonly downloads: readonly string[];
}

/** Answered with `ProcessSettled` of the same number when no save is under way. */
export interface ProcessSettle {
  readonly kind: 'settle';
  readonly number: number;
}

export interface ProcessSettled {
  readonly kind: 'settled';
  readonly number: number;
}

export interface HostApi {
  /** Where a file of the app's scheme lies; undefined where it may not be read. */
  readonly find: Call<{ readonly address: string }, FoundFile | undefined, never, never>;
}

/** The page's own files, which stay in the page and are read by ranges. */
export interface LentApi {
  readonly size: Call<{ readonly file: string }, number | undefined, never, never>;
  readonly read: Call<
    { readonly file: string; readonly start: number; readonly end: number },
    Uint8Array<ArrayBuffer>,
    never,
    never
  >;
}

/** A page's files are named by this scheme: `octavo-lent:<id>/<name>`. */
export const LENT_SCHEME = 'octavo-lent';

/** The calls that name files, which the guard checks and ports may come with. */
export const OPENING: readonly string[] = ['load', 'inspect'];

/** What such a call of a page carries beside it, in the order of its ports. */
export type Carried = 'lent' | 'fetch';
