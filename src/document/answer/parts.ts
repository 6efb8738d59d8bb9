/** The parts of an answer or of a question about several things: "43 metres and KX-417". */
import type { Span } from '../sentences.ts';
import { wordsOf } from '../stems.ts';
import { SENTENCE } from './verify.ts';

/** Words for "and", and semicolons. */
const AND = /\s*[;；]\s*|(?:\s*,)?\s+(?:and|und|sowie|as well as|&)\s+/giu;
/** In a list commas, too, which numbers have without white space behind them. */
const LISTED = new RegExp(`${AND.source}|\\s*,\\s+|\\s*[、，]\\s*`, 'giu');
/** In a list of several words a part has so many on average at most. */
const WORDS_OF_PART = 3;
/** An answer of more parts is a list that goes through a text, whose sentences are not told apart. */
const MOST_PARTS = 12;

/** The parts of units `[from, to)` of a text, in their order. The commas of a sentence join no facts, those of a list do (`listed`). */
export function partsOf(text: string, [from, to]: Span, listed: boolean): Span[] {
  const parts: Span[] = [];
  let start = from;
  for (const { 0: joint, index } of text.slice(from, to).matchAll(listed ? LISTED : AND)) {
    if (from + index > start) parts.push([start, from + index]);
    start = from + index + joint.length;
  }
  if (start < to) parts.push([start, to]);
  return parts.length > MOST_PARTS ? [[from, to]] : parts;
}

/** Whether a text is no sentence, but one thing or several ones: names, numbers, words that belong together. */
export function isList(text: string): boolean {
  const words = wordsOf(text).length;
  if (words < SENTENCE) return true;
  const joints = [...text.matchAll(LISTED)];
  const joined = joints.at(-1)?.[0].match(AND) !== null;
  return joints.length > 0 && joined && words <= WORDS_OF_PART * (joints.length + 1);
}

/**
 * The fewest runs of parts of which `together` holds, the longest first from the left, and between them the parts of which it does not. Names with "and" in them
 * stay whole where one sentence says all of them.
 */
export function runsOf(
  parts: readonly Span[],
  together: (run: readonly Span[]) => boolean,
): { readonly span: Span; readonly said: boolean }[] {
  const runs: { span: Span; said: boolean }[] = [];
  for (let at = 0; at < parts.length;) {
    let end = parts.length;
    while (end > at && !together(parts.slice(at, end))) end--;
    const said = end > at;
    const [first, last] = [parts[at], parts[Math.max(end, at + 1) - 1]];
    if (first === undefined || last === undefined) break;
    const before = runs.at(-1);
    if (said || before === undefined || before.said) runs.push({ span: [first[0], last[1]], said });
    else before.span = [before.span[0], last[1]];
    at = Math.max(end, at + 1);
  }
  return runs;
}
