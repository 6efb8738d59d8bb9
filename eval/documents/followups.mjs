// Questions that only the conversation explains: the second of two questions about a paragraph, with the name that both have replaced by a pronoun. Is the passage found by
// the question as it stands, together with the question before it, or as a model that rewrites it without a fault would ask it (by name)? And what does the question
// before cost where it was about something else?
import { importTypeScript } from '../../tools/import-typescript.mjs';
import { share } from '../statistics.mjs';
import { nested, ofArticles, openText, xquad } from './data.mjs';
import { among, placesOfParagraphs, rankOf } from './retrieval.mjs';

/** Names of several words, or of one long word, that stand behind the beginning of a question. */
const NAMES = /(?<=\S )(?:the )?\p{Lu}[\p{L}\d-]+(?: (?:of |the |and )*\p{Lu}[\p{L}\d-]+)*/gu;

/** Pairs: `second` asks with a pronoun what `full` asks by name. English, since in German every noun has a capital letter. */
function followUps(which) {
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

async function whole() {
  const paragraphs = xquad('en');
  const document = await openText(paragraphs.map(({ context }) => context).join('\n\n'));
  return { document, places: placesOfParagraphs(document, paragraphs) };
}

/** What search alone finds, of all pairs. */
export async function followUpRetrieval(which) {
  const { searchText } = await importTypeScript(new URL('../../src/document/answer/follow-up.ts', import.meta.url));
  const { document, places } = await whole();
  const items = followUps(which);
  const queries = {
    'pronoun, the question alone': ({ second }) => second,
    'pronoun, with the question before': ({ second, first }) => `${second} ${first}`,
    'pronoun, as it is searched for': ({ second, first }) => searchText(second, [first], 'en'),
    'by name': ({ full }) => full,
    'by name, with a question about something else': ({ full }, other) => `${full} ${other.first}`,
    'by name behind another question, as it is searched for': ({ full }, other) =>
      searchText(full, [other.first], 'en'),
  };
  const result = {};
  for (const [name, query] of Object.entries(queries)) {
    const ranks = [];
    for (const [i, item] of items.entries())
      ranks.push(await rankOf(document, query(item, items.at(i - 1)), places[item.paragraph]));
    result[name] = among(ranks);
  }
  document.close();
  return result;
}

/** How a model is asked to write a question anew. */
const rewriting = ({ first, answer, second }) =>
  `Question: ${first}\nAnswer: ${answer}\nQuestion: ${second}\n\nWrite the last question again so that it can be understood alone. Replace its pronouns by the names that they stand for. Write the question only.`;

/** What search finds by the questions that a model wrote anew. */
export async function rewritten(model, { part, which, n, journal, note }) {
  const { document, places } = await whole();
  const rows = [];
  for (const item of nested(followUps(which)).slice(0, n)) {
    let row = journal.row(part, item.id);
    if (row === undefined) {
      const begun = performance.now();
      const session = await model.createSession({ temperature: 0, thinking: false });
      const text = (await session.prompt(rewriting(item), { maxTokens: 64 })).trim().split('\n')[0] ?? '';
      session.destroy();
      const seconds = Math.round(performance.now() - begun) / 1000;
      const rank = await rankOf(document, text === '' ? item.second : text, places[item.paragraph]);
      row = { text, seconds, rank, same: text === item.full };
      journal.add(part, item.id, row);
    }
    rows.push(row);
    note({
      ...among(rows.map(({ rank }) => rank)),
      asWritten: share(rows.filter(({ same }) => same).length, rows.length),
      secondsOfRewriting: rows.map(({ seconds }) => seconds).toSorted((a, b) => a - b)[rows.length >> 1],
    });
  }
  document.close();
}
