/** One page's text as pdf.js gives it, to lines with their characters' places. */
import type { PlacedRun } from '../builder.ts';
import { CELLS } from '../formats/csv.ts';
import { WORD_GAP, linesOf, type Fragment, type Line, type Piece } from './lines.ts';
import type { PdfTextContent, PdfTextItem, PdfViewport } from './library.ts';

export interface PageLine {
  readonly text: string;
  /** Whether it is a row of a table, whose cells the text has bars between. */
  readonly row: boolean;
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
}

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

export function pageLines({ items, styles }: PdfTextContent, viewport: PdfViewport, most: number): PageLine[] {
  const scale = Math.hypot(viewport.transform[0], viewport.transform[1]);
  /** By the direction of writing, in quarters of a right angle. */
  const directions = new Map<number, PlacedPiece[]>();
  for (const item of items.slice(0, most)) {
    if (!('str' in item) || item.str === '') continue;
    const placed = place(item, styles[item.fontName], viewport.transform as Matrix, scale);
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
    return lines.map((line) => lineText(line, first));
  });
}

function place(
  { str, transform, width, height, dir, fontName }: PdfTextItem,
  style: PdfTextContent['styles'][string] | undefined,
  view: Matrix,
  scale: number,
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
  const ascent = style !== undefined && style.ascent > 0 && style.ascent < 2 ? style.ascent : 0.8;
  const descent = style !== undefined && style.descent < 0 && style.descent > -1 ? -style.descent : 0.2;
  const text = str.replace(INVISIBLE, '');
  const u = matrix[4] * ax + matrix[5] * ay;
  const v = matrix[5] * ax - matrix[4] * ay;
  return {
    text,
    u0: u,
    u1: u + advance,
    v,
    size,
    ascent,
    descent,
    font: fontName,
    rtl: dir === 'rtl',
    x: matrix[4],
    y: matrix[5],
    dx: ax * advance,
    dy: ay * advance,
    ux: upX * size * (ascent + descent),
    uy: upY * size * (ascent + descent),
  };
}

function lineText(line: Line, firstColumn: number): PageLine {
  let text = '';
  const runs: PlacedRun[] = [];
  const fonts = new Map<string, number>();
  const addFragment = ({ pieces }: Fragment, rtl: boolean): void => {
    let end: number | undefined;
    let spaced = true;
    for (const piece of (rtl ? pieces.toReversed() : pieces) as readonly PlacedPiece[]) {
      const gap = end === undefined ? 0 : rtl ? end - piece.u1 : piece.u0 - end;
      const trimmed = piece.text.replace(/\s+/gu, ' ');
      if (end !== undefined && !spaced && !trimmed.startsWith(' ') && gap > WORD_GAP * piece.size) text += ' ';
      const own = text === '' || text.endsWith(' ') ? trimmed.trimStart() : trimmed;
      const start = text.length;
      text += own;
      spaced = own.endsWith(' ');
      end = rtl ? piece.u0 : piece.u1;
      if (own !== '') {
        fonts.set(piece.font, (fonts.get(piece.font) ?? 0) + own.length);
        runs.push(runOf(piece, start, text.length));
      }
    }
  };
  line.fragments.forEach((one, i) => {
    if (i > 0) text = `${text.trimEnd()}${line.row ? CELLS : ' '}`;
    addFragment(one, line.rtl);
  });
  const whole = text.trimEnd();
  const [font] = [...fonts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
  return {
    text: whole,
    row: line.row,
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

/** A piece that is written from right to left has its first character at its right end. */
function runOf({ x, y, dx, dy, ux, uy, ascent, descent, rtl }: PlacedPiece, start: number, end: number): PlacedRun {
  const share = descent / (ascent + descent);
  return rtl
    ? { start, end, x: x + dx, y: y + dy, dx: -dx, dy: -dy, ux, uy, descent: share }
    : { start, end, x, y, dx, dy, ux, uy, descent: share };
}
