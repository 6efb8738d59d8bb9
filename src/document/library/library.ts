/**
 * Many documents that are kept: read in the background, one after the other and by one tab only, found and asked together. What was read is not read
 * again after a reload, nor are the passages of a file that was changed in other places only. The file is long because reading, recognising, asking and removing share one table of entries and one lock between tabs.
 */
import { createSHA256 } from 'hash-wasm';
import { InputError, OctavoError, StorageError } from '../../errors.ts';
import type { DocumentContent } from '../content.ts';
import type { DocumentEnvironment } from '../environment.ts';
import type { Evidence } from '../index/evidence.ts';
import { Searcher, type Found } from '../index/searcher.ts';
import type { QuantisedVector } from '../index/vectors.ts';
import type { DocumentSource, Embedder, OpenOptions, ReadingProgress } from '../options.ts';
import type { PageKeeper } from '../pdf/blocks.ts';
import { readDocument } from '../read.ts';
import { readSource } from '../source.ts';
import type { LibraryEntry, LibraryShelf } from './shelf.ts';

/** How far the background reading of a library has come. */
export interface LibraryProgress extends ReadingProgress {
  /** The document that is being read. */
  readonly id: string;
  /** The name of that document. */
  readonly name: string;
  /** Documents that wait behind it. */
  readonly waiting: number;
}

export interface LibraryHooks {
  readonly embedder?: Embedder | undefined;
  readonly ocr?: OpenOptions['ocr'];
  /** Whether `ocr` reads all documents, or those that `recognise` names. */
  readonly recognise: 'always' | 'asked';
  readonly onProgress?: ((progress: LibraryProgress) => void) | undefined;
}

/** Milliseconds after which pages that were read are kept: what a tab that is closed loses, or the page under way where that takes longer. */
const PAGES_EVERY = 250;
/** Batches of vectors after which they are stored: what a tab that is closed loses. */
const KEPT_EVERY = 4;
/** Characters that vectors and indexes take for each of the text's, about. */
const TEXT_BYTES = 3;

/** Why a turn of reading ended that another one follows. */
const HIDDEN = new DOMException('the page is hidden', 'AbortError');
/** Why the reading of one document ended, and the next one follows. */
const CANCELLED = new DOMException('the document was removed, or is not to be recognised any more', 'AbortError');

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

/** Rejects when it is aborted; for races with what is waited for. */
function aborted(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  promise.catch(() => undefined);
  return promise;
}

export class DocumentLibrary {
  readonly #shelf: LibraryShelf;
  readonly #environment: DocumentEnvironment;
  readonly #hooks: LibraryHooks;
  readonly #searcher: Searcher;
  readonly #contents = new Map<
    string,
    { readonly name: string; readonly read: number | undefined; readonly content: DocumentContent }
  >();
  readonly #closed = new AbortController();
  /** The reader's turn, while it runs; and who it is paused for. */
  #reading: Promise<void> | undefined;
  #again = false;
  #paused: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  /** Of the reading under way; a page that is hidden ends it, so that another tab may read. */
  #turn = new AbortController();
  /** The document that is being read. */
  #job: { readonly id: string; readonly abort: AbortController } | undefined;
  /** Resolves when the page is shown again; undefined while it is. */
  #hidden: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #refreshing: Promise<unknown> = Promise.resolve();
  /** Why the embedder made no vectors in this turn. */
  #embedFault: unknown;
  /** Passwords are not kept. */
  readonly #passwords = new Map<string, string>();

