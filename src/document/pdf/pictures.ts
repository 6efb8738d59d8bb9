/**
 * Where a page's pictures stand, for those that are described in words: by the box that the description brings, or by what is drawn within its marked content. Pictures
 * are not decoded, so a place that was made for one and stays empty is taken for its own.
 */
import { isMatrix, product, type Matrix } from './glyphs.ts';
import type { PdfOperators } from './library.ts';
import type { TaggedBlock } from './tags.ts';

/** Left, bottom, right, top, in the page's own space. */
export type DrawnBox = readonly [left: number, bottom: number, right: number, top: number];

const IDENTITY: Matrix = [1, 0, 0, 1, 0, 0];
/** States that are saved within one another. */
const DEEPEST = 1000;
const PAINTING = new Set(
  'fill eoFill stroke fillStroke eoFillStroke closeStroke closeFillStroke closeEOFillStroke'.split(' '),
);
const NO_PAINTING = new Set('clip eoClip'.split(' '));

/** Around what is drawn but for letters, by the numbers of marked content. */
export function drawnBoxes(
  { fnArray, argsArray }: PdfOperators,
  OPS: Readonly<Record<string, number>>,
): ReadonlyMap<string, DrawnBox> {
  const names = new Map(Object.entries(OPS).map(([name, operation]) => [operation, name]));
  const boxes = new Map<string, DrawnBox>();
  const saved: Matrix[] = [];
  const marks: (number | undefined)[] = [];
  let ctm = IDENTITY;
  /** What was made ready to be drawn: a path, or the unit square for a picture. */
  let path: DrawnBox | undefined;
  let isClip = false;
  let square = false;
  const add = ([left, bottom, right, top]: DrawnBox): void => {
    const mark = marks.at(-1);
    if (mark === undefined) return;
    const corners = [
      [left, bottom],
      [right, bottom],
      [left, top],
      [right, top],
    ].map(([x = 0, y = 0]) => product([1, 0, 0, 1, x, y], ctm));
    const [xs, ys] = [corners.map((at) => at[4]), corners.map((at) => at[5])];
    const own = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
    if (!own.every(Number.isFinite)) return;
    boxes.set(String(mark), around(boxes.get(String(mark)) ?? own, own));
  };
  const restore = (): void => {
    if (square) add([0, 0, 1, 1]);
    square = false;
    ctm = saved.pop() ?? ctm;
  };
  fnArray.forEach((operation, i) => {
    const name = names.get(operation) ?? '';
    const args = argsArray[i];
    const [first, second, third] = Array.isArray(args) ? (args as unknown[]) : [];
    if (name === 'save') {
      if (saved.length < DEEPEST) saved.push(ctm);
    } else if (name === 'restore' || name === 'paintFormXObjectEnd') restore();
    else if (name === 'transform') {
      if (isMatrix(args)) ctm = product(args, ctm);
      square = true;
    } else if (name === 'paintFormXObjectBegin') {
      if (saved.length < DEEPEST) saved.push(ctm);
      if (isMatrix(first)) ctm = product(first, ctm);
    } else if (name === 'beginMarkedContentProps') marks.push(typeof second === 'number' ? second : marks.at(-1));
    else if (name === 'beginMarkedContent') marks.push(marks.at(-1));
    else if (name === 'endMarkedContent') {
      if (square) add([0, 0, 1, 1]);
      square = false;
      marks.pop();
    } else if (name === 'constructPath') {
      path = Array.isArray(third) && third.length >= 4 ? (third as unknown as DrawnBox) : undefined;
      isClip = false;
      square = false;
    } else if (NO_PAINTING.has(name)) isClip = true;
    else if (PAINTING.has(name)) {
      if (path !== undefined && !isClip) add(path);
      path = undefined;
      square = false;
    } else if (/^paint.*X?Image|^paintInline|^paintSolid/.test(name)) {
      add([0, 0, 1, 1]);
      square = false;
    } else if (name === 'showText' || name === 'beginText' || name === 'shadingFill') square = false;
  });
  return boxes;
}

/**
 * How much pictures cover that were not decoded, in square points: squares that were made for one and stay empty, each counted in full. A scan may be of several strips.
 */
export function picturedArea({ fnArray, argsArray }: PdfOperators, OPS: Readonly<Record<string, number>>): number {
  const names = new Map(Object.entries(OPS).map(([name, operation]) => [operation, name]));
  const saved: Matrix[] = [];
  let ctm = IDENTITY;
  let square = false;
  let area = 0;
  for (const [i, operation] of fnArray.entries()) {
    const name = names.get(operation) ?? '';
    const args = argsArray[i];
    const ends = name === 'restore' || name === 'paintFormXObjectEnd';
    if (square && (ends || name === 'endMarkedContent')) area += Math.abs(ctm[0] * ctm[3] - ctm[1] * ctm[2]);
    square = name === 'transform';
    if (ends) ctm = saved.pop() ?? ctm;
    if ((name === 'save' || name === 'paintFormXObjectBegin') && saved.length < DEEPEST) saved.push(ctm);
    const own: unknown = name === 'paintFormXObjectBegin' && Array.isArray(args) ? args[0] : square ? args : undefined;
    if (isMatrix(own)) ctm = product(own, ctm);
  }
  return area;
}

/** Blocks whose pictures have boxes: their own, or those of what is drawn for them. */
export function withBoxes(blocks: readonly TaggedBlock[], drawn: ReadonlyMap<string, DrawnBox>): TaggedBlock[] {
  return blocks.map((block) => {
    if (block.kind !== 'picture') return block;
    // A box at the origin is what pdf.js makes of a size without a place.
    if (block.box !== undefined && (block.box[0] !== 0 || block.box[1] !== 0)) return block;
    const own = block.content.flatMap((name) => {
      const box = drawn.get(/_mc(\d+)$/.exec(name)?.[1] ?? '');
      return box === undefined ? [] : [box];
    });
    return { ...block, box: own.length === 0 ? undefined : own.reduce(around) };
  });
}

function around(a: DrawnBox, b: DrawnBox): DrawnBox {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}
