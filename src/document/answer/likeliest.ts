/** The stretch of what was shown that a model holds for the likeliest answer. Every word but those that all texts have may begin it, and every word may end it. */
import type { RatedAnswer } from '../../generate/rating.ts';
import { isStopWord, wordsOf } from '../stems.ts';
import type { Shown } from './pack.ts';

/** Characters of a stretch, and how many stretches are read: those whose first token is likeliest. */
const MOST_STRETCH = 68;
const MOST_READ = 14;
/** The least log-probability of a stretch with its end, chosen on articles of XQuAD with even numbers (docs/documents.md). */
const LEAST_LIKELY = -5;

/** How likely the model holds other answers; undefined where it cannot tell. */
export type Rate = (answers: readonly string[], most: number) => Promise<readonly RatedAnswer[] | undefined>;

/** A stretch of a sentence that was shown. */
export interface Stretch {
  readonly sentence: Shown;
  /** Units of the document's text. */
  readonly start: number;
  readonly end: number;
  /** The natural logarithm of the probability that the answer is this stretch. */
  readonly likelihood: number;
}

/** Undefined where no stretch is likely enough, or where the model cannot tell. */
export async function likeliest(shown: readonly Shown[], rate: Rate): Promise<Stretch | undefined> {
  const begun = shown.flatMap((sentence) => beginnings(sentence));
  const rated = await rate(
    begun.map(({ text }) => text),
    MOST_READ,
  );
  let best: Stretch | undefined;
  for (const { index, ends, logProbs, stops } of rated ?? []) {
    const from = begun[index];
    if (from === undefined) continue;
    let sum = 0;
    for (const [i, end] of ends.entries()) {
      sum += logProbs[i] ?? -Infinity;
      const likelihood = sum + (stops[i] ?? -Infinity);
      if (best !== undefined && likelihood <= best.likelihood) continue;
      const length = stretchLength(from.sentence, from.start, end);
      if (length > 0) best = { ...from, end: from.start + length, likelihood };
    }
  }
  return best === undefined || best.likelihood < LEAST_LIKELY ? undefined : best;
}

/** The words of a sentence with which an answer may begin, each with what follows it; a capital letter begins an answer, too. */
function beginnings(sentence: Shown): { sentence: Shown; start: number; text: string }[] {
  const { content, start: from, end } = sentence;
  return wordsOf(content.text.slice(from, end)).flatMap(({ text: word, start: at }) => {
    if (isStopWord(word.toLowerCase(), content.language)) return [];
    const start = from + at;
    const text = content.text.slice(start, Math.min(end, start + MOST_STRETCH));
    const capital = text.charAt(0).toUpperCase();
    // A capital letter of one unit, so that places stay the same.
    const begun = capital.length === 1 ? capital + text.slice(1) : text;
    return [text, ...(begun === text ? [] : [begun])].map((written) => ({ sentence, start, text: written }));
  });
}

/** The characters of a stretch without the marks at its end; 0 where it ends within a word. */
function stretchLength({ content }: Shown, start: number, length: number): number {
  const text = content.text.slice(start, start + length);
  const next = content.text.slice(start + length, start + length + 1);
  if (/[\p{L}\p{N}]$/u.test(text) && /^[\p{L}\p{N}]/u.test(next)) return 0;
  return text.replace(/[\s,;:.!?"”»]+$/u, '').length;
}
