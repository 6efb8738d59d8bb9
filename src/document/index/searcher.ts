/** Finds passages of one or several documents: words always, meaning where an embedder is given. */
import { pageAt, type DocumentContent } from '../content.ts';
import type { Embedder } from '../options.ts';
import { passagesOf, type Passage } from '../segment.ts';
import { evidenceOf, type Evidence } from './evidence.ts';
import { fuse, vectorWeight } from './fuse.ts';
import { withoutForm } from './form.ts';
import { namedPages } from './named-pages.ts';
import { namedParts } from './named-parts.ts';
import { PassageIndex } from './passage-index.ts';
import { quantise, Vectors, type QuantisedVector } from './vectors.ts';

/** A passage of one of the documents that are searched. */
export interface Found {
  readonly id: number;
  /** The document's key. */
  readonly document: string;
  readonly content: DocumentContent;
  readonly passage: Passage;
  readonly score: number;
}

interface Held {
  readonly document: string;
  readonly content: DocumentContent;
  readonly passage: Passage;
  /** What passages that begin on its page have in common; undefined where the document has one page. */
  readonly page: string | undefined;
}

/** Texts that an embedder is given at once. */
const BATCH = 16;
/** A question is looked for by no more characters than this. */
const LONGEST_QUESTION = 8000;

export class Searcher {
  readonly #index = new PassageIndex();
  readonly #vectors = new Vectors();
  readonly #held = new Map<number, Held>();
  readonly #embedder: Embedder | undefined;
  readonly #weighed: number | undefined;
  #next = 0;

  /** `weight`: what meaning counts beside words, Infinity for meaning alone; by the documents' language and the embedder where it is not given. */
  constructor(embedder?: Embedder, weight?: number) {
    this.#embedder = embedder;
    this.#weighed = weight;
  }

  /** Passages that can be found. */
  get size(): number {
    return this.#held.size;
  }

