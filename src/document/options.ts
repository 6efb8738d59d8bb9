/** Options of opening and asking documents, and what is told about both. */
import type { Rectangle } from './content.ts';

/** A file, its bytes, a URL, an answer of `fetch`, or (in Node) a path. */
export type DocumentSource = string | URL | Blob | ArrayBuffer | ArrayBufferView | Response;

/** A word that was recognised, in pixels of the picture. */
export interface RecognisedWord {
  /** The word. */
  readonly text: string;
  /** Pixels of the picture from its upper left corner. */
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
}

/** A line of recognised words. */
export interface RecognisedLine {
  /** In the order of reading. */
  readonly words: readonly RecognisedWord[];
}

/** Reads text in pictures: `ocr` of `openDocument` and `openLibrary`. */
export interface Recogniser {
  /** Identifies it with its languages: pages that a library has kept of an unfinished document are read again by another one. */
  readonly fingerprint?: string | undefined;
  /** Reads a picture of `width` x `height` pixels (a PNG). Rejects, or ends, when `signal` is aborted. */
  recognise(
    picture: Blob,
    options: { readonly width: number; readonly height: number; readonly signal?: AbortSignal | undefined },
  ): Promise<{
    /** In the order of reading. */
    readonly lines: readonly RecognisedLine[];
  }>;
}

/** What makes vectors of texts: a model with `embed`. */
export interface Embedder {
  /** Identifies the model: vectors of another one are made again. */
  readonly fingerprint: string;
  /** What it was trained for, where that is known: by it, meaning is weighed against words. */
  readonly embedding?: { readonly trained: boolean; readonly vocabulary: number } | undefined;
  /** A vector of length 1 for each text, in their order. */
  embed(
    texts: readonly string[],
    options?: { readonly signal?: AbortSignal; readonly kind?: 'query' | 'document' },
  ): Promise<readonly Float32Array[]>;
}

/** How far reading has come. */
export interface ReadingProgress {
  /** `pages` are read, pictures recognised (`recognition`), or `vectors` of passages made. */
  readonly phase: 'pages' | 'recognition' | 'vectors';
  /** Pages, pictures or passages that are done. */
  readonly done: number;
  /** All of them. */
  readonly total: number;
  /** Seconds, as far as they can be guessed. */
  readonly secondsLeft: number | undefined;
}

/** How a document is opened. */
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
  /** Called as reading goes on. */
  readonly onProgress?: ((progress: ReadingProgress) => void) | undefined;
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a search finds: a passage, and where it stands. */
export interface SearchResult {
  /** Units `[start, end)` of `document.text`. */
  readonly start: number;
  /** Behind the last unit of the passage. */
  readonly end: number;
  /** From 1: where the passage begins. */
  readonly page: number;
  /** The passage. */
  readonly text: string;
  /** The headings that it stands under, outermost first. */
  readonly path: readonly string[];
  /** Comparable within one search only. */
  readonly score: number;
  /** Where it stands on `page`, one rectangle a line; none for formats that are not drawn on pages. */
  readonly rectangles: readonly Rectangle[];
}

/** Options of `search`. */
export interface SearchOptions {
  /** Most results; default 10. */
  readonly limit?: number | undefined;
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}
