/**
 * Answers in the document's own words. Small models find the right sentence more often than they say rightly what it says: a short answer that one sentence supports
 * in other words is shown as that sentence. What cannot be a quote stays as the model said it: a refusal, yes or no, several sentences, and what no sentence
 * supports, such as a count.
 */
import type { Language } from '../content.ts';
import { sentencesOf } from '../sentences.ts';
import { isStopWord, termsOf } from '../stems.ts';
import type { Citation } from './cite.ts';
import { normalise } from './normalise.ts';
import { isList, partsOf } from './parts.ts';
import { SENTENCE } from './verify.ts';

/** An answer of more characters is no short one, and is shown as it comes. */
const MOST_SHORT = 240;
/** A sentence of more is no answer that anybody wants to read. */
const MOST_QUOTE = 600;
const YES_NO = /^\s*(?:yes|no|ja|nein)[^\p{L}\p{N}]/iu;

/** An answer as it is shown. */
export interface Quoted {
  readonly text: string;
  readonly citations: readonly Citation[];
}

/** Whether what has been said so far may become a short answer that can be a quote; a word at its end may go on. */
export function isShort(said: string, language: Language): boolean {
  return said.length <= MOST_SHORT && !YES_NO.test(said) && sentencesOf(said, 0, said.length, language).length <= 1;
}

/**
 * `citations`: of what the model said. `nearer`: of the sentence that supports it, or in which it stands, what says far more of the
 * question (`nearerTheQuestion`), which is then the answer.
 */
export function quoted(
  said: string,
  citations: readonly Citation[],
  language: Language,
  nearer: (cited: Citation) => Citation | undefined = () => undefined,
): Quoted {
  const [cited, another] = citations;
  const asSaid = { text: said, citations };
  if (cited === undefined || !isShort(`${said} `, language)) return asSaid;
  const once = saidAgain(said);
  if (once !== undefined && cited.kind !== 'weak' && bare(cited.quote).includes(bare(once)))
    return quoted(once, [{ ...cited, kind: 'exact', answer: [0, once.length] }], language, nearer);
  if (another !== undefined || cited.answer[1] - cited.answer[0] < said.trim().length)
    return partsCompleted(said, citations);
  if (cited.kind === 'weak') return asSaid;
  const { kind, quote, sentence } = cited;
  const stays = kind === 'supported' && standsTogether(said, cited, language);
  const other = stays ? undefined : nearer(cited);
  if (stays || (kind === 'exact' && other === undefined && !completes(said, quote))) return asSaid;
  const text = other?.sentence ?? (kind === 'exact' ? quote : sentence);
  if (text.length > MOST_QUOTE) return asSaid;
  return { text, citations: [{ ...(other ?? cited), kind: 'exact', answer: [0, text.length] }] };
}

/** What a small model says twice that found one thing of several that were asked for: "43 metres and 43 metres". */
function saidAgain(said: string): string | undefined {
  if (!isList(said)) return undefined;
  const parts = partsOf(said, [0, said.length], true).map(([from, to]) => said.slice(from, to).trim());
  const [first] = parts;
  return parts.length > 1 && first !== undefined && parts.every((part) => bare(part) === bare(first))
    ? first
    : undefined;
}

/** Letters and digits without the mark at the end. */
const bare = (text: string): string => normalise(text).text.replace(/[.,;:!?]+$/u, '');

/** An answer of several parts, each with what belongs to it. */
function partsCompleted(said: string, citations: readonly Citation[]): Quoted {
  let text = '';
  let told = 0;
  const placed = citations.map((citation): Citation => {
    const [from, to] = citation.answer;
    // Two sentences may say the same part.
    if (from < told) return { ...citation, answer: [text.length - to + from, text.length] };
    const part = said.slice(from, to);
    text += said.slice(told, from);
    const start = text.length;
    text += citation.kind === 'exact' && completes(part, citation.quote) ? citation.quote : part;
    told = to;
    return { ...citation, answer: [start, text.length] };
  });
  return { text: text + said.slice(told), citations: placed };
}

/** Whether the quote goes on to either side of all that was said: a number with its unit, a name with its title. */
function completes(said: string, quote: string): boolean {
  const own = bare(said);
  const whole = normalise(quote).text;
  return whole !== own && whole.includes(own);
}

/** Whether a few words were said that all stand together: "at 687 and 760 nm" of "the wavelengths 687 and 760 nm". */
function standsTogether(said: string, { quote, sentence }: Citation, language: Language): boolean {
  const own = termsOf(said, language);
  const there = new Set(termsOf(sentence, language).map((term) => term.stem));
  return (
    own.length < SENTENCE &&
    termsOf(quote, language).length <= own.length &&
    own.every(({ text, stem }) => isStopWord(text.toLowerCase(), language) || there.has(stem))
  );
}
