// What search finds, without any model that answers.
import { Octavo } from 'octavo';
import { importTypeScript } from '../../tools/import-typescript.mjs';
import { share } from '../statistics.mjs';
import { data, ofArticles, openText, written, xquad } from './data.mjs';

/** The right paragraph of all 240: first, and among five. */
export async function retrieval(language, embedder) {
  const paragraphs = xquad(language);
  const document = await openText(paragraphs.map(({ context }) => context).join('\n\n'), {
    ...(embedder && { embedder }),
  });
  const places = placesOfParagraphs(document, paragraphs);
  const ranks = [];
  for (const [i, { questions }] of paragraphs.entries())
    for (const { question } of questions) ranks.push(await rankOf(document, question, places[i]));
  document.close();
  return among(ranks);
}

/** Where each paragraph stands. */
export function placesOfParagraphs(document, paragraphs) {
  let at = 0;
  return paragraphs.map(({ context }) => {
    at = document.text.indexOf(context.slice(0, 60), at);
    return { start: at, end: at + context.length };
  });
}

/** From 0; 5 where it is not among the first five. A passage may be a part of a paragraph, or a short paragraph together with its neighbour. */
export async function rankOf(document, question, place) {
  const found = await document.search(question, { limit: 5 });
  const rank = found.findIndex(({ start, end }) => start < place.end && end > place.start);
  return rank < 0 ? 5 : rank;
}

export function among(ranks) {
  const within = (limit) => share(ranks.filter((rank) => rank < limit).length, ranks.length);
  return { n: ranks.length, first: within(1), three: within(3), five: within(5) };
}

/** The page of each question that was written. */
export async function pdfRetrieval(embedder) {
  const documents = new Map();
  const ranks = [];
  for (const { file, page, question } of written) {
    if (!documents.has(file))
      documents.set(file, await Octavo.openDocument(data(file), { ...(embedder && { embedder }) }));
    const pages = (await documents.get(file).search(question, { limit: 5 })).map((one) => one.page);
    ranks.push(pages.includes(page) ? pages.indexOf(page) : 5);
  }
  for (const document of documents.values()) document.close();
  return among(ranks);
}

/** What meaning counts beside words: none, shares of it, and nothing else. */
const WEIGHTS = [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, Infinity];

/** The right paragraph of 240 by words, by vectors, and by both with each weight; apart for articles with even numbers, which choose a weight, and with odd ones. */
export async function fusion(language, embedder) {
  const source = (name) => importTypeScript(new URL(`../../src/document/${name}.ts`, import.meta.url));
  const [{ readPlain }, { passagesOf }, { PassageIndex }, { fuse }, { quantise, Vectors }] = await Promise.all(
    ['formats/plain', 'segment', 'index/passage-index', 'index/fuse', 'index/vectors'].map(source),
  );
  const paragraphs = xquad(language);
  const content = readPlain(paragraphs.map(({ context }) => context).join('\n\n'), 'paragraphs.txt');
  const passages = passagesOf(content);
  const places = placesOfParagraphs(content, paragraphs);
  const index = new PassageIndex();
  const vectors = new Vectors();
  const texts = passages.map(({ start, end }) => content.text.slice(start, end));
  index.add(texts.map((text, id) => ({ id, text, path: [], language: content.language })));
  for (let at = 0; at < texts.length; at += 16) {
    const made = await embedder.embed(texts.slice(at, at + 16), { kind: 'document' });
    made.forEach((vector, i) => vectors.set(at + i, quantise(vector)));
  }
  const ids = passages.map((_, id) => id);
  const ranks = { even: WEIGHTS.map(() => []), odd: WEIGHTS.map(() => []) };
  for (const [i, { article, questions }] of paragraphs.entries()) {
    const own = ranks[ofArticles('odd')(article) ? 'odd' : 'even'];
    const asked = await embedder.embed(
      questions.map(({ question }) => question),
      { kind: 'query' },
    );
    for (const [q, { question }] of questions.entries()) {
      const words = index.scores(question);
      const meaning = vectors.scores(asked[q]);
      WEIGHTS.forEach((weight, at) => {
        const scores = weight === Infinity ? meaning : fuse(ids, words, weight === 0 ? undefined : meaning, weight);
        const best = [...scores].sort(([a, x], [b, y]) => y - x || a - b).slice(0, 5);
        const rank = best.findIndex(([id]) => passages[id].start < places[i].end && passages[id].end > places[i].start);
        own[at].push(rank < 0 ? 5 : rank);
      });
    }
  }
  const named = (lists) =>
    Object.fromEntries(
      WEIGHTS.map((weight, at) => [
        weight === Infinity ? 'vectors alone' : weight === 0 ? 'words alone' : `${weight}`,
        among(lists[at]),
      ]),
    );
  return { even: named(ranks.even), odd: named(ranks.odd) };
}
