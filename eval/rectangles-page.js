// In Chromium: how well rectangles of words and of sentences, as a document gives them, cover what the browser selects of the same text in pdf.js's text layer; and how
// well those of words cover the ink of the page, as it is drawn with the file's own fonts.
import { Octavo } from '/dist/index.js';
import { getDocument, GlobalWorkerOptions, TextLayer } from '/pdfjs/build/pdf.mjs';

GlobalWorkerOptions.workerSrc = '/pdfjs/build/pdf.worker.mjs';

/** CSS pixels a point: fonts of a few points are not made larger by the browser. */
const SCALE = 2;
const WORD = /[^\s|]+/gu;
const SENTENCE = /\S[^\n]*?(?:[.!?](?=\s|$)|(?=\n)|$)/gu;
/** A word is looked for within so many points of where the browser has it. */
const NEAR = 40;

/** Sentences are made of so many letters at least. */
const LEAST_LETTERS = 20;
/** Squares a point, in which the areas of several rectangles are counted. */
const FINENESS = 2;

const area = ([left, top, right, bottom]) => Math.max(0, right - left) * Math.max(0, bottom - top);
export function intersectionOverUnion(a, b) {
  const both = area([Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]);
  const all = area(a) + area(b) - both;
  return all === 0 ? 0 : both / all;
}

/** The same for the areas that two lists cover. */
export function areaOverUnion(a, b) {
  const all = [...a, ...b];
  const [left, top] = [0, 1].map((side) => Math.floor(Math.min(...all.map((one) => one[side]))));
  const columns = Math.ceil((Math.max(...all.map((one) => one[2])) - left) * FINENESS) + 1;
  const rows = Math.ceil((Math.max(...all.map((one) => one[3])) - top) * FINENESS) + 1;
  const seen = new Uint8Array(columns * rows);
  for (const [mark, list] of [
    [1, a],
    [2, b],
  ])
    for (const [x0, y0, x1, y1] of list)
      for (let y = Math.round((y0 - top) * FINENESS); y < Math.round((y1 - top) * FINENESS); y++)
        for (let x = Math.round((x0 - left) * FINENESS); x < Math.round((x1 - left) * FINENESS); x++)
          seen[y * columns + x] |= mark;
  let [both, either] = [0, 0];
  for (const marks of seen) {
    if (marks === 3) both++;
    if (marks !== 0) either++;
  }
  return either === 0 ? 0 : both / either;
}

/** All letters of a text but spaces, hyphens and bars, and where each stands in it. */
function lettersOf(text) {
  const places = [];
  let letters = '';
  for (let i = 0; i < text.length; i++) {
    if (/[\s|\u00ad\u2010-]/.test(text[i])) continue;
    letters += text[i];
    places.push(i);
  }
  return { letters, places };
}

/** All words of a page as the browser has them: text and rectangle in points. */
async function domText(page) {
  const viewport = page.getViewport({ scale: SCALE });
  const container = document.createElement('div');
  container.className = 'textLayer';
  container.style.setProperty('--scale-factor', String(SCALE));
  container.style.width = `${viewport.width}px`;
  container.style.height = `${viewport.height}px`;
  document.body.replaceChildren(container);
  const layer = new TextLayer({ textContentSource: page.streamTextContent(), container, viewport });
  await layer.render();
  const origin = container.getBoundingClientRect();
  const words = [];
  const range = document.createRange();
  const rectangleOf = (node, from, to) => {
    range.setStart(node, from);
    range.setEnd(node, to);
    const { left, top, right, bottom } = range.getBoundingClientRect();
    return [left - origin.left, top - origin.top, right - origin.left, bottom - origin.top].map((side) => side / SCALE);
  };
  let letters = '';
  const places = [];
  for (const element of layer.textDivs) {
    const [node] = element.childNodes;
    if (node === undefined) continue;
    for (const { index, 0: text } of node.data.matchAll(WORD)) {
      const rectangle = rectangleOf(node, index, index + text.length);
      if (rectangle[2] > rectangle[0]) words.push({ text, rectangle });
    }
    const own = lettersOf(node.data);
    letters += own.letters;
    for (const at of own.places) places.push({ node, at });
  }
  /** What the browser selects of some letters; undefined where they stand nowhere, or several times. */
  const select = (wanted) => {
    const from = letters.indexOf(wanted);
    if (from < 0 || letters.includes(wanted, from + 1)) return undefined;
    const found = [];
    for (let i = from; i < from + wanted.length;) {
      const { node, at } = places[i];
      let last = i;
      while (last + 1 < from + wanted.length && places[last + 1].node === node) last++;
      found.push(rectangleOf(node, at, places[last].at + 1));
      i = last + 1;
    }
    return found;
  };
  return { words, select };
}

