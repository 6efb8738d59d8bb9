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

  /** Scores by passage; those that share no word with the question are not among them. */
  scores(question: string): Map<number, number> {
    const terms = this.terms(question);
    const found = terms.length === 0 ? [] : this.#search.search(terms.join(' '), { boost: { path: PATH_WEIGHT } });
    return new Map(found.map(({ id, score }) => [Number(id), score]));
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

export interface StoredIndex {
  /** As MiniSearch writes it. */
  readonly search: object;
  readonly languages: readonly Language[];
}
