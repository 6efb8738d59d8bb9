/**
 * What a library keeps, in IndexedDB or (in Node) a folder:
 *
 *     ['library', name, id]              the entry: what the document is, and how far it was read
 *     ['bytes', name, id]                its file
 *     ['content', name, id]              its text with places
 *     ['pages', name, id, reader, from]  pages of a document that is being read, until its text is kept
 *     ['vectors', name, id, embedder]    vectors of its passages, by the text that they were made of; of the last embedder that made all of them, and of one that makes
 *                                        them now
 *
 * `id` is the hash of the file. An entry is written last and removed first, so that a tab killed at any moment leaves no entry whose file is missing; what a
 * browser has evicted nevertheless is read again from the file, or named as gone.
 */
import type { Change, Records } from '../../store/records.ts';
import type { DocumentContent } from '../content.ts';
import type { QuantisedVector } from '../index/vectors.ts';
import type { ReadPage } from '../pdf/blocks.ts';

/** Of the layout of content: a document of another version is read again from its file. */
export const CONTENT_VERSION = 8;

/** `waiting`: stored, not read. `read`: can be searched by words. `ready`: by meaning, too, where there is an embedder. */
export type EntryState = 'waiting' | 'read' | 'ready' | 'failed';

/** A document of a library, as `list` gives it. */
export interface LibraryEntry {
  /** SHA-256 of the file. */
  readonly id: string;
  /** The name of its file. */
  readonly name: string;
  /** The type that was given when it was added, if any. */
  readonly type: string | undefined;
  /** Of the file. */
  readonly bytes: number;
  /** Of everything that is kept of it, about. */
  readonly stored: number;
  /** How far it was read. */
  readonly state: EntryState;
  /** 0 before it was read. */
  readonly pages: number;
  /** UTF-16 units of its text; 0 before it was read. */
  readonly characters: number;
  /** The title that the file gives itself. */
  readonly title: string | undefined;
  /** Why it could not be read or recognised, for people. */
  readonly problem: string | undefined;
  /** The code of the `FileError` that it could not be read by, such as `password`. */
  readonly code?: string | undefined;
  /** Pages whose text only OCR can read: pictures, and pages in fonts that do not say which characters they show. */
  readonly pictures?: number | undefined;
  /** `asked`: those pages wait for OCR, or are being recognised; `done`: they were. */
  readonly recognition?: 'asked' | 'done' | undefined;
  /** When its text was taken out, in milliseconds since 1970; another number means another text. */
  readonly read?: number | undefined;
  /** What of it could not be read. */
  readonly notes: readonly string[];
  /** Milliseconds since 1970. */
  readonly added: number;
}

interface StoredContent {
  readonly version: number;
  readonly content: DocumentContent;
}

interface StoredPages {
  readonly version: number;
  readonly from: number;
  readonly pages: readonly ReadPage[];
}

export type StoredVectors = ReadonlyMap<string, QuantisedVector>;

export class LibraryShelf {
  readonly #records: Records;
  readonly #name: string;

  constructor(records: Records, name: string) {
    this.#records = records;
    this.#name = name;
  }

  /** In the order in which they were added. What is no entry any more is left out. */
  async entries(): Promise<LibraryEntry[]> {
    const found = await this.#records.all<unknown>(['library', this.#name]);
    return found.filter(isEntry).sort((a, b) => a.added - b.added || (a.id < b.id ? -1 : 1));
  }

  async entry(id: string): Promise<LibraryEntry | undefined> {
    const found = await this.#records.get<unknown>(['library', this.#name, id]);
    return isEntry(found) ? found : undefined;
  }