  /** How much of a question stands in what was found for it. */
  evidence(question: string, found: readonly Pick<Found, 'content' | 'passage'>[]): Evidence {
    const asked = withoutForm(question.slice(0, LONGEST_QUESTION));
    const texts = found.map(({ content: { text, language }, passage: { start, end, path } }) => ({
      path,
      text: text.slice(start, end),
      language,
    }));
    return evidenceOf(asked, texts, this.#index.weights(asked), (term) => this.#index.has(term));
  }

  /** Words can be found when it returns. */
  add(document: string, content: DocumentContent): void {
    const passages = passagesOf(content);
    const { pages } = content;
    const entries = passages.map((passage) => {
      const id = this.#next++;
      const page = pages.length > 1 ? `${document} ${pageAt(pages, passage.start)}` : undefined;
      this.#held.set(id, { document, content, passage, page });
      return {
        id,
        text: content.text.slice(passage.start, passage.end),
        path: passage.path,
        language: content.language,
      };
    });
    this.#index.add(entries);
  }

  remove(document: string): void {
    const ids = [...this.#held].flatMap(([id, held]) => (held.document === document ? [id] : []));
    for (const id of ids) {
      this.#held.delete(id);
      this.#vectors.delete(id);
    }
    this.#index.remove(ids);
  }

  /** Documents with passages that have no vector yet; none where there is no embedder. */
  lacking(): ReadonlySet<string> {
    const lacking = new Set<string>();
    if (this.#embedder === undefined) return lacking;
    for (const [id, { document }] of this.#held) if (!this.#vectors.has(id)) lacking.add(document);
    return lacking;
  }

  /** Vectors of a document that are there, by the text that they were made of. */
  vectorsOf(document: string): (readonly [text: string, vector: QuantisedVector])[] {
    return [...this.#held].flatMap(([id, held]) => {
      const vector = held.document === document ? this.#vectors.get(id) : undefined;
      return vector === undefined ? [] : [[embeddedText(held), vector] as const];
    });
  }

  /**
   * Makes the vectors that are missing, of one document or of all. `known` gives those that were made before, by the text that they were made of; `keep` is told
   * each batch of new ones.
   */
  async embed(
    options: {
      readonly document?: string;
      readonly signal?: AbortSignal | undefined;
      readonly known?: (text: string) => Promise<QuantisedVector | undefined>;
      readonly keep?: (made: readonly (readonly [text: string, vector: QuantisedVector])[]) => Promise<void>;
      readonly onProgress?: (done: number, total: number) => unknown;
    } = {},
  ): Promise<void> {
    const embedder = this.#embedder;
    if (embedder === undefined) return;
    const { document, signal, known, keep, onProgress } = options;
    const missing = [...this.#held].filter(
      ([id, held]) => (document === undefined || held.document === document) && !this.#vectors.has(id),
    );
    for (let at = 0; at < missing.length; at += BATCH) {
      signal?.throwIfAborted();
      const fresh: (readonly [number, string])[] = [];
      for (const [id, held] of missing.slice(at, at + BATCH)) {
        const text = embeddedText(held);
        const before = await known?.(text);
        // What was removed meanwhile needs no vector.
        if (!this.#held.has(id)) continue;
        if (before === undefined) fresh.push([id, text]);
        else this.#vectors.set(id, before);
      }
      if (fresh.length > 0) {
        const texts = fresh.map(([, text]) => text);
        const rows = await embedder.embed(texts, { kind: 'document', ...(signal && { signal }) });
        const made = fresh.map(([id, text], i) => {
          const vector = quantise(rows[i] ?? new Float32Array(0));
          if (this.#held.has(id)) this.#vectors.set(id, vector);
          return [text, vector] as const;
        });
        await keep?.(made);
      }
      await onProgress?.(Math.min(at + BATCH, missing.length), missing.length);
    }
  }

  /** Vectors of a document that were made before, by the text that they were made of. */
  give(document: string, known: (text: string) => QuantisedVector | undefined): void {
    for (const [id, held] of this.#held) {
      if (held.document !== document || this.#vectors.has(id)) continue;
      const vector = known(embeddedText(held));
      if (vector !== undefined) this.#vectors.set(id, vector);
    }
  }

  /** The best passages, the best first: those of pages, figures, tables and sections that the question names before all others, whatever words they have. */
  async find(question: string, limit: number, signal?: AbortSignal): Promise<Found[]> {
    const asked = withoutForm(question.slice(0, LONGEST_QUESTION));
    const words = this.#index.scores(asked, (id) => this.#held.get(id)?.page ?? id);
    let meaning: Map<number, number> | undefined;
    if (this.#embedder !== undefined && this.#vectors.size > 0) {
      const [vector] = await this.#embedder.embed([asked], { kind: 'query', ...(signal && { signal }) });
      if (vector !== undefined) meaning = this.#vectors.scores(vector);
    }
    const ids = [...this.#held.keys()];
    const scores = fuse(ids, words, meaning, this.#weighed ?? this.#weight());
    const best = [...scores].sort(([a, x], [b, y]) => y - x || a - b);
    return this.#namedFirst(asked, best)
      .slice(0, limit)
      .flatMap(([id, score]) => {
        const held = this.#held.get(id);
        return held === undefined ? [] : [{ id, ...held, score }];
      });
  }

  /** `best` with the passages of what is named in front, which may have none of the question's words: of the document of the best passage, or of the only one. */
  #namedFirst(question: string, best: readonly (readonly [id: number, score: number])[]): typeof best {
    const [first] = this.#held.values();
    const held = this.#held.get(best[0]?.[0] ?? -1) ?? (this.#holdsOne() ? first : undefined);
    if (held === undefined) return best;
    const { document, content } = held;
    const pages = namedPages(question, content.pages);
    const parts = namedParts(question, content);
    if (pages.size === 0 && parts.length === 0) return best;
    const scores = new Map(best);
    /** Those that begin on such a page, those that reach one, and those of a part. */
    const tiers: [number, number][][] = [[], [], []];
    for (const [id, { document: own, passage }] of this.#held) {
      if (own !== document) continue;
      const [begin, end] = [pageAt(content.pages, passage.start), pageAt(content.pages, passage.end - 1)];
      const reaches = [...pages].some((page) => page > begin && page <= end);
      const inPart = parts.some(([from, to]) => passage.start < to && passage.end > from);
      const tier = pages.has(begin) ? 0 : reaches ? 1 : inPart ? 2 : -1;
      tiers[tier]?.push([id, scores.get(id) ?? 0]);
    }
    const front = tiers.flatMap((tier) => tier.sort(([a, x], [b, y]) => y - x || a - b));
    const taken = new Set(front.map(([id]) => id));
    return [...front, ...best.filter(([id]) => !taken.has(id))];
  }

  #holdsOne(): boolean {
    const documents = new Set<string>();
    for (const { document } of this.#held.values()) documents.add(document);
    return documents.size === 1;
  }

  /** By the language of most passages, and by what the embedder knows. */
  #weight(): number {
    const counts = new Map<DocumentContent['language'], number>();
    for (const { content } of this.#held.values())
      counts.set(content.language, (counts.get(content.language) ?? 0) + 1);
    const [most] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ['other', 0] as ['other' | 'en' | 'de', number]);
    return vectorWeight(most, this.#embedder?.embedding);
  }
}

function embeddedText({ content, passage }: Held): string {
  const text = content.text.slice(passage.start, passage.end);
  return passage.path.length === 0 ? text : `${passage.path.join(' > ')}\n${text}`;
}
