// Questions that only the conversation explains: the second of two questions about a paragraph, with the name that both have replaced by a pronoun. Is the passage found
// by the question as it stands, together with the question before it, or after a model has written the question anew?
import { share } from '../statistics.mjs';
import { nested, ofArticles, openText, xquad } from './data.mjs';
import { among, placesOfParagraphs, rankOf } from './retrieval.mjs';

/** Names of several words, or of one long word, that stand behind the beginning of a question. */
const NAMES = /(?<=\S )(?:the )?\p{Lu}[\p{L}\d-]+(?: (?:of |the |and )*\p{Lu}[\p{L}\d-]+)*/gu;

/** Pairs `{ first, second, full }`: `second` asks with a pronoun what `full` asks by name. English, since in German every noun has a capital letter. */
export function followUps(which) {
  const wanted = ofArticles(which);
  return xquad('en').flatMap(({ article, questions }, paragraph) => {
    if (!wanted(article)) return [];
    for (const [i, { question: first, answer }] of questions.entries()) {
      const names = [...first.matchAll(NAMES)].map(([name]) => name);
      for (const { question: full } of questions.slice(i + 1)) {
        const name = names.filter((one) => full.includes(one)).toSorted((a, b) => b.length - a.length)[0];
        if (name === undefined) continue;
        const second = full.replaceAll(`${name}'s`, 'its').replaceAll(name, 'it');
        return [{ id: `${paragraph}`, paragraph, first, answer, second, full }];
      }
    }
    return [];
  });
}

/** How a model is asked to write a question anew. */
const rewriting = ({ first, answer, second }) =>
  `Question: ${first}\nAnswer: ${answer}\nQuestion: ${second}\n\nWrite the last question again so that it can be understood alone. Replace its pronouns by the names that they stand for. Write the question only.`;

export async function followUpRetrieval(model, { part, which, n, journal, note }) {
  const paragraphs = xquad('en');
  const document = await openText(paragraphs.map(({ context }) => context).join('\n\n'));
  const places = placesOfParagraphs(document, paragraphs);
  const ranks = { alone: [], 'with the question before': [], rewritten: [], 'by name': [] };
  const seconds = [];
  let named = 0;
  for (const item of nested(followUps(which)).slice(0, n)) {
    let row = journal.row(part, item.id);
    if (row === undefined) {
      const begun = performance.now();
      const session = await model.createSession({ temperature: 0, thinking: false });
      const rewritten = (await session.prompt(rewriting(item), { maxTokens: 64 })).trim().split('\n')[0] ?? '';
      session.destroy();
      const time = performance.now() - begun;
      const place = places[item.paragraph];
      row = {
        rewritten,
        seconds: Math.round(time) / 1000,
        ranks: [
          await rankOf(document, item.second, place),
          await rankOf(document, `${item.second} ${item.first}`, place),
          await rankOf(document, rewritten === '' ? item.second : rewritten, place),
          await rankOf(document, item.full, place),
        ],
      };
      journal.add(part, item.id, row);
    }
    Object.values(ranks).forEach((list, i) => list.push(row.ranks[i]));
    seconds.push(row.seconds);
    if (row.rewritten === item.full) named += 1;
    note({
      n: seconds.length,
      ...Object.fromEntries(Object.entries(ranks).map(([name, list]) => [name, among(list)])),
      asWritten: share(named, seconds.length),
      secondsOfRewriting: seconds.toSorted((a, b) => a - b)[seconds.length >> 1],
    });
  }
  document.close();
}
