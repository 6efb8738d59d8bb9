/** A document that was opened, as the page sees it. */
import type { Block, DocumentContent, Language, OutlineEntry, Page } from '../document/content.ts';
import type { DocumentEnvironment } from '../document/environment.ts';
import { Searcher } from '../document/index/searcher.ts';
import type { DocumentSource, OpenOptions, SearchOptions, SearchResult } from '../document/options.ts';
import { readDocument, type ReadDocument } from '../document/read.ts';
import { Ahead } from '../document/answer/ahead.ts';
import type { Asked } from '../document/answer/ask.ts';
import type { AnsweringModel } from '../document/answer/model.ts';
import {
  askStream,
  prepared,
  publicAnswer,
  type AskOptions,
  type DocumentAnswerStream,
  type PrepareOptions,
} from './asking.ts';
import { rectanglesOf, type PlacedRectangle } from '../document/rectangles.ts';
import { resultOf } from './search-result.ts';
import { InputError } from '../errors.ts';
import { misfit, misfitArgument, type Field, type ShapeOf } from './check.ts';

/** Options of `openDocument`. */
export interface OpenDocumentOptions extends OpenOptions {
  /** Answers `ask`; `model.openDocument` sets it. */
  readonly model?: AnsweringModel | undefined;
}

const TEXT: Field = { is: 'string' };
const CALLBACK: Field = { is: 'function' };

const OPEN: ShapeOf<Required<OpenDocumentOptions>> = {
  model: { is: 'object' },
  name: TEXT,
  type: TEXT,
  password: TEXT,
  embedder: { is: 'object' },
  ocr: { is: 'object' },
  onProgress: CALLBACK,
  signal: { signal: true },
};

export const SEARCH: ShapeOf<Required<SearchOptions>> = {
  limit: { number: [1, 1000], whole: true },
  signal: { signal: true },
};

/** Passages that a search gives where nobody says how many. */
const USUAL_RESULTS = 10;

/** An open document: its text with places, search, and questions. Made by `openDocument`; `close` gives its memory back. */
export class OctavoDocument {
  /** The name of its file. */
  readonly name: string;
  /** SHA-256 of its bytes, in hexadecimal digits. */
  readonly hash: string;
  readonly #content: DocumentContent;
  readonly #searcher: Searcher;
  readonly #model: AnsweringModel | undefined;
  readonly #closed = new AbortController();
  readonly #ahead = new Ahead();

  /** @hidden Made by `openDocument`. */
  constructor(
    { name, hash, content }: Pick<ReadDocument, 'name' | 'hash' | 'content'>,
    searcher: Searcher,
    model?: AnsweringModel,
  ) {
    this.#model = model;
    this.name = name;
    this.hash = hash;
    this.#content = content;
    this.#searcher = searcher;
  }

  /** The title that the file gives itself. */
  get title(): string | undefined {
    return this.#content.title;
  }
  /** All of its text, in the order of reading; ranges everywhere count in UTF-16 units of it. */
  get text(): string {
    return this.#content.text;
  }
  /** Its pages; one for formats without pages. */
  get pages(): readonly Page[] {
    return this.#content.pages;
  }
  /** The outline of the file, or its headings. */
  get outline(): readonly OutlineEntry[] {
    return this.#content.outline;
  }
  /** Its headings, paragraphs, items of lists and rows of tables, in the order of the text. */
  get blocks(): readonly Block[] {
    return this.#content.blocks;
  }
  /** The language by which search forms stems. */
  get language(): Language {
    return this.#content.language;
  }
  /** Sentences for people: what could not be read, and what to do about it. */
  get notes(): readonly string[] {
    return this.#content.notes;
  }

  /** The passages that answer a query best, the best first. */
  async search(query: string, options: SearchOptions = {}): Promise<readonly SearchResult[]> {
    const problem = misfitArgument('search', 'query', query, TEXT) ?? misfit('search', options, SEARCH);
    if (problem !== undefined) return problem;
    this.#open();
    const { limit = USUAL_RESULTS, signal } = options;
    return (await this.#searcher.find(query, limit, signal)).map(resultOf);
  }

  /**
   * Answers a question from the document. Iterate it for the text as it comes, or await it for the whole answer: `text`, its `citations`, which `mode` was taken
   * and what was `read`, and how likely it is that the document does not say it (`absent`).
   */
  ask(question: string, options: AskOptions = {}): DocumentAnswerStream {
    return askStream('ask', question, options, this.#model, this.#closed.signal, async (model, settings, onText) => {
      const asked = this.#asked();
      const { ask } = await import('../document/answer/ask.ts');
      return publicAnswer(await ask(model, asked, question, settings, onText), new Map([[this.hash, this.name]]));
    });
  }

  /**
   * Reads beforehand what answers with these options begin with, so that they come sooner; nothing is read by a model on a server. Resolves when it is read; a question
   * that is asked earlier waits for what it needs.
   *
   * Without a `question` it is the document, where it is read whole, from the disk where `keep` has kept it: call it when the field for questions is focused. With one that
   * is being written it is also the question: call it when the writing rests. It is read over the whole document at any time, over passages once it ends with a mark. What was
   * read is held until it is asked, until another question takes its place, or until the document is closed.
   */
  prepare(options: PrepareOptions = {}): Promise<void> {
    return prepared(options, this.#model, this.#closed.signal, () => this.#asked());
  }

  /** Where a range of the text stands: one rectangle a line, in points from the upper left corner of the displayed page. */
  rectangles(start: number, end: number): readonly PlacedRectangle[] {
    return rectanglesOf(this.#content, start, end);
  }

  /** Gives its memory back; what is under way ends. */
  close(): void {
    this.#closed.abort(new DOMException('the document was closed', 'AbortError'));
    this.#ahead.close();
    this.#searcher.remove(this.hash);
  }

  #asked(): Asked {
    this.#open();
    return {
      documents: [{ document: this.hash, content: this.#content }],
      passages: this.#searcher.size,
      ahead: this.#ahead,
      find: (text, limit, signal) => this.#searcher.find(text, limit, signal),
      evidence: (text, found) => this.#searcher.evidence(text, found),
    };
  }

  #open(): void {
    if (this.#closed.signal.aborted) throw new InputError('destroyed', `${this.name} was closed; open it again`);
  }
}

export async function openDocument(
  source: DocumentSource,
  options: OpenDocumentOptions,
  environment: DocumentEnvironment,
): Promise<OctavoDocument> {
  const problem = misfit('openDocument', options, OPEN);
  if (problem !== undefined) return problem;
  const read = await readDocument(source, options, environment);
  const searcher = new Searcher(options.embedder);
  searcher.add(read.hash, read.content);
  const begun = performance.now();
  await searcher.embed({
    signal: options.signal,
    onProgress: (done, total) =>
      options.onProgress?.({
        phase: 'vectors',
        done,
        total,
        secondsLeft: ((performance.now() - begun) / 1000 / done) * (total - done),
      }),
  });
  return new OctavoDocument(read, searcher, options.model);
}
