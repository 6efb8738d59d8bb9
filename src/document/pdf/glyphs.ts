/**
 * Where the letters of a page are drawn, from its list of drawing operations: pdf.js's text has the place of whole pieces only, and turns round the letters of a glyph
 * that stands for several where it puts a piece into the order of reading (the ligature of lam and alef).
 */
import type { PdfOperators, PdfTextContent, PdfTextItem } from './library.ts';

export type Matrix = readonly [number, number, number, number, number, number];

/** A glyph, from where it begins to where it ends, in the page's own space. */
interface Glyph {
  readonly unicode: string;
  readonly x: number;
  readonly y: number;
  readonly endX: number;
  readonly endY: number;
  /** In a layer that is not shown. */
  readonly hidden: boolean;
}

/** What a font tells: by what its widths are multiplied, and whether it is written downwards. */
export interface FontFacts {
  readonly scale: number;
  readonly vertical: boolean;
}

/** What a file tells of what it draws. */
export interface DrawingFacts {
  fontOf(name: string): FontFacts;
  /** Whether a group of optional content is shown. */
  isShown(group: unknown): boolean;
}

export const USUAL_FONT: FontFacts = { scale: 0.001, vertical: false };
const IDENTITY: Matrix = [1, 0, 0, 1, 0, 0];
/** A page with more is not measured. */
const MOST_GLYPHS = 200_000;
/** States that are saved within one another. */
const DEEPEST = 1000;

/** The first transformation is the inner one. */
export function product(inner: Matrix, outer: Matrix): Matrix {
  return [
    inner[0] * outer[0] + inner[1] * outer[2],
    inner[0] * outer[1] + inner[1] * outer[3],
    inner[2] * outer[0] + inner[3] * outer[2],
    inner[2] * outer[1] + inner[3] * outer[3],
    inner[4] * outer[0] + inner[5] * outer[2] + outer[4],
    inner[4] * outer[1] + inner[5] * outer[3] + outer[5],
  ];
}

interface State {
  ctm: Matrix;
  font: FontFacts;
  size: number;
  spacing: number;
  wordSpacing: number;
  stretch: number;
  leading: number;
  rise: number;
}

export const isMatrix = (value: unknown): value is Matrix =>
  Array.isArray(value) && value.length >= 6 && value.every((one) => Number.isFinite(one));
const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

