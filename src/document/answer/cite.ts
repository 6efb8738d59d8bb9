/**
 * Citations of an answer, sentence by sentence: where its tokens were drawn from by attention, checked against the letters. What attention points at is not always
 * what supports a claim, and what stands literally in two places was drawn from one of them: each decides where the other cannot.
 */
import type { Attribution } from '../../generate/attribution.ts';
import { pageAt, type BlockKind, type DocumentContent, type Language, type Rectangle } from '../content.ts';
import { CELLS } from '../formats/csv.ts';
import { rectanglesOf } from '../rectangles.ts';
import { sentencesOf, type Span } from '../sentences.ts';
import { isStopWord } from '../stems.ts';
import type { Shown } from './pack.ts';
import { isList, partsOf, runsOf } from './parts.ts';
import {
  askedShares,
  checked,
  claimOf,
  completeRange,
  isSentence,
  literal,
  support,
  supportingRange,
  type Checked,
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
  const sentences = shown.map(readShown);
  return sentencesOf(answer, 0, answer.length, language)
    .flatMap((span) => claimsOf(answer, span, question, sentences, language))
    .flatMap(({ claim, span }) => {
      if (claim.stems.length === 0) return [];
      const shares = attribution === undefined ? undefined : sharesOf(attribution, span, shown.length, language);
      return citationsOf(claim, sentences, shares, span);
    });
}

/** A sentence of a document that is quoted whole, as units `answer` of what is said. */
export function quotation(sentence: Shown, answer: Span): Citation {
  const { content, start, end } = sentence;
  return citation({ sentence, text: content.text.slice(start, end), share: 1 }, 'exact', [start, end], answer);
}

/**
 * The sentence that says most of a question, or undefined where none says any of it; the first of several. Headings, and rows that name the columns of a table, stand
 * over what is asked for.
 */
export function sentenceAsked(question: string, shown: readonly Shown[]): Shown | undefined {
  const language = shown[0]?.content.language ?? 'other';
  const kinds = shown.map(kindAt);
  const isTitle = (i: number): boolean => {
    const [before, one, next] = [kinds[i - 1], kinds[i], kinds[i + 1]];
    return one === 'heading' || (one === 'row' && before !== 'row' && next === 'row');
  };
  const shares = askedShares(claimOf('', question, language), shown.map(readShown)).map((share, i) =>
    isTitle(i) ? 0 : share,
  );
  const most = Math.max(0, ...shares);
  return most === 0 ? undefined : shown[shares.indexOf(most)];
}

/** A sentence that the model was shown, as claims are checked against it. */
interface Read extends Checked {
  readonly sentence: Shown;
}

function readShown(sentence: Shown): Read {
  const { content, start, end } = sentence;
  return { ...checked(content.text.slice(start, end), content.language), sentence };
}

interface Part {
  readonly claim: Claim;
  /** Units of the answer. */
  readonly span: Span;
}

/**
 * What of a sentence of an answer is cited apart: the longest parts that one sentence of the document says each, where none says all of it. A part that none says is
 * one only beside others that are said: of several things that are listed, or that are asked for. A whole sentence is not taken apart for it.
 */
function claimsOf(
  answer: string,
  span: Span,
  question: string,
  sentences: readonly Read[],
  language: Language,
): Part[] {
  const claimAt = ([from, to]: Span, asked = question): Claim => claimOf(answer.slice(from, to), asked, language);
  const whole = { claim: claimAt(span), span };
  const listed = isList(answer.slice(...span));
  const parts = partsOf(answer, span, listed);
  if (parts.length === 1) return [whole];
  const supported = sentences.some((one) => supports(whole.claim, one));
  if (supported && isSentence(whole.claim)) return [whole];
  const claims = new Map(parts.map((part) => [part, claimAt(part)]));
  const runs = runsOf(parts, (run) => {
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) return false;
    const claim = claimAt([first[0], last[1]]);
    return sentences.some(
      (one) =>
        literal(claim, one.normalised) !== undefined ||
        (supports(claim, one) && run.every((part) => supports(claims.get(part), one))),
    );
  });
  const said = runs.filter((run) => run.said).length;
  const questions = partsOf(question, [0, question.length], listed);
  const alike = questions.length === runs.length;
  const enough = supported || !listed ? runs.length : alike ? 1 : 2;
  if (runs.length === 1 || said < enough) return [whole];
  // Of several things that are asked for, each part answers its own.
  return runs.map((run, i) => {
    const [from, to] = (alike ? questions[i] : undefined) ?? [0, question.length];
    return { claim: claimAt(run.span, question.slice(from, to)), span: run.span };
  });
}

