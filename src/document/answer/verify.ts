/**
 * Whether what an answer says stands in a sentence: literally, by its numbers, names and stems, or not. Nothing here asks a model: a citation is checked against the
 * document's own letters.
 */
import type { Language } from '../content.ts';
import { isStopWord, stem, termsOf, wordsOf, type Word } from '../stems.ts';
import { normalise, type Normalised } from './normalise.ts';

/** What of an answer has to be found. */
export interface Claim {
  /** Normalised, without marks around it. */
  readonly text: string;
  /** Stems of its content words, those of the question left out where something is left. */
  readonly stems: readonly string[];
  /** Stems of the question's content words. */
  readonly asked: readonly string[];
  /** Numbers and names, normalised. */
  readonly exactly: readonly string[];
  /** Names that the question asks for together ("both Ada Byron and Max Planck"), by their stems. */
  readonly together: readonly (readonly string[])[];
}

/** The share of stems that a sentence has to have to support a claim. */
const SUPPORTS = 0.6;
/** Words that a name goes on for, to either side. */
const MOST_NAME = 8;
/** An answer of so many words is a sentence, which says words of the question again. */
export const SENTENCE = 6;
const MARKS = /^[\s"'“”‘’«»„([.,:;!?-]+|[\s"'“”‘’«»„)\].,:;!?-]+$/gu;

export function claimOf(text: string, question: string, language: Language): Claim {
  const stemsIn = (given: string): string[] =>
    termsOf(given, language).flatMap(({ text: word, stem: key }) =>
      isStopWord(word.toLowerCase(), language) ? [] : [key],
    );
  const asked = new Set(stemsIn(question));
  const all = [...new Set(stemsIn(text))];
  const fresh = all.filter((one) => !asked.has(one));
  const exactly = termsOf(text, language).flatMap(({ text: word, start, stem: key }) => {
    // A number in digits; an ordinal may stand there as its word.
    if (/\d/.test(word)) return /\p{L}$/u.test(word) ? [] : [key];
    // A capital letter says nothing at the beginning of a sentence, and in German of nouns at large.
    const isName = language !== 'de' && start > 0 && /^\p{Lu}/u.test(word) && !isStopWord(word.toLowerCase(), language);
    return isName && !asked.has(key) && !/^\d/.test(key) ? [normalise(word).text] : [];
  });
  const stems = fresh.length > 0 ? fresh : all;
  const together = namesTogether(question, language);
  return { text: normalise(text.replace(MARKS, '')).text, stems, asked: [...asked], exactly, together };
}

/** Names of words with capital letters, with "and" between them. */
const TOGETHER =
  /(?<=\p{L}\s+)(\p{Lu}[\p{L}.'’-]*(?:\s\p{Lu}[\p{L}.'’-]*){0,4})\s(?:and|und)\s(\p{Lu}[\p{L}.'’-]*(?:\s\p{Lu}[\p{L}.'’-]*){0,4})/u;

function namesTogether(question: string, language: Language): string[][] {
  const [, first, second] = TOGETHER.exec(question.slice(0, 1000)) ?? [];
  if (first === undefined || second === undefined) return [];
  return [first, second].map((name) => termsOf(name, language).map((term) => term.stem));
}

/** What makes the opposite of the word behind it: "non-revolutionary" does not say "revolutionary". */
const NEGATED = /(?<!\p{L})(?:non|nicht)-$/u;

/** What a word or number goes on behind; an exponent is no number of its own. */
const WITHIN = /[\p{L}\p{N}^]$|\^[+-]$/u;

/** The first range of `[0, sentence.length)` in which the whole claim stands as it is. */
export function literal({ text }: Claim, sentence: Normalised): [number, number] | undefined {
  if (text === '') return undefined;
  for (let at = sentence.text.indexOf(text); at >= 0; at = sentence.text.indexOf(text, at + 1)) {
    const end = at + text.length;
    // Not within a word.
    const open = !WITHIN.test(sentence.text.slice(Math.max(0, at - 2), at)) || !/[\p{L}\p{N}]/u.test(text[0] ?? '');
    const shut = !/[\p{L}\p{N}]/u.test(sentence.text[end] ?? '') || !/[\p{L}\p{N}]/u.test(text.at(-1) ?? '');
    if (open && shut && !NEGATED.test(sentence.text.slice(0, at)))
      return [sentence.places[at] ?? 0, (sentence.places[end - 1] ?? 0) + 1];
  }
  return undefined;
}

