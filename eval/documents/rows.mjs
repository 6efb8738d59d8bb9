// What search finds for questions of XQuAD, as lines of JSON for `training/parity/blocks.py`: the question, its answer, and the passages, the best first.
//   node eval/documents/rows.mjs [--language en] [--pack 8] [--articles even] [--n 200] [--limit 8] > rows.jsonl
// pack: paragraphs in a document; 240 are all of them.
import { parseArgs } from 'node:util';
import { nested, xquadItems } from './data.mjs';

const { values } = parseArgs({
  options: {
    language: { type: 'string', default: 'en' },
    pack: { type: 'string', default: '8' },
    articles: { type: 'string', default: 'even' },
    n: { type: 'string', default: '200' },
    limit: { type: 'string', default: '8' },
  },
});
const items = nested(xquadItems(values.language, Number(values.pack), values.articles)).slice(0, Number(values.n));
// All paragraphs together are one document for all questions.
const ALL = 240;
const one = Number(values.pack) === ALL;
let document;
for (const { id, question, answer, open, place } of items) {
  if (!one) document?.close();
  if (!one || document === undefined) document = await open({});
  const { start, end } = place(document);
  const found = await document.search(question, { limit: Number(values.limit) });
  const passages = found.map(({ text, score, ...at }) => ({
    start: at.start,
    end: at.end,
    text,
    score,
    gold: at.start <= start && at.end >= end,
  }));
  console.log(JSON.stringify({ id, question, answer, passages }));
}
document?.close();