/** Pixels a point of the page that is drawn; a sum of red, green and blue below which there is ink. */
const DRAWN = 4;
const DARK = 520;
/** In heights of a word's rectangle: gaps of ink that are wider part words, and what is left out above and below. */
const GAP = 0.11;
const [ABOVE, BELOW] = [0.15, 0.06];
/** Words that are wider than this, in heights, are compared. */
const LEAST_WIDTH = 0.4;

/** Intersection over union, along the line, of words' rectangles with the ink that they cover best. */
async function inkUnder(page, rectangles) {
  const viewport = page.getViewport({ scale: DRAWN });
  const canvas = new OffscreenCanvas(Math.ceil(viewport.width), Math.ceil(viewport.height));
  const canvasContext = canvas.getContext('2d');
  await page.render({ canvasContext, viewport, background: '#fff' }).promise;
  const { data, width, height } = canvasContext.getImageData(0, 0, canvas.width, canvas.height);
  return rectangles.flatMap(([left, top, right, bottom]) => {
    const tall = bottom - top;
    if (right - left < LEAST_WIDTH * tall) return [];
    const [first, last] = [Math.floor((top + ABOVE * tall) * DRAWN), Math.ceil((bottom - BELOW * tall) * DRAWN)];
    const isInk = (x) => {
      for (let y = Math.max(0, first); y <= Math.min(height - 1, last); y++) {
        const at = 4 * (y * width + x);
        if (data[at] + data[at + 1] + data[at + 2] < DARK) return true;
      }
      return false;
    };
    const stretches = [];
    for (
      let x = Math.max(0, Math.floor((left - tall) * DRAWN));
      x <= Math.min(width - 1, (right + tall) * DRAWN);
      x++
    ) {
      if (!isInk(x)) continue;
      const open = stretches.at(-1);
      if (open !== undefined && x - open[1] <= GAP * tall * DRAWN) open[1] = x;
      else stretches.push([x, x]);
    }
    const shares = stretches.map(([from, to]) =>
      intersectionOverUnion([left, 0, right, 1], [from / DRAWN, 0, (to + 1) / DRAWN, 1]),
    );
    return shares.length === 0 ? [] : [Math.max(...shares)];
  });
}

/** Compares a PDF's words; `most` pages, evenly spread. Words that the document has joined, or leaves out with headers, have no counterpart. */
globalThis.compare = async (address, most) => {
  const bytes = await (await fetch(address)).arrayBuffer();
  const opened = await Octavo.openDocument(bytes.slice(0), { name: address });
  const file = await getDocument({
    data: bytes,
    isEvalSupported: false,
    cMapUrl: '/pdfjs/cmaps/',
    cMapPacked: true,
    standardFontDataUrl: '/pdfjs/standard_fonts/',
  }).promise;
  const step = Math.max(1, Math.ceil(file.numPages / most));
  const result = { pages: 0, words: 0, off: 0, values: [], sides: [], sentences: [], ink: [] };
  for (let number = 1; number <= file.numPages; number += step) {
    const { start, end, width, height } = opened.pages[number - 1];
    const own = new Map();
    for (const { index, 0: text } of opened.text.slice(start, end).matchAll(WORD)) {
      const found = opened.rectangles(start + index, start + index + text.length);
      for (const { rectangle } of found)
        if (rectangle[0] < -1 || rectangle[1] < -1 || rectangle[2] > width + 1 || rectangle[3] > height + 1)
          result.off++;
      if (found.length !== 1) continue;
      own.set(text, [...(own.get(text) ?? []), found[0].rectangle]);
    }
    const page = await file.getPage(number);
    // Marks at a word's edges stand lower and further away than its letters.
    const plain = [...own].filter(([text]) => /^[\p{L}\p{N}]+$/u.test(text));
    result.ink.push(
      ...(await inkUnder(
        page,
        plain.flatMap(([, found]) => found),
      )),
    );
    const { words, select } = await domText(page);
    for (const { text, rectangle } of words) {
      result.words++;
      const distance = (one) => Math.hypot(one[0] - rectangle[0], one[1] - rectangle[1]);
      const nearest = (own.get(text) ?? []).toSorted((a, b) => distance(a) - distance(b))[0];
      if (nearest === undefined || distance(nearest) >= NEAR) continue;
      result.values.push(intersectionOverUnion(nearest, rectangle));
      result.sides.push(nearest.map((side, i) => (side - rectangle[i]) / (rectangle[3] - rectangle[1])));
    }
    for (const { index, 0: sentence } of opened.text.slice(start, end).matchAll(SENTENCE)) {
      const { letters } = lettersOf(sentence);
      const selected = letters.length < LEAST_LETTERS ? undefined : select(letters);
      const given = opened.rectangles(start + index, start + index + sentence.length);
      if (selected !== undefined && given.length > 0)
        result.sentences.push(
          areaOverUnion(
            given.map((one) => one.rectangle),
            selected,
          ),
        );
    }
    page.cleanup();
    result.pages++;
  }
  opened.close();
  await file.loadingTask.destroy();
  return result;
};
