/**
 * Numbers in groups of three digits from the right: "1234567" is "1", "234", "567". This needs lookahead that an
 * automaton does not have.
 */
import type { SplitStage } from './description.ts';

const RUN = /\p{Nd}+/gu;
/** A run that no letter, mark or other word character follows. */
const WHOLE = /\p{Nd}+(?![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])/gu;

export function digitGroupStage(wholeWords: boolean): SplitStage {
  return { kind: 'function', split: (piece) => digitGroups(piece, wholeWords ? WHOLE : RUN) };
}

function digitGroups(piece: string, runs: RegExp): string[] {
  const parts: string[] = [];
  let done = 0;
  for (const { 0: run, index } of piece.matchAll(runs)) {
    if (index > done) parts.push(piece.slice(done, index));
    const digits = [...run];
    for (let at = 0, end = digits.length % 3 || 3; at < digits.length; at = end, end += 3)
      parts.push(digits.slice(at, end).join(''));
    done = index + run.length;
  }
  if (done < piece.length) parts.push(piece.slice(done));
  return parts;
}

/** The forms of these cuts in tokenizer.json files. */
const PUBLISHED: ReadonlyMap<string, boolean> = new Map([
  [String.raw`\d{1,3}(?=(?:\d{3})*\b)`, true],
  [String.raw`(?=(\d{3})+(?!\d))`, false],
  [String.raw`\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?:\P{Nd}|$))`, false],
]);

/** The stage for an expression of tokenizer.json that means such groups. */
export function publishedDigitGroups(expression: string): SplitStage | undefined {
  const wholeWords = PUBLISHED.get(expression);
  return wholeWords === undefined ? undefined : digitGroupStage(wholeWords);
}
