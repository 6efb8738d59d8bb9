/** A library of documents, as the page sees it. */
import { Ahead } from '../document/answer/ahead.ts';
import type { Asked } from '../document/answer/ask.ts';
import type { AnsweringModel } from '../document/answer/model.ts';
import type { DocumentEnvironment } from '../document/environment.ts';
import { DocumentLibrary, type LibraryProgress } from '../document/library/library.ts';
import { LibraryShelf, type LibraryEntry } from '../document/library/shelf.ts';
import type {
  DocumentSource,
  Embedder,
  OpenOptions,
  Recogniser,
  SearchOptions,
  SearchResult,
} from '../document/options.ts';
import { Searcher } from '../document/index/searcher.ts';
import { InputError, StorageError } from '../errors.ts';
import {
  askStream,
  prepared,
  publicAnswer,
  type AskOptions,
  type DocumentAnswerStream,
  type PrepareOptions,
} from './asking.ts';
import { misfit, misfitArgument, type Field, type ShapeOf } from './check.ts';
import { OctavoDocument, SEARCH } from './document.ts';
import { resultOf } from './search-result.ts';

/** Options of `openLibrary`. */
export interface LibraryOptions {
  /** Answers `ask`. */
  readonly model?: AnsweringModel | undefined;
  /** Adds the meaning of words to search. */
  readonly embedder?: Embedder | undefined;
  /** Reads pages that are pictures. */
  readonly ocr?: Recogniser | undefined;
  /** Whether `ocr` reads all documents that are added (`always`, the default), or only those that `recognise` is called for (`asked`). */
  readonly recognise?: 'always' | 'asked' | undefined;
  /** Hears how reading goes on, in the tab that reads. */
  readonly onProgress?: ((progress: LibraryProgress) => void) | undefined;
  /** Whether a page that is hidden stops reading, and lets another tab read; default false. */
  readonly pauseWhenHidden?: boolean | undefined;
}

/** A passage of one of a library's documents. */
export interface LibraryResult extends SearchResult {
  /** The id of the document, for `open`. */
  readonly document: string;
}

/** What can be said of a document when it is added. */
export type AddOptions = Pick<OpenOptions, 'name' | 'type' | 'password' | 'signal'>;

const TEXT: Field = { is: 'string' };

const LIBRARY: ShapeOf<Required<LibraryOptions>> = {
  model: { is: 'object' },
  embedder: { is: 'object' },
  ocr: { is: 'object' },
  recognise: { oneOf: ['always', 'asked'] },
  onProgress: { is: 'function' },
  pauseWhenHidden: { is: 'boolean' },
};
const ADD: ShapeOf<Required<AddOptions>> = { name: TEXT, type: TEXT, password: TEXT, signal: { signal: true } };

/** Longest name of a library, in characters. */
const MOST_NAME = 100;
const USUAL_RESULTS = 10;

/** Documents that are kept on the device under a name. Made by `Octavo.openLibrary`. */
export class OctavoLibrary {
  /** The name that it was opened by. */
  readonly name: string;
  readonly #library: DocumentLibrary;
  readonly #ahead = new Ahead();
  readonly #model: AnsweringModel | undefined;

  /** @hidden Made by `openLibrary`. */
  constructor(name: string, library: DocumentLibrary, model: AnsweringModel | undefined) {
    this.name = name;
    this.#library = library;
    this.#model = model;
  }

  /**
   * Stores a document, and resolves; it is read in the background, after those that were added before. A file of a name that is there already takes its place when
   * it was read. Throws `StorageError('quota')` where there is no room.
   */
  async add(source: DocumentSource, options: AddOptions = {}): Promise<LibraryEntry> {
    return misfit('add', options, ADD) ?? this.#library.add(source, options);
  }

  /** All documents, those that were added first at the front. */
  async list(): Promise<readonly LibraryEntry[]> {
    return this.#library.entries();
  }

  /** Removes a document with all that was read of it; false where there is none with this id. */
  async remove(id: string): Promise<boolean> {
    return misfitArgument('remove', 'id', id, TEXT) ?? this.#library.remove(id);
  }

