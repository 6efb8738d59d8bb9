/**
 * From a page's pieces of text to its lines in reading order. Pieces come in the order of the file, which need not be that of reading; words may be cut in
 * two, and columns stand side by side. Lines are made of pieces with one baseline, cut at wide gaps into fragments; where fragments leave a gutter free on
 * both sides of which there is prose, they are read column by column, between the lines that cross it.
 */

import { raised } from '../raised.ts';
import { lettersOf } from './direction.ts';
import { tableRows } from './rows.ts';

/** A piece of text in the orientation of its line: `u` along it, `v` downwards. */
export interface Piece {
  readonly text: string;
  readonly u0: number;
  readonly u1: number;
  /** Of the baseline. */
  readonly v: number;
  readonly size: number;
  readonly font: string;
}

/** Pieces that stand close together on one line. */
export interface Fragment {
  readonly pieces: readonly Piece[];
  readonly line: number;
  readonly u0: number;
  readonly u1: number;
  readonly v: number;
  readonly size: number;
  readonly characters: number;
  /** The further lines of a cell whose text was wrapped. */
  readonly wrapped?: readonly Fragment[];
}

/** One line of one column: a fragment, or the cells of a row. */
export interface Line {
  readonly fragments: readonly Fragment[];
  /** Which column of the page: lines of different ones do not follow each other closely. */
  readonly column: number;
  readonly u0: number;
  readonly u1: number;
  readonly v: number;
  readonly size: number;
  readonly rtl: boolean;
  /** Whether its fragments are the cells of a table's row: a line next to it has some at the same places. */
  readonly row: boolean;
}

/** Of the letters of a line in a column that is written from right to left: with fewer of its own a line is a quotation in another script. */
const LEAST_OWN = 0.2;

/** Whether letters that are written from right to left are more than `share` of all; `otherwise` where there are no letters. */
function isRtl(pieces: readonly Piece[], otherwise: boolean, share = 0.5): boolean {
  let own = 0;
  let all = 0;
  for (const { text } of pieces) {
    const letters = lettersOf(text);
    own += letters.rtl;
    all += letters.all;
  }
  return all === 0 ? otherwise : own > share * all;
}

/** In font sizes: baselines nearer than this are one line; a gap wider than that ends a fragment; a smaller one is no space between words. */
const SAME_LINE = 0.4;
const WIDE = 1;
export const WORD_GAP = 0.18;

export function linesOf(given: readonly Piece[]): Line[] {
  const pieces = withScripts(given);
  const fragments = fragmentsOf(pieces);
  const rtl = isRtl(pieces, false);
  const lines: Line[] = [];
  let column = 0;
  for (const part of columns(fragments, rtl, 0)) {
    const own = part.flatMap((one) => one.pieces);
    for (const line of rows(part, column, isRtl(own, rtl))) lines.push(line);
    column++;
  }
  return lines;
}

/** Of the letters beside it: how small a raised or lowered piece is, how far from their baseline, and how near, in their font sizes. */
const SCRIPT_SIZE = 0.9;
const SCRIPT_SHIFT = 0.7;
const SCRIPT_GAP = 0.25;
/** Raised by less, smaller letters stand on the line. */
const LEAST_RAISED = 0.15;

