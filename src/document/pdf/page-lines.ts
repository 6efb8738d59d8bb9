/** One page's text as pdf.js gives it, to lines with their characters' places. */
import type { PlacedRun } from '../builder.ts';
import { WHOLE_RUN } from '../content.ts';
import { CELLS } from '../formats/csv.ts';
import type { FontFamily } from '../widths.ts';
import { inReadingOrder, lettersOf } from './direction.ts';
import { FONTS_GAP, SPACED_GAP, WORD_GAP, linesOf, type Fragment, type Line, type Piece } from './lines.ts';
import type { PdfTextContent, PdfTextItem, PdfViewport } from './library.ts';

export interface PageLine {
  readonly text: string;
  /** Whether it is a row of a table, whose cells the text has bars between. */
  readonly row: boolean;
  /** Whether it begins with the number of a clause that stands apart from its text. */
  readonly labelled?: boolean;
  readonly runs: readonly PlacedRun[];
  /** The font of most of its characters. */
  readonly font: string;
  readonly size: number;
  readonly u0: number;
  readonly u1: number;
  readonly v: number;
  readonly column: number;
  readonly rtl: boolean;
}

/** A piece with its place on the page. */
interface PlacedPiece extends Piece {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly ux: number;
  readonly uy: number;
  /** The share of its height below the baseline. */
  readonly descent: number;
  readonly family: FontFamily;
  /** Whether its first character is the one furthest to the right. */
  readonly rtl: boolean;
}

/** Of pdf.js's names. */
const FAMILIES: Readonly<Record<string, FontFamily>> = { serif: 'serif', monospace: 'mono' };

type Matrix = readonly [number, number, number, number, number, number];

function product(a: Matrix, b: Matrix): Matrix {
  return [
    a[0] * b[0] + a[2] * b[1],
    a[1] * b[0] + a[3] * b[1],
    a[0] * b[2] + a[2] * b[3],
    a[1] * b[2] + a[3] * b[3],
    a[0] * b[4] + a[2] * b[5] + a[4],
    a[1] * b[4] + a[3] * b[5] + a[5],
  ];
}

/** Control characters, and the soft hyphen that is not drawn within a line. */
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u2060\ufeff]/gu;

/**
 * Forms of letters and ligatures, as fonts have them, are plain letters in the text. pdf.js would take ligatures apart before it puts text from right to left into the
 * order of reading, which turns them round.
 */
const FORMS =
  /[\u00b5\u2126\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe10-\ufe19\ufe30-\ufe44\ufe47\ufe48\ufe70-\ufefc]/gu;

/** A box around letters, in font sizes above and below their baseline. */
export interface LetterBox {
  readonly ascent: number;
  readonly descent: number;
}

/** What browsers select of a line, about, in whatever font: ascents and descents that fonts in PDFs claim are often those of other fonts, or of no font. */
const SELECTED: LetterBox = { ascent: 0.87, descent: 0.25 };
/** Written downwards, letters stand in the middle of their line. */
const DOWNWARDS: LetterBox = { ascent: 0.5, descent: 0.5 };

export function pageLines(
  { items, styles }: PdfTextContent,
  viewport: PdfViewport,
  most: number,
  box = SELECTED,
): PageLine[] {
  const scale = Math.hypot(viewport.transform[0], viewport.transform[1]);
  /** By the direction of writing, in quarters of a right angle. */
  const directions = new Map<number, PlacedPiece[]>();
  for (const item of items.slice(0, most)) {
    if (!('str' in item) || item.str === '') continue;
    const placed = place(item, styles[item.fontName], viewport.transform as Matrix, scale, box);
    if (placed === undefined) continue;
    const direction = Math.round((Math.atan2(placed.dy, placed.dx) * 8) / Math.PI);
    const known = directions.get(direction);
    if (known === undefined) directions.set(direction, [placed]);
    else known.push(placed);
  }
  const length = (pieces: readonly Piece[]): number => pieces.reduce((sum, { text }) => sum + text.length, 0);
  // What most of the page is written in comes first, then what stands across it.
  const groups = [...directions.values()].sort((a, b) => length(b) - length(a));
  let columns = 0;
  return groups.flatMap((pieces) => {
    const lines = linesOf(pieces);
    const first = columns;
    columns += 1 + Math.max(0, ...lines.map(({ column }) => column));
    return unmirrored(lines.map((line) => lineText(line, first)));
  });
}

