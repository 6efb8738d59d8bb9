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

/** Pixels a point of the page that is drawn; by how much red, green and blue differ together from the ground, the colour of most of a line, where there is ink. */
const DRAWN = 4;
const CONTRAST = 245;
/** In heights of a line's rectangle: what is left out above and below, and how far its ink is followed to the left and to the right. */
const [ABOVE, BELOW] = [0.15, 0.06];
const BESIDE = 0.5;
/** How far above and below a line is looked for the lines of a table, in heights. */
const BEYOND = 0.1;
/** Words that are wider than this, in heights, are compared. */
const LEAST_WIDTH = 0.4;
/** Words of one line stand so far apart at most, in heights, and are as high as each other but for this share. */
const FARTHEST = 2;
const SAME_HEIGHT = 0.3;

/** Words that follow each other on one line, in lists. */
function linesOf(words) {
  const lines = [];
  for (const word of words) {
    const line = lines.at(-1);
    const [left, top, , bottom] = word.rectangle;
    const [, lastTop, lastRight, lastBottom] = line?.at(-1).rectangle ?? [];
    const tall = bottom - top;
    const goesOn =
      line !== undefined &&
      Math.abs(top - lastTop) <= SAME_HEIGHT * tall &&
      Math.abs(bottom - lastBottom) <= SAME_HEIGHT * tall &&
      left >= lastRight - SAME_HEIGHT * tall &&
      left - lastRight <= FARTHEST * tall;
    if (goesOn) line.push(word);
    else lines.push([word]);
  }
  return lines;
}

const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/**
 * Intersection over union, along the line, of words' rectangles with the ink that they cover best. A line of so many words is parted at so many of its widest gaps:
 * fonts differ in how far letters stand apart.
 */
async function inkUnder(page, words) {
  const viewport = page.getViewport({ scale: DRAWN });
  const canvas = new OffscreenCanvas(Math.ceil(viewport.width), Math.ceil(viewport.height));
  const canvasContext = canvas.getContext('2d');
  await page.render({ canvasContext, viewport, background: '#fff' }).promise;
  const { data, width, height } = canvasContext.getImageData(0, 0, canvas.width, canvas.height);
  return linesOf(words).flatMap((line) => {
    const [top, bottom] = [1, 3].map((side) => middle(line.map(({ rectangle }) => rectangle[side])));
    const tall = bottom - top;
    const [first, last] = [Math.floor((top + ABOVE * tall) * DRAWN), Math.ceil((bottom - BELOW * tall) * DRAWN)];
    const colourAt = (x, y) => data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3);
    const [low, high] = [first, last].map((y) => Math.min(height - 1, Math.max(0, y)));
    const seen = new Map();
    for (
      let x = Math.max(0, Math.floor(line[0].rectangle[0] * DRAWN));
      x < Math.min(width, line.at(-1).rectangle[2] * DRAWN);
      x++
    )
      for (let y = low; y <= high; y++) seen.set(String(colourAt(x, y)), (seen.get(String(colourAt(x, y))) ?? 0) + 1);
    const [ground = '255,255,255'] = [...seen].toSorted((a, b) => b[1] - a[1])[0] ?? [];
    const paper = ground.split(',').map(Number);
    const isMarked = (x, y) => colourAt(x, y).reduce((sum, one, i) => sum + Math.abs(one - paper[i]), 0) > CONTRAST;
    const isInk = (x) => {
      // A line that goes on above and below the words is a table's.
      let marks = 0;
      for (let y = low; y <= high; y++) if (isMarked(x, y)) marks++;
      const beyond = [top - BEYOND * tall, bottom + BEYOND * tall].map((y) => Math.round(y * DRAWN));
      return marks > 0 && (marks <= high - low || beyond.some((y) => y < 0 || y >= height || !isMarked(x, y)));
    };
    const strokes = [];
    const from = Math.floor((line[0].rectangle[0] - BESIDE * tall) * DRAWN);
    const to = Math.min(width - 1, (line.at(-1).rectangle[2] + BESIDE * tall) * DRAWN);
    for (let x = Math.max(0, from); x <= to; x++) {
      if (!isInk(x)) continue;
      if (strokes.at(-1)?.[1] === x - 1) strokes.at(-1)[1] = x;
      else strokes.push([x, x]);
    }
    const gaps = strokes.slice(1).map(([begin], i) => begin - strokes[i][1]);
    const least = gaps.toSorted((a, b) => b - a)[line.length - 2] ?? Infinity;
    const stretches = [];
    for (const [i, [begin, end]] of strokes.entries()) {
      if (i > 0 && gaps[i - 1] < least) stretches.at(-1)[1] = end;
      else stretches.push([begin, end]);
    }
    return line.flatMap(({ text, rectangle: [left, , right] }) => {
      // Marks at a word's edges stand lower and further away than its letters.
      if (stretches.length === 0 || right - left < LEAST_WIDTH * tall || !/^[\p{L}\p{N}]+$/u.test(text)) return [];
      const shares = stretches.map(([begin, end]) =>
        intersectionOverUnion([left, 0, right, 1], [begin / DRAWN, 0, (end + 1) / DRAWN, 1]),
      );
      return [{ text, rectangle: [left, top, right, bottom], share: Math.max(...shares) }];
    });
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
    const lines = [];
    for (const { index, 0: text } of opened.text.slice(start, end).matchAll(WORD)) {
      const found = opened.rectangles(start + index, start + index + text.length);
      for (const { rectangle } of found)
        if (rectangle[0] < -1 || rectangle[1] < -1 || rectangle[2] > width + 1 || rectangle[3] > height + 1)
          result.off++;
      if (found.length !== 1) continue;
      const [{ rectangle }] = found;
      lines.push({ text, rectangle });
      own.set(text, [...(own.get(text) ?? []), rectangle]);
    }
    const page = await file.getPage(number);
    result.ink.push(...(await inkUnder(page, lines)).map(({ share }) => share));
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
