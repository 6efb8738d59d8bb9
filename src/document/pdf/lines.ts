/**
 * From a page's pieces of text to its lines in reading order. Pieces come in the order of the file, which need not be that of reading; words may be cut in
 * two, and columns stand side by side. Lines are made of pieces with one baseline, cut at wide gaps into fragments, which are read column by column.
 */

import { raised } from '../raised.ts';
import { byLine, columns } from './columns.ts';
import { lettersOf } from './direction.ts';
import { tableRows } from './rows.ts';
import { spreadWords } from './spread.ts';

/** A piece of text in the orientation of its line: `u` along it, `v` downwards. */
export interface Piece {
  readonly text: string;
  readonly u0: number;
  readonly u1: number;
  /** Of the baseline. */
  readonly v: number;
  readonly size: number;
  readonly font: string;
  /** Where each unit of its text begins, and the last one ends, as shares of its width. */
  readonly bounds?: readonly number[] | undefined;
  /** Whether the file has a space before it, which a line that was set tightly may have made narrow. */
  readonly spaced?: true | undefined;
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
  /** How many empty cells of its row stand before it. */
  readonly empty?: number;
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
  /** Whether it begins with the number of a clause that stands apart from its text. */
  readonly labelled: boolean;
}

/** Of the letters of a line in a column that is written from right to left: with fewer of its own a line is a quotation in another script. */
const LEAST_OWN = 0.2;

