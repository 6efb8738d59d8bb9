/** Passages found by their words: BM25+ over stems, headings counting less than text. Kept as one plain object. */
import MiniSearch, { type AsPlainObject, type Options } from 'minisearch';
import type { Language } from '../content.ts';
import { stemsOf } from '../stems.ts';
import { knownForm } from '../times.ts';

/** A passage as it is put into the index. */
export interface Entry {
  readonly id: number;
  readonly text: string;
  readonly path: readonly string[];
  readonly language: Language;
}

/** What a heading counts beside the text under it. */
const PATH_WEIGHT = 0.4;
/** What the page of a passage, taken as one passage, counts beside it: on MMLongBench-Doc. */
const PAGE_WEIGHT = 0.25;
/** Terms of a question that are looked up. */
const MOST_TERMS = 256;

const OPTIONS: Options<Entry> = {
  fields: ['text', 'path'],
  extractField: (entry, field) => {
    if (field === 'id') return String(entry.id);
    return stemsOf(field === 'path' ? entry.path.join(' ') : entry.text, entry.language).join(' ');
  },
  tokenize: (text) => (text === '' ? [] : text.split(' ')),
  processTerm: (term) => term,
};

export class PassageIndex {
  readonly #search: MiniSearch<Entry>;
  readonly #languages = new Set<Language>();

  /** `stored`: what `plain` gave. */
  constructor(stored?: StoredIndex) {
    this.#search =
      stored === undefined ? new MiniSearch(OPTIONS) : MiniSearch.loadJS(stored.search as AsPlainObject, OPTIONS);
    for (const language of stored?.languages ?? []) this.#languages.add(language);
  }

  get size(): number {
    return this.#search.documentCount;
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) this.#languages.add(entry.language);
    this.#search.addAll(entries);
  }

  remove(ids: readonly number[]): void {
    this.#search.discardAll(ids.map(String));
  }

  /** The stems by which a question is looked up: in all languages that there are. */
  terms(question: string): string[] {
    const languages = this.#languages.size === 0 ? (['other'] as const) : [...this.#languages];
    const stems = new Set(languages.flatMap((language) => stemsOf(question, language, true)));
    return [...new Set([...stems].slice(0, MOST_TERMS).map((term) => knownForm(term, (own) => this.has(own))))];
  }

  /**
   * Scores by passage; those that share no word with the question are not among them. Each is the sum of its words' scores, times how many there are, and a share of
   * the same of its page, for which each word counts where it counts most. `pageOf`: what passages of one page have in common; by default each has its own page.
   */
  scores(question: string, pageOf: (id: number) => number | string = (id) => id): Map<number, number> {
    const passages = new Map<number, Tally>();
    const pages = new Map<number | string, Tally>();
    for (const term of this.terms(question)) {
      const most = new Map<number | string, number>();
      for (const { id, score } of this.#search.search(term, { boost: { path: PATH_WEIGHT } })) {
        const page = pageOf(Number(id));
        count(passages, Number(id), score);
        most.set(page, Math.max(most.get(page) ?? 0, score));
      }
      for (const [page, score] of most) count(pages, page, score);
    }
    return new Map(
      [...passages].map(([id, own]) => [id, own.sum * own.words + PAGE_WEIGHT * product(pages.get(pageOf(id)))]),
    );
  }

  /** What each term of a question tells: much where few passages have it. */
  weights(question: string): Map<string, number> {
    const all = Math.max(1, this.size);
    return new Map(
      this.terms(question).map((term) => {
        const having = this.#search.search(term).length;
        return [term, Math.log(1 + (all - having + 0.5) / (having + 0.5))];
      }),
    );
  }

  /** Whether a passage, or a heading above one, has the stem. */
  has(term: string): boolean {
    return this.#search.search(term).length > 0;
  }

  plain(): StoredIndex {
    return { search: this.#search.toJSON(), languages: [...this.#languages] };
  }
}

/** The scores of the words that a passage or a page shares with a question, and how many words there are. */
interface Tally {
  sum: number;
  words: number;
}

function count<Key>(tallies: Map<Key, Tally>, key: Key, score: number): void {
  const tally = tallies.get(key);
  if (tally === undefined) tallies.set(key, { sum: score, words: 1 });
  else {
    tally.sum += score;
    tally.words++;
  }
}

const product = (tally: Tally | undefined): number => (tally === undefined ? 0 : tally.sum * tally.words);

export interface StoredIndex {
  /** As MiniSearch writes it. */
  readonly search: object;
  readonly languages: readonly Language[];
}
