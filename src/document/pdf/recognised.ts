/** Lines that an OCR adapter has read, as if they were a page's own. */
import type { RecognisedLine } from '../options.ts';
import { directionOf } from './direction.ts';
import type { PdfTextItem } from './library.ts';
import { median } from './columns.ts';
import { pageLines, type PageLine } from './page-lines.ts';

/** The share of a word's height that is below its baseline. */
const DESCENT = 0.2;
/**
 * Lines differ in height by their letters: one of "acemnorsuvwxz" is half as high as one with ascenders and descenders,
 * and most have one of them at least. Within this share of the page's median, lines are of the same size.
 */
const SAME_SIZE = 0.3;
/** A page with more words than this was read from noise. */
const MOST_WORDS = 50_000;

/** `scale`: points a pixel. Order, columns and spaces are found as for a page's own text. */
export function recognisedLines(lines: readonly RecognisedLine[], scale: number): PageLine[] {
  const items: PdfTextItem[] = [];
  // Words without ascenders are as large as their neighbours.
  const heights = lines.map(({ words }) => Math.max(0, ...words.map(({ box: [, top, , bottom] }) => bottom - top)));
  const usual = median(heights.filter((height) => height > 0));
  for (const [line, { words }] of lines.entries()) {
    const own = heights[line] ?? 0;
    const height = (Math.abs(own - usual) <= SAME_SIZE * usual ? usual : own) * scale;
    for (const { text, box } of words) {
      const [left, , right, bottom] = box.map((value) => value * scale) as [number, number, number, number];
      if (!(right > left) || !(height > 0) || items.length >= MOST_WORDS) continue;
      items.push({
        str: text,
        dir: directionOf(text) ?? 'ltr',
        transform: [height, 0, 0, -height, left, bottom - DESCENT * height],
        width: right - left,
        height,
        fontName: 'recognised',
      });
    }
  }
  const viewport = { width: 0, height: 0, transform: [1, 0, 0, 1, 0, 0] };
  return pageLines({ items, styles: {} }, viewport, MOST_WORDS, { ascent: 1 - DESCENT, descent: DESCENT });
}

/** A page's own lines (a stamp over a scan) and those that were recognised beside them, in the order of their upper edges where they do not stand in one. */
export function withRecognised(own: readonly PageLine[], read: readonly PageLine[]): PageLine[] {
  const boxes = own.map(boxOf);
  const fresh = read.filter((line) => {
    const [left, top, right, bottom] = boxOf(line);
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return !boxes.some((box) => x > box[0] && x < box[2] && y > box[1] && y < box[3]);
  });
  const columns = 1 + Math.max(-1, ...fresh.map(({ column }) => column));
  const stamps = own.map((line) => ({ ...line, column: columns + line.column }));
  const first = Math.min(...fresh.map((line) => boxOf(line)[1]));
  const isBefore = (line: PageLine): boolean => boxOf(line)[1] < first;
  return [...stamps.filter(isBefore), ...fresh, ...stamps.filter((line) => !isBefore(line))];
}

/** Left, top, right, bottom. */
function boxOf({ runs }: PageLine): readonly [number, number, number, number] {
  const xs = runs.flatMap(({ x, dx, ux }) => [x, x + dx, x + ux, x + dx + ux]);
  const ys = runs.flatMap(({ y, dy, uy }) => [y, y + dy, y + uy, y + dy + uy]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
