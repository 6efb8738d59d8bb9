// What search finds, without any model that answers.
import { Octavo } from 'octavo';
import { share } from '../statistics.mjs';
import { data, openText, written, xquad } from './data.mjs';

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
