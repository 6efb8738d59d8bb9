/**
 * Text that is written from right to left: pieces of a line stand in the order in which they are seen, and are read in another one. Within a line from right to left,
 * words and numbers from left to right keep their order among themselves, and the other way round (the Unicode Bidirectional Algorithm's rules for runs, UAX 9).
 */

const SCRIPTS = '[\\p{sc=Hebrew}\\p{sc=Arabic}\\p{sc=Syriac}\\p{sc=Thaana}\\p{sc=Nko}\\p{sc=Adlam}]';
const RTL_LETTERS = new RegExp(`(?=${SCRIPTS})\\p{L}`, 'gu');
const LTR_LETTERS = new RegExp(`(?!${SCRIPTS})\\p{L}`, 'gu');
const NUMBER = /\p{N}/u;

/** Letters that are written from right to left, and all. */
export function lettersOf(text: string): { readonly rtl: number; readonly all: number } {
  const rtl = text.match(RTL_LETTERS)?.length ?? 0;
  return { rtl, all: rtl + (text.match(LTR_LETTERS)?.length ?? 0) };
}

/** Which way a piece is written: by most of its letters, by its numbers (from left to right in all scripts), undefined for punctuation alone. */
export function directionOf(text: string): 'ltr' | 'rtl' | undefined {
  const { rtl, all } = lettersOf(text);
  if (all > 0) return 2 * rtl > all ? 'rtl' : 'ltr';
  return NUMBER.test(text) ? 'ltr' : undefined;
}

export interface Placed {
  readonly text: string;
  readonly u0: number;
  readonly u1: number;
}

/** A piece, and how far it stands from the one that is read before it; undefined for the first. */
export interface Ordered<One> {
  readonly piece: One;
  readonly gap: number | undefined;
}

/** Pieces of a line, given from left to right, in the order in which they are read. */
export function inReadingOrder<One extends Placed>(pieces: readonly One[], rtl: boolean): Ordered<One>[] {
  const gaps: (number | undefined)[] = [];
  let end: number | undefined;
  for (const { u0, u1 } of pieces) {
    gaps.push(end === undefined ? undefined : u0 - end);
    end = Math.max(end ?? u1, u1);
  }
  const ordered: Ordered<One>[] = [];
  /** `gap`: from the run that is read before. Within a run from right to left the gap before a piece is that behind it on the line. */
  const add = (from: number, to: number, backwards: boolean, gap: number | undefined): void => {
    for (let i = from; i < to; i++) {
      const at = backwards ? to - 1 - (i - from) : i;
      const piece = pieces[at];
      if (piece !== undefined) ordered.push({ piece, gap: i === from ? gap : gaps[backwards ? at + 1 : at] });
    }
  };
  const runs = runsOf(pieces, rtl);
  for (const [number, run] of (rtl ? runs.toReversed() : runs).entries()) {
    const gap = number === 0 ? undefined : rtl ? gaps[run.to] : gaps[run.from];
    add(run.from, run.to, run.rtl, gap);
  }
  return ordered;
}

interface Run {
  readonly from: number;
  readonly to: number;
  readonly rtl: boolean;
}

/** Stretches of one direction, from left to right. Punctuation belongs to the line, but for what stands within a stretch of the other direction. */
function runsOf(pieces: readonly Placed[], rtl: boolean): Run[] {
  const own = rtl ? 'rtl' : 'ltr';
  const directions = pieces.map(({ text }) => directionOf(text));
  const runs: Run[] = [];
  let at = 0;
  while (at < pieces.length) {
    const foreign = directions[at] !== undefined && directions[at] !== own;
    let to = at + 1;
    if (foreign) {
      // As far as the last foreign piece before the next one of the line's own direction.
      for (let next = to; next < pieces.length && directions[next] !== own; next++)
        if (directions[next] !== undefined) to = next + 1;
    } else {
      while (to < pieces.length && (directions[to] === undefined || directions[to] === own)) to++;
    }
    runs.push({ from: at, to, rtl: foreign ? !rtl : rtl });
    at = to;
  }
  return runs;
}
