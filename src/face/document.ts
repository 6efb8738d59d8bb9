/** A document that was opened, as the page sees it. */
import { pageAt, type DocumentContent, type Language, type OutlineEntry, type Page } from '../document/content.ts';
import type { DocumentEnvironment } from '../document/environment.ts';
import { Searcher, type Found } from '../document/index/searcher.ts';
import type { DocumentSource, OpenOptions, SearchOptions, SearchResult } from '../document/options.ts';
import { readDocument, type ReadDocument } from '../document/read.ts';
import { rectanglesOf, type PlacedRectangle } from '../document/rectangles.ts';
import { InputError } from '../errors.ts';
import { misfit, misfitArgument, type Field, type ShapeOf } from './check.ts';

const TEXT: Field = { is: 'string' };
const CALLBACK: Field = { is: 'function' };

const OPEN: ShapeOf<Required<OpenOptions>> = {
  name: TEXT,
  type: TEXT,
  password: TEXT,
  embedder: { is: 'object' },
  ocr: { is: 'object' },
  onProgress: CALLBACK,
  signal: { signal: true },
};

const SEARCH: ShapeOf<Required<SearchOptions>> = {
  limit: { number: [1, 1000], whole: true },
  signal: { signal: true },
};

/** Passages that a search gives where nobody says how many. */
const USUAL_RESULTS = 10;

export class OctavoDocument {
  readonly name: string;
  /** SHA-256 of its bytes, in hexadecimal digits. */
  readonly hash: string;
  readonly #content: DocumentContent;
  readonly #searcher: Searcher;
  readonly #closed = new AbortController();

  /** Made by `openDocument`. */
  constructor({ name, hash, content }: ReadDocument, searcher: Searcher) {
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
  get pages(): readonly Page[] {
    return this.#content.pages;
  }
  get outline(): readonly OutlineEntry[] {
    return this.#content.outline;
  }
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

  /** Where a range of the text stands: one rectangle a line, in points from the upper left corner of the displayed page. */
  rectangles(start: number, end: number): readonly PlacedRectangle[] {
    return rectanglesOf(this.#content, start, end);
  }

  /** Gives its memory back; what is under way ends. */
  close(): void {
    this.#closed.abort(new DOMException('the document was closed', 'AbortError'));
    this.#searcher.remove(this.hash);
  }

  #open(): void {
    if (this.#closed.signal.aborted) throw new InputError('destroyed', `${this.name} was closed; open it again`);
  }
}

function resultOf({ content, passage, score }: Found): SearchResult {
  const { start, end, path } = passage;
  const places = rectanglesOf(content, start, end);
  const page = pageAt(content.pages, start);
  return {
    start,
    end,
    page,
    text: content.text.slice(start, end),
    path,
    score,
    rectangles: places.filter((place) => place.page === page).map(({ rectangle }) => rectangle),
  };
}

export async function openDocument(
  source: DocumentSource,
  options: OpenOptions,
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
  return new OctavoDocument(read, searcher);
}