/** Whether a claim says more than what was asked for. */
export function isSentence({ text }: Claim): boolean {
  return wordsOf(text).length >= SENTENCE;
}

/** A sentence that claims are checked against. */
export interface Checked {
  readonly text: string;
  readonly normalised: Normalised;
  /** Its words, normalised. */
  readonly words: ReadonlySet<string>;
  readonly stems: ReadonlySet<string>;
}

export function checked(text: string, language: Language): Checked {
  const normalised = normalise(text);
  return {
    text,
    normalised,
    words: new Set(wordsOf(normalised.text).map((word) => word.text)),
    stems: new Set(termsOf(text, language).map((term) => term.stem)),
  };
}

/** What a sentence has of a claim. */
interface Support {
  /** The share of its stems. */
  readonly share: number;
  /** Whether it has enough of them, and all numbers and names. */
  readonly supported: boolean;
}

export function support({ stems, exactly }: Claim, { words, stems: there }: Checked): Support {
  const share = stems.length === 0 ? 0 : stems.filter((one) => there.has(one)).length / stems.length;
  return { share, supported: share >= SUPPORTS && exactly.every((one) => words.has(one) || there.has(one)) };
}

/** How much of the question each sentence says: the share of its stems, of which one counts more where fewer sentences have it (as BM25 weighs them). */
export function askedShares({ asked }: Claim, sentences: readonly Pick<Checked, 'stems'>[]): number[] {
  const stems = sentences.map((sentence) => sentence.stems);
  const weights = asked.map((one) => {
    const having = stems.filter((own) => own.has(one)).length;
    return having === 0 ? 0 : Math.log(1 + (stems.length - having + 0.5) / (having + 0.5));
  });
  const sum = (own: ReadonlySet<string>): number =>
    asked.reduce((total, one, i) => total + (own.has(one) ? (weights[i] ?? 0) : 0), 0);
  const all = sum(new Set(asked));
  return stems.map((own) => (all === 0 ? 0 : sum(own) / all));
}

/**
 * The words of a sentence that support a claim: the fewest, from the first to the last, in which all of its stems stand that the sentence has, and the rest of a
 * name that the claim says, too.
 */