/** Pieces of which those that are raised or lowered beside larger ones ("H₂O", marks of footnotes) are on the line of these. */
function withScripts(pieces: readonly Piece[]): Piece[] {
  const sorted = pieces.filter(({ text }) => text.trim() !== '').sort((a, b) => a.v - b.v);
  const largest = sorted.reduce((size, piece) => Math.max(size, piece.size), 0);
  const bases = new Map<Piece, Piece>();
  let first = 0;
  for (const piece of sorted) {
    while (first < sorted.length && (sorted[first]?.v ?? 0) < piece.v - SCRIPT_SHIFT * largest) first++;
    let near = Infinity;
    for (let i = first; i < sorted.length; i++) {
      const base = sorted[i];
      if (base === undefined || base.v > piece.v + SCRIPT_SHIFT * largest) break;
      const shift = Math.abs(base.v - piece.v);
      const gap = Math.max(piece.u0 - base.u1, base.u0 - piece.u1);
      const isBase = piece.size < SCRIPT_SIZE * base.size && shift < SCRIPT_SHIFT * base.size;
      if (!isBase || Math.abs(gap) > SCRIPT_GAP * base.size || shift >= near) continue;
      near = shift;
      bases.set(piece, base);
    }
  }
  const slashes = sorted.filter(({ text }) => /^[/⁄]/u.test(text));
  return pieces.map((piece) => {
    const base = bases.get(piece);
    if (base === undefined) return piece;
    // The upper number of a fraction ("1⁄4") is no exponent; behind a number ("2¹⁄4") it stays apart from it.
    const fraction = slashes.some(
      ({ u0, v }) =>
        Math.abs(u0 - piece.u1) < SCRIPT_GAP * base.size && Math.abs(v - base.v) < SCRIPT_SHIFT * base.size,
    );
    const behind = /\d$/.test(base.text) && Math.abs(base.u1 - piece.u0) < SCRIPT_GAP * base.size;
    const up = base.v - piece.v > LEAST_RAISED * base.size && (!fraction || behind);
    return { ...piece, v: base.v, text: (up ? raised(piece.text) : undefined) ?? piece.text };
  });
}

/** Pieces of one baseline, cut at wide gaps. */
function fragmentsOf(pieces: readonly Piece[]): Fragment[] {
  const fragments: Fragment[] = [];
  let line = 0;
  for (const members of baselines(pieces)) {
    let open: Piece[] = [];
    let end = -Infinity;
    const flush = (): void => {
      if (open.length > 0) fragments.push(fragment(open, line));
      open = [];
    };
    const shown = members.filter(({ text }) => text.trim() !== '').sort((a, b) => a.u0 - b.u0);
    const spaces = justified(shown);
    for (const [i, piece] of shown.entries()) {
      if (piece.u0 - end > WIDE * piece.size && !spaces.has(i)) flush();
      open.push(piece);
      end = Math.max(end, piece.u1);
    }
    flush();
    line++;
  }
  return fragments;
}

/** In font sizes: spaces of a justified line are no wider, and differ by no more than rounding; of columns that were equally far apart, cells would be equally wide. */
const WIDEST_SPACE = 2.5;
const SAME_SPACE = 0.05;
const LEAST_SPACES = 3;
const OTHER_WIDTH = 0.5;

/** Pieces that follow a word space of a justified line, however wide it is: several gaps in a row are equal, and what stands between them is not. */
function justified(pieces: readonly Piece[]): ReadonlySet<number> {
  const found = new Set<number>();
  const gapBefore = (i: number): number => (pieces[i]?.u0 ?? 0) - (pieces[i - 1]?.u1 ?? 0);
  for (let first = 1; first < pieces.length;) {
    const size = pieces[first]?.size ?? 0;
    let end = first + 1;
    while (end < pieces.length && Math.abs(gapBefore(end) - gapBefore(first)) < SAME_SPACE * size) end++;
    const widths = pieces.slice(first, end - 1).map(({ u0, u1 }) => u1 - u0);
    const words = Math.max(...widths) - Math.min(...widths) > OTHER_WIDTH * size;
    if (end - first >= LEAST_SPACES && words && gapBefore(first) < WIDEST_SPACE * size)
      for (let i = first; i < end; i++) found.add(i);
    first = end;
  }
  return found;
}

function fragment(pieces: readonly Piece[], line: number): Fragment {
  const largest = pieces.reduce((a, b) => (b.size * b.text.length > a.size * a.text.length ? b : a));
  return {
    pieces,
    line,
    u0: Math.min(...pieces.map(({ u0 }) => u0)),
    u1: Math.max(...pieces.map(({ u1 }) => u1)),
    v: largest.v,
    size: largest.size,
    characters: pieces.reduce((sum, { text }) => sum + text.length, 0),
  };
}