function supports(claim: Claim | undefined, sentence: Read): boolean {
  return claim !== undefined && (claim.stems.length === 0 || support(claim, sentence).supported);
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

interface Candidate extends Read {
  /** Of the attention; or of the claim's stems, where attention is not known. */
  readonly share: number;
  readonly covered: number;
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
  sentences: readonly Read[],
  shares: Float64Array | undefined,
  answer: Span,
): Citation[] {
  const asked = askedShares(claim, sentences);
  const candidates = sentences.map((one, i): Candidate => {
    const { share: covered, supported } = support(claim, one);
    const place = literal(claim, one.normalised);
    return { ...one, share: shares?.[i] ?? covered, covered, asked: asked[i] ?? 0, supported, literal: place };
  });
  const best = (list: readonly Candidate[], weight = 0): Candidate[] => {
    const score = ({ share, asked }: Candidate): number => share + weight * asked;
    return list.toSorted((a, b) => score(b) - score(a) || b.asked - a.asked || b.covered - a.covered);
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
  const supporting = best(candidates.filter(({ supported }) => supported));
  const [first] = supporting;
  if (first !== undefined) {
    const other = besideName(claim, first, supporting);
    return [first, ...(other ? [other] : [])].map((one) => {
      const { sentence, text } = one;
      const range = supportingRange(claim, text, sentence.content.language);
      const [from, to] = range ? completeRange(claim, text, range) : [0, text.length];
      return citation(one, 'supported', [sentence.start + from, sentence.start + to], answer);
    });
  }
  // Of others, which are looked at less, few are right: 1 of 5 on XQuAD's even articles, where 5 of the 7 first ones are.
  return best(candidates.filter(({ share, covered }) => share > 0 && covered > 0))
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
 * The sentence that says most of the question, where the one that is cited says far less, or the row that is asked for (`rowAsked`). What stands in a sentence as it
 * was said is no misreading of it, unless a model can do nothing but copy (`copying`). A small model that says words of another sentence has misread this one.
 * Where it stands just before the cited sentence, both are cited, since the second may go on about the first ("It was built ..."). Nothing where a heading, a
 * row or a question says most of it: their answers stand elsewhere.
 */
export function nearerTheQuestion(
  cited: Citation,
  question: string,
  shown: readonly Shown[],
  copying = false,
): Citation | undefined {
  const claim = claimOf('', question, shown[0]?.content.language ?? 'other');
  const sentences = shown.map(readShown);
  const shares = askedShares(claim, sentences);
  const own = shown.findIndex(
    ({ document, start, end }) => document === cited.document && start <= cited.start && cited.end <= end,
  );
  const row = rowAsked(cited, shown, shares, own);
  if (row !== undefined || (cited.kind === 'exact' && !copying)) return row;
  const at = shares.indexOf(Math.max(...shares));
  const [most, before] = [shown[at], shown[own]];
  const said = sentences[at];
  const share = shares[at] ?? 0;
  if (most === undefined || before === undefined || said === undefined || share < LEAST_ASKED) return undefined;
  if ((shares[own] ?? 0) > FAR_LESS * share || !isProse(most) || !isProse(before)) return undefined;
  const stems = claim.asked.filter((one) => said.stems.has(one)).length;
  if (stems < Math.max(LEAST_STEMS, LEAST_STEMS_SHARE * claim.asked.length)) return undefined;
  if (/[?？؟]["'”’»)]*$/u.test(said.text)) return undefined;
  const both = own === at + 1 && before.document === most.document && before.start - most.end <= 1;
  const sentence = both ? { ...most, end: before.end } : most;
  const whole = sentence.content.text.slice(sentence.start, sentence.end);
  return citation({ sentence, text: whole, share }, 'exact', [sentence.start, sentence.end], [0, whole.length]);
}

/** A citation of another stretch of its sentence. */
export function recited(cited: Citation, content: DocumentContent, [start, end]: Span): Citation {
  const page = pageAt(content.pages, start);
  const places = rectanglesOf(content, start, end).filter((place) => place.page === page);
  const rectangles = places.map(({ rectangle }) => rectangle);
  return { ...cited, page, start, end, quote: content.text.slice(start, end), rectangles };
}

/**
 * Of an answer from a row that has no word of the question: the one row of its table that has some, or that has more of them than any other one. The
 * model has taken the right column of the wrong row. What stands in a row's first cell names it, and may be asked for by comparing it with another one.
 */
function rowAsked(
  cited: Citation,
  shown: readonly Shown[],
  shares: readonly number[],
  own: number,
): Citation | undefined {
  const wrong = shown[own];
  if (wrong === undefined || (shares[own] ?? 0) > 0 || kindAt(wrong) !== 'row') return undefined;
  if (!wrong.content.text.slice(wrong.start, cited.start).includes(CELLS)) return undefined;
  const inTable = (i: number): boolean => {
    const [one, next] = [shown[i], shown[i + 1]];
    return one !== undefined && next !== undefined && kindAt(one) === 'row' && next.start - one.end <= 1;
  };
  let [first, last] = [own, own];
  while (first > 0 && inTable(first - 1)) first--;
  while (inTable(last)) last++;
  // The first row names the columns.
  const rows = shares.slice(first + 1, last + 1);
  const most = Math.max(0, ...rows);
  const right = shown[first + 1 + rows.indexOf(most)];
  if (most === 0 || right === undefined || rows.indexOf(most) !== rows.lastIndexOf(most)) return undefined;
  return quotation(right, [0, right.end - right.start]);
}

const kindAt = ({ content, start }: Shown): BlockKind | undefined =>
  content.blocks.find((one) => one.start <= start && start < one.end)?.kind;

/** Whether a sentence stands in a paragraph or an item. */
function isProse(sentence: Shown): boolean {
  const kind = kindAt(sentence);
  return kind === undefined || kind === 'paragraph' || kind === 'item';
}

/** Of a question about two names: where the sentence says the answer of one of them alone, the best that says it of the other one. */
function besideName(
  { together }: Claim,
  { stems: own }: Candidate,
  others: readonly Candidate[],
): Candidate | undefined {
  const [named, missing] = together.toSorted(
    (a, b) => Number(b.every((one) => own.has(one))) - Number(a.every((one) => own.has(one))),
  );
  if (named === undefined || missing === undefined) return undefined;
  if (!named.every((one) => own.has(one)) || missing.some((one) => own.has(one))) return undefined;
  return others.find(({ stems }) => missing.every((one) => stems.has(one)));
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
  { sentence, text, share }: Pick<Candidate, 'sentence' | 'text' | 'share'>,
  kind: CitationKind,
  [start, end]: readonly [number, number],
  answer: readonly [number, number],
): Citation {
  const { content, document } = sentence;
  const cited = { document, page: 0, start, end, quote: '', sentence: text, rectangles: [] };
  return recited({ ...cited, score: Math.min(1, share), kind, answer }, content, [start, end]);
}
