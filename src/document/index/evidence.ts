/** How much of a question stands in what search found: words only, so that it is known before any model has answered. */
import type { Language } from '../content.ts';
import { sentencesOf } from '../sentences.ts';
import { isStopWord, stemsOf, termsOf } from '../stems.ts';
import { knownForm } from '../times.ts';

/** Each from 0 to 1. */
export interface Evidence {
  /** The share of the question's words, weighted by how few passages have them, that the best passage has. */
  readonly covered: number;
  /** The same of the best sentence of the first passages together with its neighbours. */
  readonly sentence: number;
  /** The share of the pairs of words that follow each other in the question which also do in one sentence. */
  readonly pairs: number;
  /** The share of the question's names and numbers that stand nowhere in the documents. */
  readonly unnamed: number;
}

/** What is looked at of a passage. */
export interface EvidenceText {
  readonly path: readonly string[];
  readonly text: string;
  readonly language: Language;
}

/** Passages whose sentences are looked at. */
const PASSAGES = 4;

/** `texts`: what was found, the best first. `weights`: of the question's stems. `has`: whether any passage has a stem. */
export function evidenceOf(
  question: string,
  texts: readonly EvidenceText[],
  weights: ReadonlyMap<string, number>,
  has: (term: string) => boolean,
): Evidence {
  const all = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const share = (there: ReadonlySet<string>): number => {
    let found = 0;
    for (const [term, weight] of weights) if (there.has(term)) found += weight;
    return all === 0 ? 0 : found / all;
  };
  const [first] = texts;
  let sentence = 0;
  let pairs = 0;
  for (const { path, text, language } of texts.slice(0, PASSAGES)) {
    const heading = stemsOf(path.join(' '), language);
    const asked = followers(stemsOf(question, language, true).map((term) => knownForm(term, has)));
    const stems = sentencesOf(text, 0, text.length, language).map(([from, to]) =>
      stemsOf(text.slice(from, to), language),
    );
    stems.forEach((own, i) => {
      const around = [...heading, ...(stems[i - 1] ?? []), ...own, ...(stems[i + 1] ?? [])];
      sentence = Math.max(sentence, share(new Set(around)));
      const there = new Set(followers(own));
      if (asked.length > 0) pairs = Math.max(pairs, asked.filter((pair) => there.has(pair)).length / asked.length);
    });
  }
  return {
    covered: first === undefined ? 0 : share(new Set(stemsOf(`${first.path.join(' ')} ${first.text}`, first.language))),
    sentence,
    pairs,
    unnamed: unnamed(question, first?.language ?? 'other', has),
  };
}

function followers(stems: readonly string[]): string[] {
  return stems.slice(1).map((term, i) => `${stems[i] ?? ''} ${term}`);
}

/** Names are known by capital letters, which say nothing at the beginning of a question, and in German of nouns at large. */
function unnamed(question: string, language: Language, has: (term: string) => boolean): number {
  const named = termsOf(question, language).filter(
    ({ text, start }) =>
      /\d/.test(text) ||
      (language !== 'de' && start > 0 && /^\p{Lu}/u.test(text) && !isStopWord(text.toLowerCase(), language)),
  );
  if (named.length === 0) return 0;
  return named.filter(({ stem }) => !has(knownForm(stem, has))).length / named.length;
}