function* baselines(pieces: readonly Piece[]): Generator<Piece[]> {
  let members: Piece[] = [];
  let v = 0;
  let size = 0;
  for (const piece of pieces.toSorted((a, b) => a.v - b.v)) {
    if (members.length > 0 && piece.v - v > SAME_LINE * Math.max(size, piece.size)) {
      yield members;
      members = [];
      size = 0;
    }
    if (piece.size > size) {
      v = piece.v;
      size = piece.size;
    }
    members.push(piece);
  }
  if (members.length > 0) yield members;
}

/** Columns are looked for within columns so many times. */
const DEEPEST = 4;

/** Fragments by columns, in the order of reading. */
function columns(fragments: readonly Fragment[], rtl: boolean, depth: number): Fragment[][] {
  const gutter = depth < DEEPEST ? findGutter(fragments) : undefined;
  if (gutter === undefined) return fragments.length === 0 ? [] : [[...fragments]];
  const parts: Fragment[][] = [];
  let before: Fragment[] = [];
  let after: Fragment[] = [];
  let across: Fragment[] = [];
  const flushSides = (): void => {
    const [first, second] = rtl ? [after, before] : [before, after];
    const apart = first.length === 0 || second.length === 0 || pairsOf([...first, ...second], gutter) >= LEAST_PAIRS;
    if (!apart) parts.push([...first, ...second]);
    else parts.push(...columns(first, rtl, depth + 1), ...columns(second, rtl, depth + 1));
    before = [];
    after = [];
  };
  const flushAcross = (): void => {
    if (across.length > 0) parts.push(across);
    across = [];
  };
  const acrossLines = linesAcross(fragments, gutter);
  for (const one of fragments.toSorted((a, b) => a.v - b.v || a.u0 - b.u0)) {
    if (acrossLines.has(one.line)) {
      flushSides();
      across.push(one);
    } else {
      flushAcross();
      (one.u1 <= gutter + 1 ? before : after).push(one);
    }
  }
  flushAcross();
  flushSides();
  return parts;
}

/** Lines of which something crosses the gutter, and rows of tables on both sides of it. */
function linesAcross(fragments: readonly Fragment[], gutter: number): ReadonlySet<number> {
  const lines = new Map<number, { before: number; after: number; longest: number; across: boolean }>();
  for (const { line, characters, u0, u1 } of fragments) {
    const known = lines.get(line) ?? { before: 0, after: 0, longest: 0, across: false };
    if (u1 <= gutter + 1) known.before++;
    else known.after++;
    known.longest = Math.max(known.longest, characters);
    known.across ||= u1 > gutter + 1 && u0 < gutter - 1;
    lines.set(line, known);
  }
  const across = ({
    before,
    after,
    longest,
    across,
  }: {
    before: number;
    after: number;
    longest: number;
    across: boolean;
  }): boolean => across || (before > 0 && after > 0 && before + after >= LEAST_CELLS && longest < LEAST_CHARACTERS);
  return new Set([...lines].flatMap(([line, facts]) => (across(facts) ? [line] : [])));
}

/** A line of so many short fragments is a row of a table. */
const LEAST_CELLS = 4;
/** What makes a gutter: on each side at least so many fragments of so many characters, which fill so much of their side's width. */
const LEAST_FRAGMENTS = 5;
const LEAST_CHARACTERS = 20;
const LEAST_FILLED = 0.35;
/** Text between two lines across the gutter is read column by column where at least so many long fragments stand side by side. */
const LEAST_PAIRS = 2;
/** A page with more is no page of prose, and looking for gutters takes their number squared. */
const MOST_FRAGMENTS = 3000;

