/** One page's text as pdf.js gives it, to lines with their characters' places. */
import type { PlacedRun } from '../builder.ts';
import { WHOLE_RUN } from '../content.ts';
import { CELLS } from '../formats/csv.ts';
import type { FontFamily } from '../widths.ts';
import { inReadingOrder, lettersOf } from './direction.ts';
import { FONTS_GAP, SPACED_GAP, WORD_GAP, linesOf, type Fragment, type Line, type Piece } from './lines.ts';
import type { PdfTextContent, PdfTextItem, PdfViewport } from './library.ts';
import { taggedLines, type Part } from './tagged-lines.ts';
import type { TaggedBlock } from './tags.ts';
import { withoutTracking, type Letters } from './tracking.ts';

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
  /** What the page's own tags say that it is a part of. */
  readonly part?: Part;
  /** Whether the page's own tags say that it is a header, a footer or the like. */
  readonly artifact?: true;
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
  /** In which it is written, in quarters of a right angle. */
  readonly direction: number;
  readonly mark?: string | undefined;
  readonly artifact?: true | undefined;
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

/** Marks of lists in fonts of symbols (Symbol, Wingdings), which have places of their own. */
const SYMBOLS: Readonly<Record<string, string>> = {
  '\uf0b7': '\u2022',
  '\uf0a7': '\u25aa',
  '\uf0a8': '\u25a1',
  '\uf06f': '\u25a1',
  '\uf06e': '\u25aa',
  '\uf076': '\u2756',
  '\uf0d8': '\u27a2',
  '\uf0e0': '\u2192',
  '\uf0fc': '\u2713',
};

/** A box around letters, in font sizes above and below their baseline. */
export interface LetterBox {
  readonly ascent: number;
  readonly descent: number;
}

/** What browsers select of a line, about, in whatever font: ascents and descents that fonts in PDFs claim are often those of other fonts, or of no font. */
const SELECTED: LetterBox = { ascent: 0.87, descent: 0.25 };
/** Written downwards, letters stand in the middle of their line. */
const DOWNWARDS: LetterBox = { ascent: 0.5, descent: 0.5 };

/** `tags`: what the page itself says that it is made of, which is believed where it is plausible. */
export function pageLines(
  { items, styles }: PdfTextContent,
  viewport: PdfViewport,
  most: number,
  box = SELECTED,
  tags: readonly TaggedBlock[] = [],
): PageLine[] {
  const scale = Math.hypot(viewport.transform[0], viewport.transform[1]);
  const pieces: PlacedPiece[] = [];
  for (const item of items.slice(0, most)) {
    if (!('str' in item) || item.str === '') continue;
    const placed = place(item, styles[item.fontName], viewport.transform as Matrix, scale, box);
    if (placed !== undefined) pieces.push(placed);
  }
  const tagged = tags.length > 0 ? taggedLines(tags, pieces) : undefined;
  if (tagged === undefined) return byLayout(pieces, 0);
  // Lines of the page's own parts come first in the count of columns.
  let columns = 1;
  const [lines, rest, artifacts]: [PageLine[], PageLine[], PageLine[]] = [[], [], []];
  for (const one of tagged) {
    if (one.part === undefined) {
      const own = byLayout(one.loose, columns);
      columns = 1 + Math.max(columns, ...own.map(({ column }) => column));
      if (one.artifact === true) artifacts.push(...own.map((line) => ({ ...line, artifact: true as const })));
      else (one.rest === true ? rest : lines).push(...own);
    } else if (one.picture !== undefined) lines.push(pictureLine(one.picture, one.part, viewport.transform as Matrix));
    else lines.push(...unmirrored(one.lines.map((line) => ({ ...lineText(line, 0), part: one.part }))));
  }
  for (const line of rest) insert(lines, line);
  const heights = lines.map(({ v }) => v);
  const middle = (Math.min(...heights) + Math.max(...heights)) / 2;
  return [...artifacts.filter(({ v }) => v < middle), ...lines, ...artifacts.filter(({ v }) => !(v < middle))];
}

/** A line that the page's tags leave out comes before the first one below it. */
function insert(lines: PageLine[], line: PageLine): void {
  const next = lines.findIndex(({ u0, u1, v }) => v > line.v && u0 < line.u1 && u1 > line.u0);
  const before = lines[next - 1]?.part;
  // A block stays whole.
  if (next > 0 && before !== undefined && before.id === lines[next]?.part?.id) {
    const end = lines.findIndex(({ part }, i) => i > next && part?.id !== before.id);
    lines.splice(end < 0 ? lines.length : end, 0, line);
  } else lines.splice(next < 0 ? lines.length : next, 0, line);
}

/** What is to be read in the place of a picture: each part of it stands where the picture does. */
function pictureLine({ alt = '', box }: TaggedBlock, part: Part, view: Matrix): PageLine {
  const [left = NaN, bottom = NaN, right = NaN, top = NaN] = box ?? [];
  const corners = [
    [left, bottom],
    [right, top],
  ].map(([x = 0, y = 0]) => product(view, [1, 0, 0, 1, x, y]));
  const [xs, ys] = [corners.map((at) => at[4]), corners.map((at) => at[5])];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const known = [x0, x1, y0, y1].every(Number.isFinite) && x1 > x0 && y1 > y0;
  const run = {
    start: 0,
    end: alt.length,
    x: x0,
    y: y1,
    dx: x1 - x0,
    dy: 0,
    ux: 0,
    uy: y0 - y1,
    descent: 0,
    whole: true as const,
  };
  return {
    text: alt,
    row: false,
    runs: known ? [run] : [],
    font: '',
    size: 0,
    u0: known ? x0 : 0,
    u1: known ? x1 : 0,
    v: known ? y1 : 0,
    column: 0,
    rtl: false,
    part,
  };
}

/** Lines as their places alone say. */
function byLayout(pieces: readonly PlacedPiece[], firstColumn: number): PageLine[] {
  /** By the direction of writing, in quarters of a right angle. */
  const directions = new Map<number, PlacedPiece[]>();
  for (const piece of pieces) {
    const known = directions.get(piece.direction);
    if (known === undefined) directions.set(piece.direction, [piece]);
    else known.push(piece);
  }
  const length = (own: readonly Piece[]): number => own.reduce((sum, { text }) => sum + text.length, 0);
  // What most of the page is written in comes first, then what stands across it.
  const groups = [...directions.values()].sort((a, b) => length(b) - length(a));
  let columns = firstColumn;
  return groups.flatMap((own) => {
    const lines = linesOf(own);
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
  { str, transform, width, height, dir, fontName, bounds, mark, artifact }: PdfTextItem,
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
  const { text, at } = withoutTracking(plainLetters(str, bounds), advance, size);
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
    direction: Math.round((Math.atan2(ay * advance, ax * advance) * 8) / Math.PI),
    mark,
    artifact,
    x: matrix[4],
    y: matrix[5],
    dx: ax * advance,
    dy: ay * advance,
    ux: upX * size * (ascent + descent),
    uy: upY * size * (ascent + descent),
  };
}

/** A piece without what is not seen, its forms and ligatures taken apart and its spaces joined; and where each unit of that begins. */
function plainLetters(str: string, bounds: readonly number[] | undefined): Letters {
  const plain = (text: string): string =>
    text
      .replace(INVISIBLE, '')
      .replace(FORMS, (form) => form.normalize('NFKC'))
      .replace(/[\uf06e\uf06f\uf076\uf0a7\uf0a8\uf0b7\uf0d8\uf0e0\uf0fc]/g, (mark) => SYMBOLS[mark] ?? mark)
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
