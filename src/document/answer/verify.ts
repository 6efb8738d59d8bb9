/**
 * Whether what an answer says stands in a sentence: literally, by its numbers, names and stems, or not. Nothing here asks a model: a citation is checked against the
 * document's own letters.
 */
import type { Language } from '../content.ts';
import { isStopWord, stem, wordsOf } from '../stems.ts';
import { normalise, type Normalised } from './normalise.ts';

/** What of an answer has to be found. */
export interface Claim {
  /** Normalised, without marks around it. */
  readonly text: string;
  /** Stems of its content words, those of the question left out where something is left. */
  readonly stems: readonly string[];
  /** Numbers and names, normalised. */
  readonly exactly: readonly string[];
}

/** The share of stems that a sentence has to have to support a claim. */
const SUPPORTS = 0.6;
const MARKS = /^[\s"'“”‘’«»„([.,:;!?-]+|[\s"'“”‘’«»„)\].,:;!?-]+$/gu;

export function claimOf(text: string, question: string, language: Language): Claim {
  const stemsIn = (given: string): string[] =>
    wordsOf(given).flatMap(({ text: word }) => {
      const lower = word.toLowerCase();
      return isStopWord(lower, language) ? [] : [stem(lower, language)];
    });
  const asked = new Set(stemsIn(question));
  const all = [...new Set(stemsIn(text))];
  const fresh = all.filter((one) => !asked.has(one));
  const exactly = wordsOf(text).flatMap(({ text: word, start }) => {
    const isNumber = /\d/.test(word);
    // A capital letter says nothing at the beginning of a sentence, and in German of nouns at large.
    const isName = language !== 'de' && start > 0 && /^\p{Lu}/u.test(word) && !isStopWord(word.toLowerCase(), language);
    return isNumber || (isName && !asked.has(stem(word.toLowerCase(), language))) ? [normalise(word).text] : [];
  });
  return { text: normalise(text.replace(MARKS, '')).text, stems: fresh.length > 0 ? fresh : all, exactly };
}

/** The first range of `[0, sentence.length)` in which the whole claim stands as it is. */
export function literal({ text }: Claim, sentence: Normalised): [number, number] | undefined {
  if (text === '') return undefined;
  for (let at = sentence.text.indexOf(text); at >= 0; at = sentence.text.indexOf(text, at + 1)) {
    const end = at + text.length;
    // Not within a word.
    const open = !/[\p{L}\p{N}]/u.test(sentence.text[at - 1] ?? '') || !/[\p{L}\p{N}]/u.test(text[0] ?? '');
    const shut = !/[\p{L}\p{N}]/u.test(sentence.text[end] ?? '') || !/[\p{L}\p{N}]/u.test(text.at(-1) ?? '');
    if (open && shut) return [sentence.places[at] ?? 0, (sentence.places[end - 1] ?? 0) + 1];
  }
  return undefined;
}

/** The share of a claim's stems that a sentence has, and whether all its numbers and names are there. */
export function support(
  { stems, exactly }: Claim,
  sentence: string,
  language: Language,
): { readonly share: number; readonly supported: boolean } {
  const there = new Set(wordsOf(sentence).map(({ text }) => stem(text.toLowerCase(), language)));
  const { text } = normalise(sentence);
  const words = new Set(wordsOf(text).map(({ text: word }) => word));
  const share = stems.length === 0 ? 0 : stems.filter((one) => there.has(one)).length / stems.length;
  return { share, supported: share >= SUPPORTS && exactly.every((one) => words.has(one)) };
}

/** Numbers of an answer that stand nowhere in a text. */
export function unknownNumbers(answer: string, text: string): string[] {
  const there = new Set(wordsOf(text).map(({ text: word }) => stem(word, 'other')));
  const numbers = wordsOf(answer)
    .map(({ text: word }) => word)
    .filter((word) => /\d/.test(word));
  return [...new Set(numbers)].filter((word) => !there.has(stem(word, 'other')));
}