const OPENING = '([{';
const CLOSING = ')]}';
const BRACKET = /[()[\]{}]/g;

/**
 * In text from right to left a bracket that opens looks as one that closes does in other text. Some files say of such a letter what it means, others what it looks
 * like: where most of a page's brackets close before they open, these are the looks, and what they mean is put in place.
 */
function unmirrored(lines: readonly PageLine[]): PageLine[] {
  let [right, wrong] = [0, 0];
  for (const { text, rtl } of lines) {
    if (!rtl) continue;
    let last = '';
    for (const [bracket] of text.matchAll(BRACKET)) {
      if (OPENING.includes(last) && last !== '' && CLOSING.includes(bracket)) right++;
      if (CLOSING.includes(last) && last !== '' && OPENING.includes(bracket)) wrong++;
      last = bracket;
    }
  }
  if (wrong <= right) return [...lines];
  const other = (bracket: string): string =>
    CLOSING[OPENING.indexOf(bracket)] ?? OPENING[CLOSING.indexOf(bracket)] ?? '';
  return lines.map((line) => (line.rtl ? { ...line, text: line.text.replace(BRACKET, other) } : line));
}

function place(
  { str, transform, width, height, dir, fontName, bounds }: PdfTextItem,
  style: PdfTextContent['styles'][string] | undefined,
  view: Matrix,
  scale: number,
  box: LetterBox,
): PlacedPiece | undefined {
  const matrix = product(view, transform as Matrix);
  if (!matrix.every(Number.isFinite) || !Number.isFinite(width)) return undefined;
  const vertical = style?.vertical === true;
  const size = Math.hypot(matrix[2], matrix[3]) || Math.hypot(matrix[0], matrix[1]);
  if (size === 0) return undefined;
  const along = Math.hypot(matrix[0], matrix[1]) || size;
  let [ax, ay] = [matrix[0] / along, matrix[1] / along];
  let [upX, upY] = [matrix[2] / size, matrix[3] / size];
  let advance = width * scale;
  if (vertical) {
    // Written downwards: the letters stand upright, their line goes against their height.
    [ax, ay, upX, upY] = [-upX, -upY, ax, ay];
    advance = height * scale;
  }
  const { ascent, descent } = vertical ? DOWNWARDS : box;
  const { text, at } = plainLetters(str, bounds);
  const u = matrix[4] * ax + matrix[5] * ay;
  const v = matrix[5] * ax - matrix[4] * ay;
  return {
    text,
    u0: u,
    u1: u + advance,
    v,
    size,
    descent: descent / (ascent + descent),
    family: FAMILIES[style?.fontFamily ?? ''],
    bounds: at,
    font: fontName,
    rtl: isBackwards(text, dir),
    x: matrix[4],
    y: matrix[5],
    dx: ax * advance,
    dy: ay * advance,
    ux: upX * size * (ascent + descent),
    uy: upY * size * (ascent + descent),
  };
}

/** A piece without what is not seen, its forms and ligatures taken apart and its spaces joined; and where each unit of that begins. */
function plainLetters(
  str: string,
  bounds: readonly number[] | undefined,
): { readonly text: string; readonly at: readonly number[] | undefined } {
  const plain = (text: string): string =>
    text
      .replace(INVISIBLE, '')
      .replace(FORMS, (form) => form.normalize('NFKC'))
      .replace(/\s+/gu, ' ');
  if (bounds === undefined) return { text: plain(str), at: undefined };
  let text = '';
  const at: number[] = [];
  for (let i = 0; i < str.length; i++) {
    const own = plain(str[i] ?? '');
    if (own === ' ' && text.endsWith(' ')) continue;
    const [begin = 0, end = begin] = [bounds[i], bounds[i + 1]];
    for (let k = 0; k < own.length; k++) at.push(begin + ((end - begin) * k) / own.length);
    text += own;
  }
  at.push(bounds[str.length] ?? 1);
  return { text, at };
}

