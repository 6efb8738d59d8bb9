/**
 * Citations of an answer, sentence by sentence: where its tokens were drawn from by attention, checked against the letters. What attention points at is not always
 * what supports a claim, and what stands literally in two places was drawn from one of them: each decides where the other cannot.
 */
import type { Attribution } from '../../generate/attribution.ts';
import { pageAt, type Language, type Rectangle } from '../content.ts';
import { rectanglesOf } from '../rectangles.ts';
import { sentencesOf } from '../sentences.ts';
import { isStopWord, termsOf } from '../stems.ts';
import { normalise } from './normalise.ts';
import type { Shown } from './pack.ts';
import {
  askedShares,
  claimOf,
  completeRange,
  isSentence,
  literal,
  support,
  supportingRange,
  type Claim,
} from './verify.ts';

/** `exact`: the words of the answer stand there. `supported`: its numbers, names and most of its words do. `weak`: what the model looked at most. */
export type CitationKind = 'exact' | 'supported' | 'weak';

/** A place of a document that supports a sentence of an answer. */
export interface Citation {
  /** The hash of the document. */
  readonly document: string;
  /** From 1: where the quote begins. */
  readonly page: number;
  /** Units `[start, end)` of the document's text, which are `quote`. */
  readonly start: number;
  /** Behind the last unit of the quote. */
  readonly end: number;
  /** The words of the document, letter by letter. */
  readonly quote: string;
  /** The sentence, or the row of a table, in which they stand. */
  readonly sentence: string;
  /** On `page`, in points from the upper left corner. */
  readonly rectangles: readonly Rectangle[];
  /** From 0 to 1: the share of the attention to the document that went to the sentence. */
  readonly score: number;
  /** How well it supports the sentence. */
  readonly kind: CitationKind;
  /** What of the answer it is cited for: units `[from, to)` of its text. */
  readonly answer: readonly [from: number, to: number];
}

/** `attribution`: undefined where the model could not be asked; then words alone decide. */
export function cite(
  answer: string,
  question: string,
  shown: readonly Shown[],
  attribution: Attribution | undefined,
): Citation[] {
  const language: Language = shown[0]?.content.language ?? 'other';
  const spans = sentencesOf(answer, 0, answer.length, language);
  return spans.flatMap(([from, to]) => {
    const claim = claimOf(answer.slice(from, to), question, language);
    if (claim.stems.length === 0) return [];
    const shares = attribution === undefined ? undefined : sharesOf(attribution, [from, to], shown.length, language);
    return citationsOf(claim, shown, shares, [from, to]);
  });
}

/** How the attention of an answer's range is shared out among the sentences: of each content token its best one counts, by its share. */
export function sharesOf(
  { tokens, masses }: Attribution,
  [from, to]: readonly [number, number],
  count: number,
  language: Language,
): Float64Array {
  const shares = new Float64Array(count);
  let at = 0;
  let rows = 0;
  tokens.forEach((token, row) => {
    const start = at;
    at += token.length;
    if (at <= from || start >= to || !isContent(token, language)) return;
    const own = masses.subarray(row * count, (row + 1) * count);
    const sum = own.reduce((total, value) => total + value, 0);
    if (!(sum > 0)) return;
    own.forEach((value, i) => (shares[i] = (shares[i] ?? 0) + value / sum));
    rows++;
  });
  return rows === 0 ? shares : shares.map((value) => value / rows);
}

function isContent(token: string, language: Language): boolean {
  const word = token.trim().toLowerCase();
  return /[\p{L}\p{N}]/u.test(word) && !isStopWord(word, language);
}

interface Candidate {
  readonly sentence: Shown;
  readonly text: string;
  /** Of the attention; or of the claim's stems, where attention is not known. */
  readonly share: number;
  readonly stems: number;
  /** Of the question's stems, by weight: where attention is not known, the sentence that says more of what was asked is cited. */
  readonly asked: number;
  readonly supported: boolean;
  readonly literal: [number, number] | undefined;
}

/**
 * Where the answer stands in several sentences, the share of the question's words counts as so many shares of the
 * attention: attention decides between sentences that say alike much of the question (docs/documents.md).
 */
const ASKED_WEIGHT = 2;

function citationsOf(
  claim: Claim,
  shown: readonly Shown[],
  shares: Float64Array | undefined,
  answer: readonly [number, number],
): Citation[] {
  const asked = askedShares(claim, shown);
  const candidates = shown.map((sentence, i): Candidate => {
    const text = sentence.content.text.slice(sentence.start, sentence.end);
    const { share: stems, supported } = support(claim, text, sentence.content.language);
    const place = literal(claim, normalise(text));
    return { sentence, text, share: shares?.[i] ?? stems, stems, asked: asked[i] ?? 0, supported, literal: place };
  });
  const best = (list: readonly Candidate[], weight = 0): Candidate[] => {
    const score = ({ share, asked }: Candidate): number => share + weight * asked;
    return list.toSorted((a, b) => score(b) - score(a) || b.asked - a.asked || b.stems - a.stems);
  };
  const literally = best(
    candidates.filter((one) => one.literal !== undefined),
    ASKED_WEIGHT,
  );
  const exact = literally[0];
  if (exact !== undefined) {
    const other = besideName(claim, exact, literally);
    return [exact, ...(other ? [other] : [])].map((one) => citation(one, 'exact', exactRange(claim, one), answer));
  }
  const whole = ({ sentence }: Candidate): [number, number] => [sentence.start, sentence.end];
  const supporting = best(candidates.filter(({ supported }) => supported))[0];
  if (supporting !== undefined) {
    const { sentence, text } = supporting;
    const range = supportingRange(claim, text, sentence.content.language);
    const [from, to] = range ? completeRange(claim, text, range) : [0, text.length];
    return [citation(supporting, 'supported', [sentence.start + from, sentence.start + to], answer)];
  }
  // Of others, which are looked at less, few are right: 1 of 5 on XQuAD's even articles, where 5 of the 7 first ones are.
  return best(candidates.filter(({ share, stems }) => share > 0 && stems > 0))
    .slice(0, 1)
    .map((one) => citation(one, 'weak', whole(one), answer));
}

