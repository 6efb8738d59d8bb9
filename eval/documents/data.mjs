// What questions are asked about: XQuAD, PDFs with questions written for them, and the documents of the project's generator. Every question knows where its answer stands.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Octavo } from 'octavo';
import { importTypeScript } from '../../tools/import-typescript.mjs';
import { documents as generated } from '../nano.mjs';

export const data = (name) => fileURLToPath(new URL(`../../../shared/data/documents/${name}`, import.meta.url));
export const hasData = () => existsSync(data('xquad.en.json'));
export const written = JSON.parse(readFileSync(new URL('written.json', import.meta.url), 'utf8')).questions;

/** XQuAD's paragraphs in their order, with their questions. */
export function xquad(language) {
  const { data: articles } = JSON.parse(readFileSync(data(`xquad.${language}.json`), 'utf8'));
  return articles.flatMap(({ paragraphs }, article) =>
    paragraphs.map(({ context, qas }) => {
      const before = context.length - context.trimStart().length;
      return {
        article,
        context: context.trim(),
        questions: qas.map(({ question, answers: [{ text, answer_start: at }] }) => ({
          question,
          answer: text,
          at: at - before,
        })),
      };
    }),
  );
}

export const plain = (text) =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\p{P}\p{S}]+/gu, ' ')
    .replace(/\b(?:the|a|an|der|die|das)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
export const holds = (said, wanted) => ` ${plain(said)} `.includes(` ${plain(wanted)} `);

/** The items in an order whose every beginning is spread evenly over the list, so that a longer run contains a shorter one. */
export function nested(list) {
  const GOLDEN = (Math.sqrt(5) - 1) / 2;
  const taken = new Set();
  for (let k = 1; taken.size < list.length; k++) {
    let at = Math.floor(((k * GOLDEN) % 1) * list.length);
    // Behind the first few rounds most places are taken, and the next free one is as good.
    if (k > 4 * list.length) while (taken.has(at)) at = (at + 1) % list.length;
    taken.add(at);
  }
  return [...taken].map((at) => list[at]);
}

export const openText = (text, options = {}) => Octavo.openDocument(new File([text], 'text.txt'), options);

/** The sentence around units `[start, end)`: as far as the nearest full stops, which abbreviations have, too. */
export function sentenceAround(text, start, end) {
  const stops = /[.!?]["”')\]]*\s/g;
  let from = 0;
  for (const { index, 0: stop } of text.slice(0, start).matchAll(stops)) from = index + stop.length;
  stops.lastIndex = Math.max(start, end - 1);
  const after = stops.exec(text);
  return { start: from, end: after === null ? text.length : after.index + 1 };
}

/** Where words stand in a text, whatever stands between them; undefined where they do not. */
export function placesOf(text, words) {
  const pattern = (words.match(/[\p{L}\p{N}]+/gu) ?? []).join('[^\\p{L}\\p{N}]+');
  if (pattern === '') return [];
  return [...text.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])${pattern}(?![\\p{L}\\p{N}])`, 'giu'))].map(
    ({ index, 0: found }) => ({ start: index, end: index + found.length }),
  );
}

/** Articles with odd numbers are reported; those with even ones are for choosing (prompts, budgets, weights). */
export const ofArticles = (which) => (article) => which === 'all' || (article % 2 === 1) === (which === 'odd');

/** XQuAD by `pack` paragraphs in one document. */
export function xquadItems(language, pack, which) {
  const paragraphs = xquad(language);
  const wanted = ofArticles(which);
  return paragraphs.flatMap(({ article, context, questions }, i) =>
    !wanted(article)
      ? []
      : questions.map(({ question, answer, at }, q) => {
          const from = Math.min(Math.floor(i / pack) * pack, paragraphs.length - pack);
          const text = paragraphs
            .slice(from, from + pack)
            .map((one) => one.context)
            .join('\n\n');
          return {
            id: `${i}.${q}`,
            question,
            answer,
            open: (options) => openText(text, options),
            // The paragraph begins at the first place where it stands.
            place: (document) => {
              const start = document.text.indexOf(context.slice(0, 60)) + at;
              return { start, end: start + answer.length };
            },
          };
        }),
  );
}

/** The PDFs' questions: the quote stands on its page, and the answer in it or beside it. */
export function pdfItems() {
  return written.map(({ file, page, question, answer, quote }, i) => ({
    id: `${i}`,
    question,
    answer,
    document: file,
    open: (options) => Octavo.openDocument(data(file), options),
    place: (document) => {
      const pages = document.pages;
      const own = placesOf(document.text, quote).find(({ start }) => pageOf(pages, start) === page);
      if (own === undefined) return undefined;
      const inside = placesOf(document.text.slice(own.start, own.end), answer)[0];
      return inside === undefined ? own : { start: own.start + inside.start, end: own.start + inside.end };
    },
  }));
}

export const pageOf = (pages, at) => pages.findLastIndex(({ start }) => start <= at) + 1;

/** Where the lines of a page begin and end, in points from its lower edge. */
const TOP = 790;
const BOTTOM = 40;

/** Documents of the generator that nano was trained with, held out, as PDFs of two paragraphs a page. */
export async function generatedItems(kind) {
  const { pdf, column } = await importTypeScript(new URL('../../test/support/pdf.ts', import.meta.url));
  const paged = (text) => {
    const pages = [];
    let texts = [];
    let y = 0;
    const turn = () => {
      texts = [];
      y = TOP;
      pages.push({ texts });
    };
    for (const [i, paragraph] of text.trim().split(/\n\n/).entries()) {
      if (i % 2 === 0) turn();
      for (const line of paragraph.match(/.{1,90}(?:\s|$)/g)) {
        // A paragraph goes on overleaf.
        if (y < BOTTOM) turn();
        texts.push(...column(50, y, [line.trim()]));
        y -= 12;
      }
      y -= 14;
    }
    return pdf({ pages });
  };
  return generated()[kind].flatMap(([text, questions], d) =>
    questions.map(([question, answer], q) => ({
      id: `${d}.${q}`,
      question,
      answer,
      open: (options) => Octavo.openDocument(paged(text), { name: 'document.pdf', ...options }),
      // An answer's words may stand in other sentences, too: the fact is where most words of the question are.
      place: (document) => {
        const asked = new Set(plain(question).split(' '));
        const shared = ({ start, end }) => {
          const sentence = sentenceAround(document.text, start, end);
          return plain(document.text.slice(sentence.start, sentence.end))
            .split(' ')
            .filter((word) => asked.has(word)).length;
        };
        return placesOf(document.text, answer).toSorted((a, b) => shared(b) - shared(a))[0];
      },
    })),
  );
}

/** `count` of them, evenly spread. */
export const spread = (list, count) =>
  list.length <= count
    ? list
    : Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]);
