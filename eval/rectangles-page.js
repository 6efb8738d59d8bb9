// In Chromium: how well the rectangles of words, as a document gives them, cover what the browser selects of the same words in pdf.js's text layer.
import { Octavo } from '/dist/index.js';
import { getDocument, GlobalWorkerOptions, TextLayer } from '/pdfjs/build/pdf.mjs';

GlobalWorkerOptions.workerSrc = '/pdfjs/build/pdf.worker.mjs';

/** CSS pixels a point: fonts of a few points are not made larger by the browser. */
const SCALE = 2;
const WORD = /[^\s|]+/gu;
/** A word is looked for within so many points of where the browser has it. */
const NEAR = 40;

const area = ([left, top, right, bottom]) => Math.max(0, right - left) * Math.max(0, bottom - top);
export function intersectionOverUnion(a, b) {
  const both = area([Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]);
  const all = area(a) + area(b) - both;
  return all === 0 ? 0 : both / all;
}

/** All words of a page as the browser has them: text and rectangle in points. */
async function domWords(page) {
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
  for (const element of layer.textDivs) {
    const [node] = element.childNodes;
    if (node === undefined) continue;
    for (const { index, 0: text } of node.data.matchAll(WORD)) {
      range.setStart(node, index);
      range.setEnd(node, index + text.length);
      const { left, top, right, bottom } = range.getBoundingClientRect();
      const rectangle = [left - origin.left, top - origin.top, right - origin.left, bottom - origin.top];
      if (right > left) words.push({ text, rectangle: rectangle.map((side) => side / SCALE) });
    }
  }
  return words;
}

/** Compares a PDF's words; `most` pages, evenly spread. Words that the document has joined, or leaves out with headers, have no counterpart. */
globalThis.compare = async (address, most) => {
  const bytes = await (await fetch(address)).arrayBuffer();
  const opened = await Octavo.openDocument(bytes.slice(0), { name: address });
  const file = await getDocument({ data: bytes, isEvalSupported: false, cMapUrl: '/pdfjs/cmaps/', cMapPacked: true })
    .promise;
  const step = Math.max(1, Math.ceil(file.numPages / most));
  const result = { pages: 0, words: 0, off: 0, values: [], sides: [] };
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
    for (const { text, rectangle } of await domWords(page)) {
      result.words++;
      const distance = (one) => Math.hypot(one[0] - rectangle[0], one[1] - rectangle[1]);
      const nearest = (own.get(text) ?? []).toSorted((a, b) => distance(a) - distance(b))[0];
      if (nearest === undefined || distance(nearest) >= NEAR) continue;
      result.values.push(intersectionOverUnion(nearest, rectangle));
      result.sides.push(nearest.map((side, i) => (side - rectangle[i]) / (rectangle[3] - rectangle[1])));
    }
    page.cleanup();
    result.pages++;
  }
  opened.close();
  await file.loadingTask.destroy();
  return result;
};