/** A sentence that says no more than this share of what another one says of the question is passed over for it, where that one says at least so much of all of it. */
const FAR_LESS = 0.4;
const LEAST_ASKED = 0.5;
/** Of the question's words, so many and such a share stand there at least: those that no sentence has say that others would answer it, too. */
const LEAST_STEMS = 2;
const LEAST_STEMS_SHARE = 0.4;

/**
 * The sentence that says most of the question, where the one that is cited says far less: a small model that says words of another sentence has misread this one.
 * Where it stands just before the cited sentence, both are cited, since the second may go on about the first ("It was built ..."). Nothing where a heading, a
 * row or a question says most of it: their answers stand elsewhere.
 */
export function nearerTheQuestion(cited: Citation, question: string, shown: readonly Shown[]): Citation | undefined {
  const claim = claimOf('', question, shown[0]?.content.language ?? 'other');
  const shares = askedShares(claim, shown);
  const own = shown.findIndex(
    ({ document, start, end }) => document === cited.document && start <= cited.start && cited.end <= end,
  );
  const at = shares.indexOf(Math.max(...shares));
  const [most, before] = [shown[at], shown[own]];
  const share = shares[at] ?? 0;
  if (most === undefined || before === undefined || share < LEAST_ASKED) return undefined;
  if ((shares[own] ?? 0) > FAR_LESS * share || !isProse(most) || !isProse(before)) return undefined;
  const text = most.content.text.slice(most.start, most.end);
  const there = new Set(termsOf(text, most.content.language).map((term) => term.stem));
  const stems = claim.asked.filter((one) => there.has(one)).length;
  if (stems < Math.max(LEAST_STEMS, LEAST_STEMS_SHARE * claim.asked.length)) return undefined;
  if (/[?？؟]["'”’»)]*$/u.test(text)) return undefined;
  const both = own === at + 1 && before.document === most.document && before.start - most.end <= 1;
  const sentence = both ? { ...most, end: before.end } : most;
  const whole = sentence.content.text.slice(sentence.start, sentence.end);
  const candidate = { sentence, text: whole, share, stems: 0, asked: share, supported: false, literal: undefined };
  return citation(candidate, 'exact', [sentence.start, sentence.end], [0, whole.length]);
}

/** Whether a sentence stands in a paragraph or an item. */
function isProse({ content, start }: Shown): boolean {
  const block = content.blocks.find((one) => one.start <= start && start < one.end);
  return block === undefined || block.kind === 'paragraph' || block.kind === 'item';
}

/** Of a question about two names: where the sentence says the answer of one of them alone, the best that says it of the other one. */
function besideName(
  { together }: Claim,
  { text, sentence }: Candidate,
  others: readonly Candidate[],
): Candidate | undefined {
  const stemsOf = (given: string): ReadonlySet<string> =>
    new Set(termsOf(given, sentence.content.language).map((term) => term.stem));
  const own = stemsOf(text);
  const [named, missing] = together.toSorted(
    (a, b) => Number(b.every((one) => own.has(one))) - Number(a.every((one) => own.has(one))),
  );
  if (named === undefined || missing === undefined) return undefined;
  if (!named.every((one) => own.has(one)) || missing.some((one) => own.has(one))) return undefined;
  return others.find((other) => {
    const there = stemsOf(other.text);
    return missing.every((one) => there.has(one));
  });
}

/** The words of a sentence that the answer is, with what belongs to them. */
function exactRange(claim: Claim, { sentence, text, literal: place = [0, text.length] }: Candidate): [number, number] {
  const [from, to] = place;
  const narrow = isSentence(claim)
    ? supportingRange(claim, text.slice(from, to), sentence.content.language)
    : undefined;
  const [first, last] = narrow ? [from + narrow[0], from + narrow[1]] : completeRange(claim, text, [from, to]);
  return [sentence.start + first, sentence.start + last];
}

function citation(
  { sentence, text, share }: Candidate,
  kind: CitationKind,
  [start, end]: readonly [number, number],
  answer: readonly [number, number],
): Citation {
  const { content, document } = sentence;
  const places = rectanglesOf(content, start, end);
  const page = pageAt(content.pages, start);
  return {
    document,
    page,
    start,
    end,
    quote: content.text.slice(start, end),
    sentence: text,
    rectangles: places.filter((place) => place.page === page).map(({ rectangle }) => rectangle),
    score: Math.min(1, share),
    kind,
    answer,
  };
}
