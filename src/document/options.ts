/** Options of opening and asking documents, and what is told about both. */
import type { Rectangle } from './content.ts';

/** A file, its bytes, a URL, an answer of `fetch`, or (in Node) a path. */
export type DocumentSource = string | URL | Blob | ArrayBuffer | ArrayBufferView | Response;

/** A word that was recognised, in pixels of the picture. */
export interface RecognisedWord {
  readonly text: string;
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
}

export interface RecognisedLine {
  readonly words: readonly RecognisedWord[];
}

/** Reads text in pictures: `ocr` of `openDocument`. `language` is a tag such as `de`, where it is known. */
export interface Recogniser {
  recognise(
    picture: Blob,
    options: { readonly width: number; readonly height: number; readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly lines: readonly RecognisedLine[] }>;
}

/** What makes vectors of texts: a model with `embed`. */
export interface Embedder {
  readonly fingerprint: string;
  embed(
    texts: readonly string[],
    options?: { readonly signal?: AbortSignal; readonly kind?: 'query' | 'document' },
  ): Promise<readonly Float32Array[]>;
}

/** How far reading has come. */
export interface ReadingProgress {
  readonly phase: 'pages' | 'recognition' | 'vectors';
  readonly done: number;
  readonly total: number;
  /** Seconds, as far as they can be guessed. */
  readonly secondsLeft: number | undefined;
}

export interface OpenOptions {
  /** The document's name, where the source has none. */
  readonly name?: string | undefined;
  /** A MIME type, or one of pdf, text, markdown, html, docx, csv, picture; default: by the bytes and the name. */
  readonly type?: string | undefined;
  /** Adds the meaning of words to search. */
  readonly embedder?: Embedder | undefined;
  /** Of an encrypted PDF. */
  readonly password?: string | undefined;
  /** Reads pages that are pictures. */
  readonly ocr?: Recogniser | undefined;
  readonly onProgress?: ((progress: ReadingProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a search finds: a passage, and where it stands. */
export interface SearchResult {
  /** Units `[start, end)` of `document.text`. */
  readonly start: number;
  readonly end: number;
  readonly page: number;
  readonly text: string;
  /** The headings that it stands under, outermost first. */
  readonly path: readonly string[];
  /** Comparable within one search only. */
  readonly score: number;
  readonly rectangles: readonly Rectangle[];
}

export interface SearchOptions {
  /** Most results; default 10. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
