// npm run eval -- rectangles [--json FILE] [--n PAGES]
// Rectangles of words and sentences against the browser's own ranges over pdf.js's text layer, and of words against the ink of the page: intersection over union, for all PDFs of ../shared/data/documents.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../tools/browser.mjs';
import { serve } from '../tools/static-server.mjs';
import { ResultFile } from './record.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENTS = fileURLToPath(new URL('../../shared/data/documents', import.meta.url));

/**
 * A Chromium with the page that compares. `folder`: of the PDFs. `compare(name, pages)` gives what one file's words and sentences have.
 * @typedef {{ pages: number, words: number, off: number, values: number[], sides: number[][], sentences: number[], ink: number[] }} Compared
 * @param {string} folder
 * @returns {Promise<{ compare(name: string, pages: number): Promise<Compared>, close(): Promise<void> }>}
 */
export async function openComparison(folder) {
  const server = await serve({
    mounts: {
      '/dist/': `${root}dist`,
      '/eval/': `${root}eval`,
      '/pdfjs/': `${root}node_modules/pdfjs-dist`,
      '/files/': folder,
    },
  });
  const browser = await openBrowser();
  const page = await browser.context.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`${server.origin}/eval/rectangles.html`);
  await page.waitForFunction(() => globalThis.compare !== undefined);
  return {
    compare: (name, pages) =>
      page.evaluate(([file, most]) => globalThis.compare(`/files/${encodeURIComponent(file)}`, most), [name, pages]),
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

const round = (value) => Number(value.toFixed(3));

/** Mean, shares and the worst tenth of intersections over unions. */
function told(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const share = (least) => values.filter((value) => value >= least).length / values.length;
  return {
    compared: values.length,
    mean: round(values.reduce((sum, value) => sum + value, 0) / values.length),
    median: round(sorted[sorted.length >> 1]),
    lowestTenth: round(sorted[Math.floor(sorted.length / 10)]),
    atLeastHalf: round(share(0.5)),
    atLeastNineTenths: round(share(0.9)),
  };
}

export function summary({ pages, words, off, values, sides, sentences, ink }) {
  return {
    pages,
    words,
    ofWords: told(values),
    ofSentences: told(sentences),
    // Of words' rectangles, along the line, with the ink of the page.
    ofInk: told(ink),
    // How far left, top, right and bottom are from the browser's, on the mean, in heights of a line: to the right and downwards.
    sides: [0, 1, 2, 3].map((i) => round(sides.reduce((sum, one) => sum + one[i], 0) / sides.length)),
    offThePage: off,
  };
}

export async function run({ json, n }, machine) {
  const files = readdirSync(DOCUMENTS).filter((name) => name.endsWith('.pdf'));
  const results = new ResultFile(json, { command: `npm run eval -- rectangles --n ${n}` }, machine);
  const comparison = await openComparison(DOCUMENTS);
  const all = { pages: 0, words: 0, off: 0, values: [], sides: [], sentences: [], ink: [] };
  try {
    for (const name of files) {
      const found = await comparison.compare(name, Number(n));
      for (const key of ['pages', 'words', 'off']) all[key] += found[key];
      all.values.push(...found.values);
      all.sides.push(...found.sides);
      all.sentences.push(...found.sentences);
      all.ink.push(...found.ink);
      console.log(name, summary(found));
      results.add('rectangles', name, summary(found), [...files, 'all']);
    }
    console.log('all', summary(all));
    results.add('rectangles', 'all', summary(all), [...files, 'all']);
  } finally {
    await comparison.close();
  }
}