/** Where the best gutter between columns of prose ends, or undefined. Only fragments that are long enough for prose say where it is. */
function findGutter(fragments: readonly Fragment[]): number | undefined {
  if (fragments.length > MOST_FRAGMENTS) return undefined;
  const long = fragments.filter(({ characters }) => characters >= LEAST_CHARACTERS);
  if (long.length < 2 * LEAST_FRAGMENTS) return undefined;
  const size = median(long.map((one) => one.size));
  let best: { readonly at: number; readonly pairs: number } | undefined;
  for (const start of new Set(long.map(({ u0 }) => Math.round(u0)))) {
    const at = start - 0.3 * size;
    const before = long.filter(({ u1 }) => u1 <= at + 1);
    const after = long.filter(({ u0 }) => u0 >= at - 1);
    if (Math.min(before.length, after.length) < LEAST_FRAGMENTS || !isFilled(before) || !isFilled(after)) continue;
    const pairs = sideBySide(before, after);
    if (best !== undefined && pairs <= best.pairs) continue;
    if (mostPairs(long, at) >= LEAST_FRAGMENTS) best = { at, pairs };
  }
  return best?.at;
}

function isFilled(fragments: readonly Fragment[]): boolean {
  const width = Math.max(...fragments.map(({ u1 }) => u1)) - Math.min(...fragments.map(({ u0 }) => u0));
  return median(fragments.map(({ u0, u1 }) => u1 - u0)) >= LEAST_FILLED * width;
}

/** How many fragments of the side with fewer have others beside them. */
function sideBySide(before: readonly Fragment[], after: readonly Fragment[]): number {
  const [few, many] = before.length < after.length ? [before, after] : [after, before];
  const heights = many.map(({ v }) => v).sort((a, b) => a - b);
  return few.filter(({ v, size }) => {
    const next = heights.find((height) => height >= v - size);
    return next !== undefined && next <= v + size;
  }).length;
}

/** The most that stand side by side without anything across the gutter between them. */
function mostPairs(fragments: readonly Fragment[], gutter: number): number {
  let most = 0;
  let stretch: Fragment[] = [];
  const flush = (): void => {
    most = Math.max(most, pairsOf(stretch, gutter));
    stretch = [];
  };
  for (const one of fragments.toSorted((a, b) => a.v - b.v)) {
    if (one.u1 > gutter + 1 && one.u0 < gutter - 1) flush();
    else stretch.push(one);
  }
  flush();
  return most;
}

function pairsOf(fragments: readonly Fragment[], gutter: number): number {
  const long = fragments.filter(({ characters }) => characters >= LEAST_CHARACTERS);
  return sideBySide(
    long.filter(({ u1 }) => u1 <= gutter + 1),
    long.filter(({ u0 }) => u0 >= gutter - 1),
  );
}

/** Fragments of one column, line by line. `usual`: whether most of the column is written from right to left. */
function rows(fragments: readonly Fragment[], column: number, usual: boolean): Line[] {
  const lines = new Map<number, Fragment[]>();
  for (const one of fragments) {
    const known = lines.get(one.line);
    if (known === undefined) lines.set(one.line, [one]);
    else known.push(one);
  }
  const sorted = [...lines.values()]
    .map((members) => {
      const largest = members.reduce((a, b) => (b.characters > a.characters ? b : a));
      const rtl = isRtl(
        members.flatMap(({ pieces }) => pieces),
        usual,
        usual ? LEAST_OWN : undefined,
      );
      return {
        fragments: members.sort((a, b) => (rtl ? b.u0 - a.u0 : a.u0 - b.u0)),
        column,
        u0: Math.min(...members.map(({ u0 }) => u0)),
        u1: Math.max(...members.map(({ u1 }) => u1)),
        v: largest.v,
        size: largest.size,
        rtl,
      };
    })
    .sort((a, b) => a.v - b.v);
  return tableRows(sorted);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