/** All letters that a page's operations draw, in their order (PDF 1.7, 9.4). */
function glyphsOf(
  { fnArray, argsArray }: PdfOperators,
  OPS: Readonly<Record<string, number>>,
  { fontOf, isShown }: DrawingFacts,
): Glyph[] {
  const glyphs: Glyph[] = [];
  /** Of the marks around what is drawn, whether each hides it. */
  const marks: boolean[] = [];
  const saved: State[] = [];
  let state: State = {
    ctm: IDENTITY,
    font: USUAL_FONT,
    size: 0,
    spacing: 0,
    wordSpacing: 0,
    stretch: 1,
    leading: 0,
    rise: 0,
  };
  let text: Matrix = IDENTITY;
  let line: Matrix = IDENTITY;
  const save = (): void => {
    if (saved.length < DEEPEST) saved.push({ ...state });
  };
  const restore = (): void => {
    state = saved.pop() ?? state;
  };
  const nextLine = (x: number, y: number): void => {
    line = product([1, 0, 0, 1, x, y], line);
    text = line;
  };
  const advance = (along: number): void => {
    text = product([1, 0, 0, 1, along * state.stretch, 0], text);
  };
  const place = (): readonly [number, number] => {
    const at = product([1, 0, 0, 1, 0, state.rise], product(text, state.ctm));
    return [at[4], at[5]];
  };
  const show = (list: unknown): void => {
    if (!Array.isArray(list)) return;
    for (const one of list as unknown[]) {
      if (typeof one === 'number') advance((-one * state.size) / 1000);
      else if (typeof one === 'object' && one !== null) {
        const { unicode, width, isSpace } = one as { unicode?: unknown; width?: unknown; isSpace?: unknown };
        const [x, y] = place();
        advance(numberOf(width) * state.font.scale * state.size);
        const [endX, endY] = place();
        advance(state.spacing + (isSpace === true ? state.wordSpacing : 0));
        if (typeof unicode === 'string' && !state.font.vertical)
          glyphs.push({ unicode, x, y, endX, endY, hidden: marks.includes(true) });
      }
    }
  };
  const setFont = (name: unknown, size: unknown): void => {
    state.font = typeof name === 'string' ? fontOf(name) : USUAL_FONT;
    state.size = numberOf(size);
  };
  for (let i = 0; i < fnArray.length && glyphs.length < MOST_GLYPHS; i++) {
    const args = argsArray[i];
    const [first, second] = Array.isArray(args) ? (args as unknown[]) : [];
    switch (fnArray[i]) {
      case OPS['save']:
        save();
        break;
      case OPS['restore']:
      case OPS['paintFormXObjectEnd']:
        restore();
        break;
      case OPS['transform']:
        if (isMatrix(args)) state.ctm = product(args, state.ctm);
        break;
      case OPS['paintFormXObjectBegin']:
        save();
        if (isMatrix(first)) state.ctm = product(first, state.ctm);
        break;
      case OPS['beginText']:
        text = line = IDENTITY;
        break;
      case OPS['setTextMatrix']:
        if (isMatrix(args)) text = line = args;
        break;
      case OPS['moveText']:
        nextLine(numberOf(first), numberOf(second));
        break;
      case OPS['setLeadingMoveText']:
        state.leading = -numberOf(second);
        nextLine(numberOf(first), numberOf(second));
        break;
      case OPS['nextLine']:
        nextLine(0, -state.leading);
        break;
      case OPS['setLeading']:
        state.leading = numberOf(first);
        break;
      case OPS['setCharSpacing']:
        state.spacing = numberOf(first);
        break;
      case OPS['setWordSpacing']:
        state.wordSpacing = numberOf(first);
        break;
      case OPS['setHScale']:
        state.stretch = numberOf(first) / 100;
        break;
      case OPS['setTextRise']:
        state.rise = numberOf(first);
        break;
      case OPS['setFont']:
        setFont(first, second);
        break;
      case OPS['setGState']:
        for (const entry of Array.isArray(first) ? (first as unknown[]) : [])
          if (Array.isArray(entry) && entry[0] === 'Font' && Array.isArray(entry[1]))
            setFont((entry[1] as unknown[])[0], (entry[1] as unknown[])[1]);
        break;
      case OPS['beginMarkedContent']:
        marks.push(false);
        break;
      case OPS['beginMarkedContentProps']:
        marks.push(first === 'OC' && !isShown(second));
        break;
      case OPS['endMarkedContent']:
        marks.pop();
        break;
      case OPS['showText']:
        show(first);
        break;
      default:
    }
  }
  return glyphs;
}

