/** PDFs in scripts that are written from right to left, mixed with numbers and Latin words, and in scripts without spaces: text in the order of reading, with places. */
import { describe, expect, test } from '@jest/globals';
import type { OctavoDocument } from '../../src/face/document.ts';
import { openTest } from '../support/documents.ts';
import { pdf, type PdfText } from '../support/pdf.ts';

const SIZE = 10;
/** All characters of F4 are as wide. */
const WIDTH = SIZE / 2;
const RIGHT = 540;

/** A line as producers draw it: the characters from left to right as they are seen, ending at the right margin. */
const seen = (y: number, visual: string, right = RIGHT): PdfText => ({
  x: right - WIDTH * visual.length,
  y,
  text: visual,
  font: 'F4',
});
/** The same line as other producers draw it: a glyph after the other in the order of reading, each at its place. `order`: indexes of the visual line. */
const glyphs = (y: number, visual: string, order: readonly number[], right = RIGHT): PdfText[] =>
  order.map((at) => ({ x: right - WIDTH * (visual.length - at), y, text: visual[at] ?? '', font: 'F4' }));
const backwards = (text: string): string => [...text].reverse().join('');

const open = (texts: readonly PdfText[], more: object = {}): Promise<OctavoDocument> =>
  openTest(pdf({ pages: [{ texts, ...more }] }));

/** Left and right side of what stands at some words. */
function sides(document: OctavoDocument, words: string): readonly number[] {
  const at = document.text.indexOf(words);
  expect(at).toBeGreaterThanOrEqual(0);
  const found = document.rectangles(at, at + words.length);
  expect(found).toHaveLength(1);
  const [left = 0, , right = 0] = found[0]?.rectangle ?? [];
  return [left, right];
}
const near = (found: readonly number[], expected: readonly number[]): void => {
  found.forEach((one, i) => expect(Math.abs(one - (expected[i] ?? 0))).toBeLessThan(1.2 * WIDTH));
};