  /** Bytes of all documents, with what was read of them, about. */
  async bytes(): Promise<number> {
    return (await this.#library.entries()).reduce((sum, { stored }) => sum + stored, 0);
  }

  /** One of its documents, for its text, its pages and its outline. Throws `InputError` for one that is not there, or was not read yet. */
  async open(id: string): Promise<OctavoDocument> {
    const found = await this.#library.content(id);
    if (found === undefined)
      throw new InputError('argument', `no document ${id.slice(0, 80)} can be opened; list() tells which were read`, {
        id,
      });
    const { name, content } = found;
    const searcher = new Searcher();
    searcher.add(id, content);
    return new OctavoDocument({ name, hash: id, content }, searcher, this.#model);
  }

  /** The file of a document as it was added, to show its pages. Undefined for one that is not there, or whose file the browser has removed to make room. */
  async file(id: string): Promise<File | undefined> {
    const problem = misfitArgument('file', 'id', id, TEXT);
    if (problem !== undefined) return problem;
    const found = await this.#library.file(id);
    if (found === undefined) return undefined;
    const { name, type = '', bytes } = found;
    return new File([bytes as Uint8Array<ArrayBuffer>], name, { type });
  }

  /** The passages of all documents that answer a query best. */
  async search(query: string, options: SearchOptions = {}): Promise<readonly LibraryResult[]> {
    const problem = misfitArgument('search', 'query', query, TEXT) ?? misfit('search', options, SEARCH);
    if (problem !== undefined) return problem;
    const { limit = USUAL_RESULTS, signal } = options;
    const { find } = await this.#library.asked();
    return (await find(query, limit, signal)).map((found) => ({ ...resultOf(found), document: found.document }));
  }

  /** Answers a question from all documents; see `OctavoDocument.ask`. */
  ask(question: string, options: AskOptions = {}): DocumentAnswerStream {
    return askStream('ask', question, options, this.#model, this.#library.signal, async (model, settings, onText) => {
      const { ask } = await import('../document/answer/ask.ts');
      const answer = await ask(model, await this.#asked(), question, settings, onText);
      return publicAnswer(answer, this.#library.names);
    });
  }

  /** Reads a question of all documents while it is written; see `OctavoDocument.prepare`. */
  prepare(options: PrepareOptions = {}): Promise<void> {
    return prepared(options, this.#model, this.#library.signal, () => this.#asked());
  }

  /**
   * Has those pages of a document read by `ocr` that are pictures, or whose fonts do not say which characters they show: in the background, and again after a reload.
   * Until it is done the document stays as it was. False where there are no such pages. Throws `InputError` where the library was opened without `ocr`.
   */
  async recognise(id: string): Promise<boolean> {
    return misfitArgument('recognise', 'id', id, TEXT) ?? this.#library.recognise(id);
  }

  /** Ends what `recognise` has begun; false where nothing was begun. Pages that were recognised are kept for the next time. */
  async cancelRecognition(id: string): Promise<boolean> {
    return misfitArgument('cancelRecognition', 'id', id, TEXT) ?? this.#library.cancelRecognition(id);
  }

  /** Reading stops after the page or the batch that is under way, and goes on with `resume`. */
  pause(): void {
    this.#library.pause();
  }

  /** Goes on reading after `pause`. */
  resume(): void {
    this.#library.resume();
  }

  /** Resolves when nothing waits to be read any more. Documents that could not be read say why in `list()`. */
  settled(): Promise<void> {
    return this.#library.settled();
  }

  /** Ends reading and gives the memory back; what is stored stays. */
  close(): void {
    this.#library.close();
    this.#ahead.close();
  }

  async #asked(): Promise<Asked> {
    return { ...(await this.#library.asked()), ahead: this.#ahead };
  }
}

/** Documents that wait are read on, if no other tab does it. Throws `StorageError('unavailable')` where nothing can be kept. */
export async function openLibrary(
  name: string,
  options: LibraryOptions,
  environment: DocumentEnvironment,
): Promise<OctavoLibrary> {
  const problem = misfitArgument('openLibrary', 'name', name, TEXT) ?? misfit('openLibrary', options, LIBRARY);
  if (problem !== undefined) return problem;
  if (name === '' || name.length > MOST_NAME)
    throw new InputError('argument', `openLibrary: a name has 1 to ${MOST_NAME} characters, not ${name.length}`, {
      most: MOST_NAME,
    });
  const records = await environment.records();
  if (records === undefined)
    throw new StorageError(
      'unavailable',
      'no library can be kept here: there is no IndexedDB (a private window, or a page without an origin); open documents one by one',
    );
  const { model, pauseWhenHidden = false, recognise = 'always', ...hooks } = options;
  const library = new DocumentLibrary(new LibraryShelf(records, name), environment, { ...hooks, recognise });
  if (pauseWhenHidden && typeof document !== 'undefined') {
    const follow = (): void => library.show(document.visibilityState !== 'hidden');
    document.addEventListener('visibilitychange', follow, { signal: library.signal });
    follow();
  }
  library.read();
  return new OctavoLibrary(name, library, model);
}