  /** A new document: its file, then its entry. Where there is no room for both, nothing stays. */
  async add(entry: LibraryEntry, bytes: Uint8Array): Promise<void> {
    // A copy of the exact size, since a view would store its whole buffer.
    const value = (await this.#records.blobs()) ? new Blob([bytes as Uint8Array<ArrayBuffer>]) : bytes.slice();
    const key = ['library', this.#name, entry.id];
    const file = ['bytes', this.#name, entry.id];
    try {
      await this.#records.put({ key: file, value }, { key, value: entry });
    } catch (error) {
      await this.#records
        .change(key, (there) => (there === undefined ? { remove: [file] } : {}))
        .catch(() => undefined);
      throw error;
    }
  }

  /** Changes an entry that is still there, and resolves with what it was. */
  async update(
    id: string,
    change: Partial<LibraryEntry>,
    more: (entry: LibraryEntry) => Change = () => ({}),
  ): Promise<LibraryEntry | undefined> {
    const key = ['library', this.#name, id];
    const found = await this.#records.change<unknown>(key, (entry) => {
      if (!isEntry(entry)) return {};
      const { put = [], remove = [] } = more(entry);
      return { put: [...put, { key, value: { ...entry, ...change } }], remove };
    });
    return isEntry(found) ? found : undefined;
  }

  async remove(id: string): Promise<void> {
    const families = ['library', 'content', 'pages', 'vectors', 'bytes'].map((kind) => [kind, this.#name, id]);
    await this.#records.change(['library', this.#name, id], () => ({ remove: families }));
  }

  async bytes(id: string): Promise<Uint8Array | undefined> {
    const found = await this.#records.get<unknown>(['bytes', this.#name, id]);
    if (found instanceof Blob)
      // The entry may outlive the Blob's file, which the browser has removed.
      return found.arrayBuffer().then(
        (buffer) => new Uint8Array(buffer),
        () => undefined,
      );
    return ArrayBuffer.isView(found) ? new Uint8Array(found.buffer, found.byteOffset, found.byteLength) : undefined;
  }

  async content(id: string): Promise<DocumentContent | undefined> {
    const found = await this.#records.get<StoredContent | null>(['content', this.#name, id]);
    return found?.version === CONTENT_VERSION ? found.content : undefined;
  }

  /** What was read takes the place of what was kept while it was read. */
  async keepContent(id: string, content: DocumentContent, change: Partial<LibraryEntry>): Promise<void> {
    const value: StoredContent = { version: CONTENT_VERSION, content };
    await this.update(id, change, () => ({
      put: [{ key: ['content', this.#name, id], value }],
      remove: [['pages', this.#name, id]],
    }));
  }

  /** Pages of a document that was not read to its end. `reader`: what reads it, since another one may read it otherwise. */
  async pages(id: string, reader: string): Promise<ReadPage[]> {
    const parts = await this.#records.all<StoredPages | null>(['pages', this.#name, id, reader]);
    const read: ReadPage[] = [];
    for (const part of parts.toSorted((a, b) => (a?.from ?? 0) - (b?.from ?? 0)))
      if (part?.version === CONTENT_VERSION && part.from === read.length) read.push(...part.pages);
    return read;
  }

  /** Keeps pages, the first of which has the index `from`. Resolves with the entry; undefined, and nothing is kept, where there is none any more. */
  keepPages(id: string, reader: string, from: number, pages: readonly ReadPage[]): Promise<LibraryEntry | undefined> {
    const value: StoredPages = { version: CONTENT_VERSION, from, pages };
    return this.update(id, {}, () => ({ put: [{ key: ['pages', this.#name, id, reader, from], value }] }));
  }

  async vectors(id: string, embedder: string): Promise<StoredVectors> {
    const found = await this.#records.get<unknown>(['vectors', this.#name, id, embedder]);
    // Of another realm, too.
    return Object.prototype.toString.call(found) === '[object Map]' ? (found as StoredVectors) : new Map();
  }

  /** Nothing is kept of a document that was removed meanwhile. Resolves with its entry, undefined where there is none. */
  keepVectors(id: string, embedder: string, vectors: StoredVectors): Promise<LibraryEntry | undefined> {
    const value = new Map(vectors);
    return this.update(id, {}, () => ({ put: [{ key: ['vectors', this.#name, id, embedder], value }] }));
  }

  /** The same when all vectors are there: those of other embedders go. A tab that uses them has them in memory, and keeps its own again when it reads. */
  async keepAllVectors(id: string, embedder: string, vectors: StoredVectors): Promise<void> {
    await this.update(id, { state: 'ready' }, () => ({
      put: [{ key: ['vectors', this.#name, id, embedder], value: new Map(vectors) }],
      remove: [['vectors', this.#name, id]],
    }));
  }

  /** Runs `body` while no other tab or process reads documents of this library. */
  alone<T>(signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    return this.#records.lock(`library:${this.#name}`, signal, body);
  }
}

function isEntry(value: unknown): value is LibraryEntry {
  if (typeof value !== 'object' || value === null) return false;
  const found = value as Partial<Record<keyof LibraryEntry, unknown>>;
  return (
    typeof found.id === 'string' &&
    typeof found.name === 'string' &&
    typeof found.added === 'number' &&
    ['waiting', 'read', 'ready', 'failed'].some((state) => state === found.state)
  );
}