export function supportingRange(claim: Claim, sentence: string, language: Language): [number, number] | undefined {
  const words = termsOf(sentence, language);
  const marks = words.flatMap(({ stem: key }, at) => (claim.stems.includes(key) ? [{ key, at }] : []));
  const [first, last] = shortest(marks) ?? [0, -1];
  const said = new Set(wordsOf(claim.text).map(({ text }) => text));
  const named = ({ text }: Word): boolean =>
    /^[\p{Lu}\d]/u.test(text) && !isStopWord(text.toLowerCase(), language) && said.has(normalise(text).text);
  const open = words[first];
  const shut = words[last];
  if (open === undefined || shut === undefined) return undefined;
  // German nouns are written as names are.
  const before =
    language === 'de' || !named(open) ? 0 : nameLength(words.slice(0, first).toReversed(), named, language);
  const behind = language === 'de' || !named(shut) ? 0 : nameLength(words.slice(last + 1), named, language);
  const end = words[last + behind] ?? shut;
  return [(words[first - before] ?? open).start, end.end - (/['’]s$/u.exec(end.text)?.[0].length ?? 0)];
}

/** What belongs to a number: before it, and behind it. */
const ABOUT =
  /(?:(?<![\p{L}\p{N}])(?:about|almost|approximately|around|at (?:least|most)|below|fewer than|less than|more than|nearly|only|over|roughly|some|under|up to|circa|etwa|fast|höchstens|mehr als|mindestens|nur|rund|über|ungefähr|unter|weniger als)\s|[£$€]\s?)$/iu;
const UNIT =
  /^\s?(?:[°%‰²³]\s?[CFK]?|(?:percent|per cent|Prozent|hundred|thousand|million|billion|trillion|tausend|Millionen|Milliarden|sq|square|cubic|Quadrat\p{L}*|degrees?|Grad|[cdkm]?m|[kmµ]?g|[kMGT]?B|[kMGT]?W|[kMG]?Hz|ft|mi|mph|ha|met(?:er|re)s?|Metern?|[kc]\p{L}{3,4}met(?:er|re)s?|Kilometern?|miles?|Meilen|feet|foot|inch(?:es)?|yards?|acres?|hectares?|Hektar|tons?|tonnes?|Tonnen|pounds?|dollars?|Dollar|euros?|years?|Jahren?|months?|Monaten?|weeks?|Wochen|days?|Tagen?|hours?|Stunden|minutes?|Minuten|seconds?|Sekunden)(?![\p{L}\p{Nd}])[²³]?)/u;
/** Units that follow each other: "5.4 million square kilometres". */
const MOST_UNITS = 3;
const TITLE = /(?<![\p{L}\p{N}])(?:Capt|Col|Dr|Gen|Hon|Lt|Mrs?|Ms|Prof|Rev|Sgt|Sir|St)\.?\s$/u;

/**
 * A range of a sentence with what belongs to its number or its name and makes it another one where it is left out: "over 14,000", "565 °C", "Rev. Paul". A unit that
 * the question names is not missed.
 */
export function completeRange(
  { asked }: Claim,
  sentence: string,
  [start, end]: readonly [number, number],
): [number, number] {
  const quote = sentence.slice(start, end);
  let last = end;
  for (let units = 0; /\d$/.test(quote) && units < MOST_UNITS; units++) {
    const [unit] = UNIT.exec(sentence.slice(last)) ?? [];
    const named = unit?.trim().toLowerCase();
    if (unit === undefined || named === undefined) break;
    if (asked.some((one) => one === stem(named, 'en') || one === stem(named, 'de'))) break;
    last += unit.length;
  }
  const before = sentence.slice(0, start);
  const [added = ''] = (/^\d/.test(quote) ? ABOUT : /^\p{Lu}/u.test(quote) ? TITLE : undefined)?.exec(before) ?? [];
  return [start - added.length, last];
}

/** The shortest stretch of words with each key that there is. */
function shortest(marks: readonly { readonly key: string; readonly at: number }[]): [number, number] | undefined {
  const keys = new Set(marks.map(({ key }) => key)).size;
  let best: [number, number] | undefined;
  /** How often each key stands among the marks from `first` on. */
  const held = new Map<string, number>();
  let first = 0;
  for (const { key, at } of marks) {
    held.set(key, (held.get(key) ?? 0) + 1);
    for (let mark = marks[first]; mark !== undefined && held.size === keys; mark = marks[++first]) {
      if (best === undefined || at - mark.at < best[1] - best[0]) best = [mark.at, at];
      const left = (held.get(mark.key) ?? 0) - 1;
      if (left === 0) held.delete(mark.key);
      else held.set(mark.key, left);
    }
  }
  return best;
}

/** How many of the words belong to the name beside them: words of a name, and what joins them ("Court of Justice"). */
function nameLength(words: readonly Word[], named: (word: Word) => boolean, language: Language): number {
  let length = 0;
  for (const [i, word] of words.slice(0, MOST_NAME).entries()) {
    if (named(word)) length = i + 1;
    else if (i > length || !isStopWord(word.text, language)) break;
  }
  return length;
}

const MARK = /^[ \t]*(\d{1,3})[.)](?=[ \t])/gm;

/** Without the numbers of items that are counted from one on, which say nothing of the text. */
function withoutMarks(answer: string): string {
  const marks = [...answer.matchAll(MARK)];
  if (marks.length < 2 || marks.some(([, number], i) => Number(number) !== i + 1)) return answer;
  return answer.replace(MARK, '');
}

/** Numbers of an answer, in digits, that stand nowhere in a text, in digits or in letters. */
export function unknownNumbers(answer: string, text: string, language: Language): string[] {
  const there = new Set([...termsOf(text, language), ...termsOf(text, 'other')].map((term) => term.stem));
  const numbers = termsOf(withoutMarks(answer), language).filter(({ text: word }) => /\d/.test(word));
  const known = numbers.filter(({ text: word, stem: key }) => there.has(key) || there.has(stem(word, 'other')));
  // An ordinal has two terms, of which one is enough.
  const found = new Set(known.map(({ text: word }) => word));
  return [...new Set(numbers.map(({ text: word }) => word))].filter((word) => !found.has(word));
}