  constructor(shelf: LibraryShelf, environment: DocumentEnvironment, hooks: LibraryHooks) {
    this.#shelf = shelf;
    this.#environment = environment;
    this.#hooks = hooks;
    this.#searcher = new Searcher(hooks.embedder);
  }

  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  async entries(): Promise<LibraryEntry[]> {
    this.#alive();
    const entries = await this.#shelf.entries();
    if (this.#hooks.embedder !== undefined) return entries;
    // Without an embedder nothing is missing.
    return entries.map((entry) => (entry.state === 'read' ? { ...entry, state: 'ready' } : entry));
  }

  /** Resolves when the file is stored; it is read in the background. The same file again is the entry that is there. */
  async add(source: DocumentSource, { name: given, type, password, signal }: OpenOptions): Promise<LibraryEntry> {
    this.#alive();
    const found = await readSource(source, this.#environment, signal);
    const name = given ?? found.name;
    const { bytes } = found;
    const id = (await createSHA256()).init().update(bytes).digest('hex');
    if (password !== undefined) this.#passwords.set(id, password);
    const known = await this.#shelf.entry(id);
    if (known !== undefined && known.state !== 'failed') return known;
    const entry: LibraryEntry = {
      id,
      name,
      type: type ?? found.type,
      bytes: bytes.length,
      stored: bytes.length,
      state: 'waiting',
      pages: 0,
      characters: 0,
      title: undefined,
      problem: undefined,
      notes: [],
      added: Date.now(),
    };
    signal?.throwIfAborted();
    await this.#shelf.add(entry, bytes);
    this.read();
    return entry;
  }

  async remove(id: string): Promise<boolean> {
    this.#alive();
    const there = (await this.#shelf.entry(id)) !== undefined;
    await this.#shelf.remove(id);
    this.#cancel(id);
    this.#forget(id);
    return there;
  }

  /** Has the pages of a document that are pictures read by `ocr`; until then it is as it was. */
  async recognise(id: string): Promise<boolean> {
    this.#alive();
    if (this.#hooks.ocr === undefined)
      throw new InputError('argument', 'recognise: nothing reads pictures; open the library with `ocr`');
    const { state = 'waiting', pictures = 0 } = (await this.#shelf.entry(id)) ?? {};
    if (pictures === 0 || (state !== 'read' && state !== 'ready')) return false;
    await this.#shelf.update(id, { recognition: 'asked', problem: undefined, code: undefined });
    this.read();
    return true;
  }

  /** What was recognised is kept, in case it is asked for again. */
  async cancelRecognition(id: string): Promise<boolean> {
    this.#alive();
    if ((await this.#shelf.entry(id))?.recognition !== 'asked') return false;
    await this.#shelf.update(id, { recognition: undefined });
    this.#cancel(id);
    return true;
  }

  /** Starts the reader where it does not run: it goes on until nothing waits. */
  read(): void {
    this.#again = true;
    if (this.#hidden !== undefined) return;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
      if (this.#again && !this.#closed.signal.aborted) this.read();
    });
    this.#reading.catch(() => undefined);
  }

  /** Resolves when nothing waits to be read; rejects where reading cannot go on. */
  async settled(): Promise<void> {
    while (this.#reading !== undefined || this.#hidden !== undefined) await (this.#reading ?? this.#hidden?.promise);
  }

  /**
   * Whether the page can be seen: a hidden one stops reading after the page or the batch under way and lets another tab read; shown again, it goes on. What was read
   * of a file whose text was being taken out is lost.
   */
  show(visible: boolean): void {
    if (visible) {
      this.#hidden?.resolve();
      this.#hidden = undefined;
      if (!this.#closed.signal.aborted) this.read();
    } else if (this.#hidden === undefined) {
      this.#hidden = deferred();
      this.#turn.abort(HIDDEN);
    }
  }

  pause(): void {
    if (this.#paused !== undefined) return;
    this.#paused = deferred();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  close(): void {
    const reason = new DOMException('the library was closed', 'AbortError');
    this.#closed.abort(reason);
    this.#turn.abort(reason);
    this.#hidden?.resolve();
    this.#hidden = undefined;
    this.resume();
    this.#contents.clear();
  }

  /** Names of the documents that can be searched now, by their ids. */
  get names(): ReadonlyMap<string, string> {
    return new Map([...this.#contents].map(([id, { name }]) => [id, name]));
  }

  /** What `ask` needs, with whatever was read meanwhile, here or in another tab. */
  async asked(): Promise<{
    readonly documents: readonly { readonly document: string; readonly content: DocumentContent }[];
    readonly passages: number;
    find(question: string, limit: number, signal?: AbortSignal): Promise<Found[]>;
    evidence(question: string, found: readonly Found[]): Evidence;
  }> {
    await this.#refresh();
    const searcher = this.#searcher;
    return {
      documents: [...this.#contents].map(([document, { content }]) => ({ document, content })),
      passages: searcher.size,
      find: (question, limit, signal) => searcher.find(question, limit, signal),
      evidence: (question, found) => searcher.evidence(question, found),
    };
  }

  async content(id: string): Promise<{ readonly name: string; readonly content: DocumentContent } | undefined> {
    await this.#refresh();
    return this.#contents.get(id);
  }

  /** A document's file as it was added; undefined where it is not there any more. */
  async file(
    id: string,
  ): Promise<{ readonly name: string; readonly type: string | undefined; readonly bytes: Uint8Array } | undefined> {
    this.#alive();
    const entry = await this.#shelf.entry(id);
    const bytes = entry && (await this.#shelf.bytes(id));
    return entry === undefined || bytes === undefined ? undefined : { name: entry.name, type: entry.type, bytes };
  }

  async #readAll(): Promise<void> {
    this.#closed.signal.throwIfAborted();
    this.#turn = new AbortController();
    this.#embedFault = undefined;
    // A turn that fails is not followed by another one, unless something is to be read since.
    this.#again = false;
    const { signal } = this.#turn;
    try {
      await this.#shelf.alone(signal, async () => {
        // With what other tabs have read.
        if (this.#hooks.embedder !== undefined) await this.#refresh();
        for (;;) {
          await Promise.race([this.#paused?.promise, aborted(signal)]);
          signal.throwIfAborted();
          this.#again = false;
          const entries = await this.#shelf.entries();
          const { ocr } = this.#hooks;
          // Also of documents that were read without an embedder, or with another one.
          const lacking = this.#embedFault === undefined ? this.#searcher.lacking() : new Set<string>();
          const todo = entries.filter(
            ({ id, state, recognition }) =>
              state === 'waiting' || lacking.has(id) || (recognition === 'asked' && ocr !== undefined),
          );
          const [next] = todo;
          if (next === undefined) break;
          await this.#readOne(next, todo.length - 1, entries);
        }
      });
    } catch (error) {
      if (signal.reason !== HIDDEN || this.#closed.signal.aborted) throw error;
      return;
    }
    await this.#refresh();
    if (this.#embedFault !== undefined) throw this.#embedFault;
  }

  async #readOne(entry: LibraryEntry, waiting: number, entries: readonly LibraryEntry[]): Promise<void> {
    const { id, name, recognition } = entry;
    const turn = this.#turn.signal;
    const { embedder, onProgress } = this.#hooks;
    const hear = (progress: ReadingProgress): void => onProgress?.({ ...progress, id, name, waiting });
    const abort = new AbortController();
    const end = (): void => abort.abort(turn.reason);
    turn.addEventListener('abort', end);
    this.#job = { id, abort };
    try {
      turn.throwIfAborted();
      const kept = recognition === 'asked' ? undefined : await this.#shelf.content(id);
      if (kept === undefined) await this.#readText(entry, hear, abort.signal);
      // What had the name before is replaced, and gives the vectors of what is the same in both.
      const before = entries.filter((one) => one.name === name && one.id !== id && one.added < entry.added);
      await this.#refresh();
      if (embedder !== undefined && this.#embedFault === undefined) await this.#embed(id, before, hear);
      for (const one of before) {
        await this.#shelf.remove(one.id);
        this.#forget(one.id);
      }
    } catch (error) {
      if (
        turn.aborted ||
        (error instanceof OctavoError && error.name === 'StorageError' && error.code !== 'unavailable')
      )
        throw error;
      if (abort.signal.aborted) return;
      await this.#shelf.update(id, {
        // What cannot be recognised can be read as far as it has letters.
        ...(recognition === 'asked' ? { recognition: undefined } : { state: 'failed' }),
        problem: error instanceof Error ? error.message : String(error),
        code: error instanceof OctavoError ? error.code : undefined,
      });
    } finally {
      turn.removeEventListener('abort', end);
      this.#job = undefined;
    }
  }

  /** A document's text from its file, page by page, and from the page on to which it was read before. */
  async #readText(
    { id, name, type, bytes: size, recognition }: LibraryEntry,
    onProgress: (progress: ReadingProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { embedder, recognise } = this.#hooks;
    const bytes = await this.#shelf.bytes(id);
    if (bytes === undefined)
      throw new InputError('argument', 'its file is gone: the browser removed it to make room; add it again');
    const password = this.#passwords.get(id);
    const ocr = recognise === 'always' || recognition !== undefined ? this.#hooks.ocr : undefined;
    const { content } = await readDocument(
      bytes,
      { name, type, ocr, signal, onProgress, ...(password !== undefined && { password }) },
      this.#environment,
      { keepsPictures: true, pages: await this.#keeper(id, ocr, signal) },
    );
    const { text, pages, title, notes } = content;
    await this.#shelf.keepContent(id, content, {
      state: embedder === undefined ? 'ready' : 'read',
      pages: pages.length,
      characters: text.length,
      title,
      notes,
      stored: size + TEXT_BYTES * text.length,
      pictures: pages.filter(({ kind }) => kind === 'picture' || kind === 'unmapped').length,
      read: Date.now(),
      ...(ocr !== undefined && { recognition: 'done' }),
    });
  }

  async #keeper(id: string, ocr: OpenOptions['ocr'], signal: AbortSignal): Promise<PageKeeper> {
    const reader = ocr === undefined ? 'text' : `ocr ${ocr.fingerprint ?? ''}`;
    const read = await this.#shelf.pages(id, reader);
    let kept = read.length;
    let last = performance.now();
    return {
      read,
      keep: async (pages) => {
        if (this.#paused !== undefined || performance.now() - last >= PAGES_EVERY) {
          try {
            const entry = await this.#shelf.keepPages(id, reader, kept, pages.slice(kept));
            // Removed, or not to be recognised any more, in another tab.
            if (
              entry === undefined ||
              (ocr !== undefined && entry.recognition !== 'asked' && entry.state !== 'waiting')
            )
              this.#cancel(id);
            kept = pages.length;
          } catch (error) {
            // Without room for the pages there may be room for the text.
            if (!(error instanceof StorageError)) throw error;
          }
          last = performance.now();
        }
        await Promise.race([this.#paused?.promise, aborted(signal)]);
        signal.throwIfAborted();
      },
    };
  }

  #cancel(id: string): void {
    if (this.#job?.id === id) this.#job.abort.abort(CANCELLED);
  }

  /** What fails here is no fault of the document, which words find: the other ones are read without vectors, and `settled` tells it. */
  async #embed(id: string, before: readonly LibraryEntry[], hear: (progress: ReadingProgress) => void): Promise<void> {
    try {
      await this.#embedAll(id, before, hear);
    } catch (error) {
      if (this.#turn.signal.aborted || error instanceof StorageError) throw error;
      this.#embedFault = error;
    }
  }

  async #embedAll(
    id: string,
    before: readonly LibraryEntry[],
    hear: (progress: ReadingProgress) => void,
  ): Promise<void> {
    const { fingerprint = '' } = this.#hooks.embedder ?? {};
    await this.#shelf.update(id, { state: 'read' });
    const known = new Map<string, QuantisedVector>();
    for (const one of [...before.map((entry) => entry.id), id])
      for (const [text, vector] of await this.#shelf.vectors(one, fingerprint)) known.set(text, vector);
    const own = new Map(this.#searcher.vectorsOf(id).map(([text, vector]) => [keyOf(text), vector]));
    const begun = performance.now();
    let batches = 0;
    try {
      await this.#searcher.embed({
        document: id,
        signal: this.#turn.signal,
        known: async (text) => {
          const key = keyOf(text);
          const vector = known.get(key);
          if (vector !== undefined) own.set(key, vector);
          return vector;
        },
        keep: async (made) => {
          for (const [text, vector] of made) own.set(keyOf(text), vector);
          if (++batches % KEPT_EVERY > 0) return;
          // Removed in another tab.
          if ((await this.#shelf.keepVectors(id, fingerprint, own)) === undefined) this.#forget(id);
        },
        onProgress: async (done, total) => {
          const seconds = (performance.now() - begun) / 1000;
          hear({ phase: 'vectors', done, total, secondsLeft: (seconds / Math.max(1, done)) * (total - done) });
          await Promise.race([this.#paused?.promise, aborted(this.#turn.signal)]);
        },
      });
    } catch (error) {
      await this.#shelf.keepVectors(id, fingerprint, own);
      throw error;
    }
    await this.#shelf.keepAllVectors(id, fingerprint, own);
  }

  /** Takes in what is stored now, and lets go what is not any more. One at a time. */
  #refresh(): Promise<void> {
    const refresh = this.#refreshing.then(() => this.#takeIn());
    this.#refreshing = refresh.catch(() => undefined);
    return refresh;
  }

  async #takeIn(): Promise<void> {
    this.#alive();
    const entries = await this.#shelf.entries();
    const there = new Set(entries.map(({ id }) => id));
    for (const id of this.#contents.keys()) if (!there.has(id)) this.#forget(id);
    const lacking = this.#searcher.lacking();
    for (const { id, name, state, read } of entries) {
      const known = this.#contents.get(id);
      if (state !== 'read' && state !== 'ready') continue;
      if (known !== undefined && known.read === read) {
        // Another tab may have made its vectors.
        if (lacking.has(id)) await this.#takeVectors(id);
        continue;
      }
      this.#forget(id);
      const content = await this.#shelf.content(id);
      if (content === undefined) {
        // Evicted, or written by another version: it is read again from its file.
        await this.#shelf.update(id, { state: 'waiting' });
        this.#again = true;
        continue;
      }
      this.#contents.set(id, { name, read, content });
      this.#searcher.add(id, content);
      await this.#takeVectors(id);
    }
  }

  async #takeVectors(id: string): Promise<void> {
    const { fingerprint } = this.#hooks.embedder ?? {};
    if (fingerprint === undefined) return;
    const stored = await this.#shelf.vectors(id, fingerprint);
    if (stored.size > 0) this.#searcher.give(id, (text) => stored.get(keyOf(text)));
  }

  #forget(id: string): void {
    if (this.#contents.delete(id)) this.#searcher.remove(id);
  }

  #alive(): void {
    if (this.#closed.signal.aborted) throw new InputError('destroyed', 'the library was closed; open it again');
  }
}

/** Two hashes (FNV-1a from two beginnings) and the length: among the passages of a library equal keys mean equal texts. */
function keyOf(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
    b ^= b >>> 13;
  }
  return `${text.length.toString(36)} ${(a >>> 0).toString(36)} ${(b >>> 0).toString(36)}`;
}