/** How many letters further the first one of a piece is looked for. */
const LOOK_AHEAD = 400;
/** In font sizes: as near is the same place. */
const SAME_PLACE = 0.1;
const SOFT_HYPHEN = '\u00ad';
/** Letters that are written from right to left, with their marks, but for digits. */
const RTL = /[\u0590-\u05ff\u0600-\u065f\u066a-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/u;

/** Pieces with the places of their letters, without those of layers that are not shown. Those of which the operations do not draw the same letters in the same order stay as they are. */
export function measured(
  { items }: PdfTextContent,
  operators: PdfOperators,
  OPS: Readonly<Record<string, number>>,
  facts: DrawingFacts,
): PdfTextContent['items'] {
  const glyphs = glyphsOf(operators, OPS, facts).filter(({ unicode }) => unicode.trim() !== '');
  let next = 0;
  return items.flatMap((item) => {
    if (!('str' in item) || item.str.trim() === '') return item;
    const first = firstOf(item, glyphs, next);
    if (first === undefined) return item;
    if (RTL.test(item.str)) {
      const { str, end } = inLogicalOrder(item.str, glyphs, first);
      next = end;
      return str === item.str ? item : { ...item, str };
    }
    const found = boundsOf(item, glyphs, first);
    next = found?.end ?? first + 1;
    if (glyphs[first]?.hidden === true) return [];
    if (found === undefined) return item;
    // pdf.js leaves out a soft hyphen, which is drawn where a word is parted at a line's end; Typst writes all of them so.
    if (glyphs[next]?.unicode !== SOFT_HYPHEN || firstOf(endOf(item), glyphs, next) !== next)
      return { ...item, bounds: found.bounds };
    next++;
    return { ...item, str: `${item.str}${SOFT_HYPHEN}`, bounds: [...found.bounds, 1] };
  });
}

/** A piece moved to where it ends. */
function endOf({ transform, width }: PdfTextItem): Pick<PdfTextItem, 'transform'> {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = transform;
  const length = Math.hypot(a, b) || 1;
  return { transform: [a, b, c, d, e + (a * width) / length, f + (b * width) / length] };
}

/** The glyph that stands where a piece begins. */
function firstOf(
  { transform }: Pick<PdfTextItem, 'transform'>,
  glyphs: readonly Glyph[],
  from: number,
): number | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = transform;
  const near = SAME_PLACE * Math.max(Math.hypot(a, b), Math.hypot(c, d));
  for (let i = from; i < Math.min(glyphs.length, from + LOOK_AHEAD); i++) {
    const glyph = glyphs[i];
    if (glyph !== undefined && Math.abs(glyph.x - e) <= near && Math.abs(glyph.y - f) <= near) return i;
  }
  return undefined;
}

/** Where the letters of a piece from left to right begin. Between words and at its end stand the ends of the letters. */
function boundsOf(
  { str, transform, width }: PdfTextItem,
  glyphs: readonly Glyph[],
  first: number,
): { readonly bounds: number[]; readonly end: number } | undefined {
  const [a = 0, b = 0, , , e = 0, f = 0] = transform;
  const length = Math.hypot(a, b);
  if (length === 0 || !(width > 0)) return undefined;
  const share = (x: number, y: number): number =>
    Math.min(1, Math.max(0, ((x - e) * a + (y - f) * b) / (length * width)));
  const bounds = Array.from({ length: str.length + 1 }, () => 0);
  let at = 0;
  let end = 0;
  let i = first;
  while (at < str.length) {
    const glyph = glyphs[i];
    if (glyph !== undefined && str.startsWith(glyph.unicode, at)) {
      const begin = share(glyph.x, glyph.y);
      end = share(glyph.endX, glyph.endY);
      const units = glyph.unicode.length;
      for (let k = 0; k < units; k++) bounds[at + k] = begin + ((end - begin) * k) / units;
      at += units;
      i++;
    } else if (str[at]?.trim() === '') bounds[at++] = end;
    else return undefined;
  }
  bounds[str.length] = end;
  // Letters may be drawn over one another: a later one begins no earlier.
  for (let k = 1; k < bounds.length; k++) bounds[k] = Math.max(bounds[k] ?? 0, bounds[k - 1] ?? 0);
  return { bounds, end: i };
}

/**
 * A piece with letters from right to left, whose glyphs are drawn from left to right: pdf.js turned round all letters, those of one glyph among themselves, too. They
 * are put back where its letters are those of the glyphs, turned round.
 */
function inLogicalOrder(
  str: string,
  glyphs: readonly Glyph[],
  first: number,
): { readonly str: string; readonly end: number } {
  const places: number[] = [];
  let letters = '';
  for (let i = 0; i < str.length; i++) {
    const unit = str[i] ?? '';
    if (!RTL.test(unit)) continue;
    places.push(i);
    letters += unit;
  }
  let seen = '';
  let logical = '';
  let end = first;
  for (; end < glyphs.length && seen.length < letters.length; end++) {
    const own = [...(glyphs[end]?.unicode ?? '')].filter((unit) => RTL.test(unit));
    seen = own.toReversed().join('') + seen;
    logical = own.join('') + logical;
  }
  if (seen !== letters || logical === letters) return { str, end: seen === letters ? end : first + 1 };
  const units = Array.from({ length: str.length }, (_, i) => str.charAt(i));
  places.forEach((place, i) => {
    units[place] = logical[i] ?? '';
  });
  return { str: units.join(''), end };
}