/** Whether letters that are written from right to left are more than `share` of all; `otherwise` where there are no letters. */
export function isRtl(pieces: readonly Piece[], otherwise: boolean, share = 0.5): boolean {
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
export const SAME_LINE = 0.4;
const WIDE = 1;
export const WORD_GAP = 0.18;
/** Between two fonts nothing is kerned: a smaller gap is the space of a line that was set tightly. */
export const FONTS_GAP = 0.13;
/** With a space of the file in it: a smaller one was taken back, as some files do within words. */
export const SPACED_GAP = 0.05;
/** pdf.js also gives spaces where letters merely stand apart, each as wide as its gap. */
const SAME_PLACE = 0.02;

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
export function withScripts(pieces: readonly Piece[]): Piece[] {
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
  /** Whether small digits stand behind a stroke: "1⁄4", and not "10² / 3". */
  const hasLower = (slash: Piece, base: Piece): boolean =>
    sorted.some(
      ({ text, u0, v, size }) =>
        /^[/⁄]?\s*\d/u.test(text) &&
        size < SCRIPT_SIZE * base.size &&
        Math.abs(v - base.v) < SCRIPT_SHIFT * base.size &&
        (u0 === slash.u0 || Math.abs(u0 - slash.u1) < SCRIPT_GAP * base.size),
    );
  return pieces.map((piece) => {
    const base = bases.get(piece);
    if (base === undefined) return piece;
    // The upper number of a fraction ("1⁄4") is no exponent; behind a number it stays apart from it ("2 1⁄4").
    const slash = slashes.find(
      ({ u0, v }) =>
        Math.abs(u0 - piece.u1) < SCRIPT_GAP * base.size && Math.abs(v - base.v) < SCRIPT_SHIFT * base.size,
    );
    const behind = sorted.some(
      ({ text, u1, v, size }) =>
        /\d$/.test(text) &&
        size > piece.size &&
        Math.abs(u1 - piece.u0) < SCRIPT_GAP * base.size &&
        Math.abs(v - base.v) < LEAST_RAISED * base.size,
    );
    const isUp = base.v - piece.v > LEAST_RAISED * base.size;
    if (isUp && slash !== undefined && (!behind || hasLower(slash, base)))
      return onLine(piece, base.v, behind ? ` ${piece.text.trim()}` : undefined);
    return onLine(piece, base.v, isUp ? raised(piece.text) : undefined);
  });
}

/** A raised or lowered piece on the line of the letters beside it; what its text has more than before ("^") has no width. */
function onLine(piece: Piece, v: number, text: string | undefined): Piece {
  if (text === undefined || text.length === piece.text.length || piece.bounds === undefined)
    return { ...piece, v, text: text ?? piece.text };
  const own = piece.text.trim();
  const from = piece.text.indexOf(own);
  const bounds = piece.bounds.slice(from, from + own.length + 1);
  const before = text.indexOf(own);
  const fill = (count: number, value: number | undefined): number[] => Array.from({ length: count }, () => value ?? 0);
  const after = text.length - own.length - before;
  return { ...piece, v, text, bounds: [...fill(before, bounds[0]), ...bounds, ...fill(after, bounds.at(-1))] };
}

/** Pieces of one baseline, cut at wide gaps. */
export function fragmentsOf(pieces: readonly Piece[]): Fragment[] {
  const shown = [...baselines(pieces)].map(withoutSpaces);
  const starts = columnStarts(shown);
  const words = spreadWords(shown);
  const fragments: Fragment[] = [];
  for (const [line, members] of shown.entries()) {
    let open: Piece[] = [];
    let end = -Infinity;
    const flush = (): void => {
      if (open.length > 0) fragments.push(fragment(open, line));
      open = [];
    };
    for (const part of atStarts(members, starts)) {
      flush();
      const spaces = justified(part);
      for (const [i, piece] of part.entries()) {
        if (i > 0 && piece.u0 - end > WIDE * piece.size && !spaces.has(i) && !words.has(piece)) flush();
        open.push(piece);
        end = Math.max(i > 0 ? end : -Infinity, piece.u1);
      }
    }
    flush();
  }
  return fragments;
}

/** The pieces of a baseline from left to right: spaces that are pieces by themselves become a property of those behind them. */
export function withoutSpaces(members: readonly Piece[]): Piece[] {
  const kept: Piece[] = [];
  let space: Piece | undefined;
  for (const piece of members.toSorted((a, b) => a.u0 - b.u0)) {
    if (piece.text.trim() === '') {
      space = piece;
      continue;
    }
    const own = space !== undefined && Math.abs(piece.u0 - space.u1) > SAME_PLACE * piece.size;
    kept.push(own ? { ...piece, spaced: true } : piece);
    space = undefined;
  }
  return kept;
}

/** The pieces of a line, cut where columns begin behind a gap. */
function atStarts(pieces: readonly Piece[], starts: ReadonlySet<number>): Piece[][] {
  const parts: Piece[][] = [];
  let end = -Infinity;
  for (const piece of pieces) {
    const part = parts.at(-1);
    const size = Math.min(piece.size, part?.at(-1)?.size ?? piece.size);
    const begins = piece.u0 - end > NARROW * size && starts.has(Math.round(piece.u0));
    if (part === undefined || begins) parts.push([piece]);
    else part.push(piece);
    end = Math.max(end, piece.u1);
  }
  return parts;
}

/** In font sizes: columns stand no nearer. So many lines, and this share of them, begin at the edge of a column. */
const NARROW = 0.7;
const LEAST_STARTS = 8;
const LEAST_STARTS_SHARE = 0.2;

/** Where many lines, whose pieces come from left to right, begin anew behind a gap, rounded: columns may stand as near to each other as the words of a loose line, but words do not stand below each other. */
function columnStarts(lines: readonly (readonly Piece[])[]): ReadonlySet<number> {
  const counts = new Map<number, number>();
  for (const members of lines) {
    let end = -Infinity;
    for (const { text, u0, u1, size } of members) {
      if (text.length > 1 && end > -Infinity && u0 - end > NARROW * size) {
        const at = Math.round(u0);
        counts.set(at, (counts.get(at) ?? 0) + 1);
      }
      end = Math.max(end, u1);
    }
  }
  const least = Math.max(LEAST_STARTS, LEAST_STARTS_SHARE * lines.length);
  return new Set([...counts].flatMap(([at, count]) => (count >= least ? [at] : [])));
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
    // Of two gaps, the pieces around them are words, too; a column has other cells below.
    const few = end - first === 2 && pieces.length === 3;
    const widths = pieces.slice(few ? 0 : first, few ? 3 : end - 1).map(({ u0, u1 }) => u1 - u0);
    const words = Math.max(...widths) - Math.min(...widths) > OTHER_WIDTH * size;
    if ((few || end - first >= LEAST_SPACES) && words && gapBefore(first) < WIDEST_SPACE * size)
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

/** Fragments of one column, line by line. `usual`: whether most of the column is written from right to left. */
function rows(fragments: readonly Fragment[], column: number, usual: boolean): Line[] {
  const sorted = byLine(fragments)
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
