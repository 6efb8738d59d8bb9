/** Pages that are pictures, read by tesseract.js from its npm files: nothing is fetched, and nothing is left in the working folder. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { tesseract, type TesseractRecogniser } from '../src/ocr-tesseract.ts';
import { openTest } from './support/documents.ts';
import { pdf } from './support/pdf.ts';
import { scan, type Scan } from './support/scan.ts';

const LINES = ['The harbour of Marston has nine cranes, and its', 'lighthouse burns 38 barrels of oil a year.'];

const scanned = (): Scan => scan(LINES);

let ocr: TesseractRecogniser;
beforeAll(() => {
  ocr = tesseract();
});
afterAll(() => ocr.close());

test('a picture of text is a document, with the places of its words', async () => {
  const { png, place } = scanned();
  const document = await openTest(new File([png], 'page.png'), { ocr });
  expect(document.text).toBe(LINES.join(' '));
  expect(document.pages).toMatchObject([{ kind: 'recognised', width: 1240, height: 1754 }]);
  const at = document.text.indexOf('nine');
  const [{ rectangle } = { rectangle: [0, 0, 0, 0] }] = document.rectangles(at, at + 4);
  const { left } = place(0, 'nine');
  expect(Math.abs(rectangle[0] - left)).toBeLessThan(6);
  expect(rectangle[1]).toBeGreaterThan(250);
  expect(rectangle[3]).toBeLessThan(320);
  expect(existsSync('eng.traineddata')).toBe(false);
}, 60_000);

test('a PDF of pictures only is read page by page, and its pages say so', async () => {
  const picture = scanned();
  const seen: string[] = [];
  const document = await openTest(pdf({ pages: [{ picture }, { picture }] }), {
    ocr,
    onProgress: ({ phase }) => seen.push(phase),
  });
  expect(document.pages.map(({ kind }) => kind)).toEqual(['recognised', 'recognised']);
  expect(document.text).toBe([LINES, LINES].map((lines) => lines.join(' ')).join('\n\n'));
  const [best] = await document.search('How many barrels of oil?');
  expect(best?.rectangles.length).toBeGreaterThan(0);
  expect(document.notes).toEqual([]);
  expect(seen).toContain('recognition');
}, 60_000);

describe('failures', () => {
  test('an abort ends the worker, and the next picture is read by another', async () => {
    const { png } = scanned();
    const stop = new AbortController();
    const reading = ocr.recognise(new Blob([png]), {
      width: 1240,
      height: 1754,
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(reading).rejects.toThrow('enough');
    const { lines } = await ocr.recognise(new Blob([png]), { width: 1240, height: 1754 });
    expect(lines).toHaveLength(2);
  }, 60_000);

  test('the signal of a picture that was read does not end the next one, and closing does', async () => {
    const { png } = scanned();
    const of = { width: 1240, height: 1754 };
    const other = tesseract();
    const first = new AbortController();
    await other.recognise(new Blob([png]), { ...of, signal: first.signal });
    const second = other.recognise(new Blob([png]), of);
    first.abort();
    expect((await second).lines).toHaveLength(2);
    const third = other.recognise(new Blob([png]), of);
    const ended = expect(third).rejects.toMatchObject({ code: 'destroyed' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await other.close();
    await ended;
  }, 60_000);

  test('what is no picture is a FileError, and later pictures are read', async () => {
    const blob = new Blob([Uint8Array.of(1, 2, 3, 4)]);
    await expect(ocr.recognise(blob, { width: 1, height: 1 })).rejects.toMatchObject({ name: 'FileError' });
    const { png } = scanned();
    const { lines } = await ocr.recognise(new Blob([png]), { width: 1240, height: 1754 });
    expect(lines).toHaveLength(2);
  }, 60_000);

  test('options, languages that are not installed, and use after the end are named', async () => {
    expect(() => tesseract({ lang: 'eng' } as object)).toThrow('no option lang');
    expect(() => tesseract({ languages: ['../x'] })).toThrow('codes');
    const other = tesseract({ languages: ['tlh'] });
    const blob = new Blob([Uint8Array.of(1)]);
    await expect(other.recognise(blob, { width: 1, height: 1 })).rejects.toThrow('npm install @tesseract.js-data/tlh');
    await other.close();
    await expect(other.recognise(blob, { width: 1, height: 1 })).rejects.toMatchObject({ code: 'destroyed' });
  });
});