describe('Hebrew', () => {
  const FIRST = 'ראש העיר של מרסטון גר בבית הגבוה ליד הנמל';
  const SECOND = 'והוא חותם בכל ערב על רשימת האניות.';

  test('lines are read from right to left, and words have their places', async () => {
    const document = await open([seen(700, backwards(FIRST)), seen(688, backwards(SECOND))]);
    expect(document.text).toBe(`${FIRST} ${SECOND}`);
    // "העיר" begins five characters from the right.
    const at = FIRST.indexOf('העיר');
    near(sides(document, 'העיר'), [RIGHT - WIDTH * (at + 4), RIGHT - WIDTH * at]);
    const [found] = await document.search('רשימת האניות');
    expect(found?.text).toContain(SECOND);
  });

  test('numbers and Latin words keep their order, drawn as they are seen or glyph by glyph', async () => {
    const logical = 'המגדלור נבנה בשנת 1926 על ידי Trinity House ב-43 ימים';
    const visual = 'םימי 43-ב Trinity House ידי לע 1926 תנשב הנבנ רולדגמה';
    const drawn = seen(700, visual);
    const document = await open([drawn]);
    expect(document.text).toBe(logical);
    const begin = drawn.x + WIDTH * visual.indexOf('1926');
    near(sides(document, '1926'), [begin, begin + 4 * WIDTH]);
    // Glyph by glyph, in the order of reading: Hebrew backwards, the others forwards.
    const order: number[] = [];
    const runs = [...visual.matchAll(/[A-Za-z0-9]+(?: [A-Za-z0-9]+)*|[^A-Za-z0-9]+/g)].reverse();
    for (const { index, 0: run } of runs) {
      const places = [...Array(run.length).keys()].map((i) => index + i);
      order.push(...(/[A-Za-z0-9]/.test(run) ? places : places.reverse()));
    }
    const apart = await open(glyphs(700, visual, order));
    expect(apart.text).toBe(logical);
    near(sides(apart, 'Trinity House'), [
      drawn.x + WIDTH * visual.indexOf('Trinity'),
      drawn.x + WIDTH * (visual.indexOf('House') + 5),
    ]);
  });

  test('a line of another script within the page, and a Hebrew line in an English page, are in their own order', async () => {
    const words = (y: number, line: string, font: 'F1' | 'F4', x: number): PdfText[] =>
      line.split(' ').map((text, i) => ({ x: x + 60 * i, y, text, font }));
    const hebrew = await open([
      seen(700, backwards(FIRST)),
      ...words(640, 'The harbour master signs', 'F1', 60).map((one, i) => ({ ...one, x: 60 + [0, 20, 60, 98][i]! })),
      seen(580, backwards(SECOND)),
    ]);
    expect(hebrew.text).toContain('The harbour master signs');
    const english = await open([
      ...words(700, 'Rules of the port for foreign ships and pilots', 'F1', 60).map((one, i) => ({
        ...one,
        x: 60 + 42 * i,
      })),
      { x: 60, y: 640, text: backwards('נמל'), font: 'F4' },
      { x: 60 + 4 * WIDTH, y: 640, text: backwards('של'), font: 'F4' },
      { x: 60 + 7 * WIDTH, y: 640, text: backwards('ספר'), font: 'F4' },
    ]);
    expect(english.text).toContain('ספר של נמל');
  });

  test('two columns are read from the right one to the left one, paragraphs by indents from the right', async () => {
    const line = (i: number): string => `שורה של טקסט בעמודה על הנמל ${String.fromCodePoint(0x5d0 + i).repeat(3)}`;
    const column = (right: number, from: number): PdfText[] =>
      Array.from({ length: 7 }, (_, i) => seen(700 - 12 * i, backwards(line(from + i)), right));
    const { text } = await open([...column(270, 7), ...column(RIGHT, 0)]);
    const found = [...text.matchAll(/([א-ת])\1\1/g)].map(([, letter]) => letter!.codePointAt(0)! - 0x5d0);
    expect(found).toEqual(Array.from({ length: 14 }, (_, i) => i));
    const paragraphs = await open([
      seen(700, backwards(`${FIRST} ${FIRST}`)),
      seen(688, backwards(`${FIRST} ${FIRST}`)),
      seen(676, backwards(SECOND)),
      seen(664, backwards(`${FIRST} ${SECOND}`), RIGHT - 20),
      seen(652, backwards(SECOND)),
    ]);
    expect(paragraphs.blocks).toHaveLength(2);
  });

  test.each([90, 180, 270])('on a page that is turned by %d degrees', async (rotate) => {
    const document = await open([seen(700, backwards(FIRST))], { rotate });
    expect(document.text).toBe(FIRST);
    const [{ rectangle } = { rectangle: [0, 0, 0, 0] }] = document.rectangles(0, 3);
    // The first word is at the right end of the line as it was before it was turned.
    const [x, y] = [RIGHT - 1.5 * WIDTH, 842 - 703];
    const expected = { 90: [842 - y, x], 180: [595 - x, 842 - y], 270: [y, 595 - x] }[rotate]!;
    near([(rectangle[0] + rectangle[2]) / 2, (rectangle[1] + rectangle[3]) / 2], expected);
  });
});

describe('Arabic', () => {
  /** Presentation forms as fonts have them, with the ligature of lam and alef, seen from left to right: "السلام 1926 على البحار". */
  const VISUAL = 'ﺭﺎﺤﺒﻟﺍ ﻰﻠﻋ 1926 ﻡﻼﺴﻟﺍ';

  test('presentation forms and ligatures are plain letters in the order of reading', async () => {
    const document = await open([seen(700, VISUAL)]);
    expect(document.text).toBe('السلام 1926 على البحار');
    // Six letters, drawn by five glyphs.
    near(sides(document, 'السلام'), [RIGHT - 5 * WIDTH, RIGHT]);
    const [found] = await document.search('السلام');
    expect(found?.text).toContain('السلام');
  });

  test('Arabic numbers are read from left to right', async () => {
    const visual = `${backwards('سنة')} ١٩٢٦ ${backwards('في')}`;
    expect((await open([seen(700, visual)])).text).toBe('في ١٩٢٦ سنة');
    const order = [...Array(visual.length).keys()].reverse();
    expect((await open(glyphs(700, visual, order))).text).toBe('في ١٩٢٦ سنة');
  });
});

test('lines of Chinese are joined without spaces', async () => {
  const { text } = await open([
    { x: 60, y: 700, text: '港口的灯塔建于一九二六年，', font: 'F4' },
    { x: 60, y: 688, text: '由两位看守人看管。', font: 'F4' },
  ]);
  expect(text).toBe('港口的灯塔建于一九二六年，由两位看守人看管。');
});