/** Where both directions are in one piece, the library has put it into the order of the one that it names. */
function isBackwards(text: string, dir: string): boolean {
  const { rtl, all } = lettersOf(text);
  return rtl > 0 && (rtl === all || dir === 'rtl');
}

function lineText(line: Line, firstColumn: number): PageLine {
  let text = '';
  const runs: PlacedRun[] = [];
  const fonts = new Map<string, number>();
  const addFragment = ({ pieces }: Fragment, rtl: boolean): void => {
    let spaced = true;
    let font = '';
    for (const { piece, gap = 0 } of inReadingOrder(pieces as readonly PlacedPiece[], rtl)) {
      const trimmed = piece.text;
      const least = piece.spaced && !rtl ? SPACED_GAP : font === piece.font ? WORD_GAP : FONTS_GAP;
      font = piece.font;
      if (!spaced && !trimmed.startsWith(' ') && gap > least * piece.size) text += ' ';
      const own = text === '' || text.endsWith(' ') ? trimmed.trimStart() : trimmed;
      const start = text.length;
      text += own;
      spaced = own.endsWith(' ');
      if (own !== '') {
        fonts.set(piece.font, (fonts.get(piece.font) ?? 0) + own.length);
        runs.push(runOf(piece, start, text.length, trimmed.length - own.length));
      }
    }
  };
  line.fragments.forEach((one, i) => {
    if (i > 0) text = `${text.trimEnd()}${line.row ? CELLS.repeat(1 + (one.empty ?? 0)) : ' '}`;
    addFragment(one, line.rtl);
    for (const further of one.wrapped ?? []) {
      text = text.trimEnd();
      const parted = /^\p{Ll}/u.test(further.pieces[0]?.text ?? '') && /\p{L}[-\u2010\u00ad]$/u.test(text);
      if (!parted) text += ' ';
      else if (!text.endsWith('-')) {
        // A hyphen that only parts a word at a line's end is no part of it; "-" may be one of a compound.
        text = text.slice(0, -1);
        const run = runs.at(-1);
        if (run !== undefined) runs[runs.length - 1] = { ...run, end: text.length };
      }
      addFragment(further, line.rtl);
    }
  });
  const whole = text.trimEnd();
  const [font] = [...fonts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
  return {
    text: whole,
    row: line.row,
    ...(line.labelled && { labelled: true }),
    runs: runs.map((run) => ({ ...run, end: Math.min(run.end, whole.length) })).filter(({ start, end }) => start < end),
    font,
    size: line.size,
    u0: line.u0,
    u1: line.u1,
    v: line.v,
    column: firstColumn + line.column,
    rtl: line.rtl,
  };
}

/** Shares are kept as whole numbers. */
const shareOf = (bound: number): number => Math.round(bound * WHOLE_RUN);

/** A piece that is written from right to left has its first character at its right end. `skipped`: spaces at its beginning that the text does not have. */
function runOf(
  { x, y, dx, dy, ux, uy, descent, family, bounds, rtl }: PlacedPiece,
  start: number,
  end: number,
  skipped: number,
): PlacedRun {
  const own = {
    start,
    end,
    ux,
    uy,
    descent,
    ...(family !== undefined && { family }),
    ...(bounds !== undefined && !rtl && { bounds: Uint16Array.from(bounds.slice(skipped), shareOf) }),
  };
  return rtl ? { ...own, x: x + dx, y: y + dy, dx: -dx, dy: -dy } : { ...own, x, y, dx, dy };
}
