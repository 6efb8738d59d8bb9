// npm run eval -- documents [--parts retrieval,evidence,nano,pdf,xquad,absent] [--model FILE] [--embedder FOLDER] [--n N] [--threads N] [--json FILE]
// Questions about documents: what retrieval finds, whether the answer holds the expected words, and whether its citations stand where they should. XQuAD (en, de)
// and PDFs of ../shared/data/documents, with the questions of documents.json. Items are drawn evenly; two runs give the same.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InputError, Octavo } from 'octavo';
import { documents } from './nano.mjs';
import { ResultFile } from './record.mjs';
import { share } from './statistics.mjs';

export const DOCUMENT_OPTIONS = {
  parts: { type: 'string' },
  embedder: { type: 'string' },
  languages: { type: 'string' },
};

export const data = (name) => fileURLToPath(new URL(`../../shared/data/documents/${name}`, import.meta.url));
const written = JSON.parse(readFileSync(new URL('documents.json', import.meta.url), 'utf8'));

/** XQuAD's paragraphs in their order, with their questions. */
export function xquad(language) {
  const { data: articles } = JSON.parse(readFileSync(data(`xquad.${language}.json`), 'utf8'));
  return articles.flatMap(({ paragraphs }, article) =>
    paragraphs.map(({ context, qas }) => ({
      article,
      context: context.trim(),
      questions: qas.map(({ question, answers: [{ text, answer_start: at }] }) => ({ question, answer: text, at })),
    })),
  );
}

const plain = (text) =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\p{P}\p{S}]+/gu, ' ')
    .replace(/\b(?:the|a|an|der|die|das)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
export const holds = (said, wanted) => ` ${plain(said)} `.includes(` ${plain(wanted)} `);

/** `count` of them, evenly spread. */
const spread = (list, count) =>
  list.length <= count
    ? list
    : Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]);

const open = (paragraphs, options = {}) =>
  Octavo.openDocument(new File([paragraphs.join('\n\n')], 'paragraphs.txt'), options);

/** Right paragraph first, and among five, of all 240. */
async function retrieval(language, embedder) {
  const paragraphs = xquad(language);
  const document = await open(
    paragraphs.map(({ context }) => context),
    { ...(embedder && { embedder }) },
  );
  const places = [];
  let at = 0;
  for (const { context } of paragraphs) {
    at = document.text.indexOf(context.slice(0, 60), at);
    places.push(at);
  }
  let first = 0;
  let five = 0;
  let n = 0;
  for (const [i, { context, questions }] of paragraphs.entries()) {
    for (const { question } of questions) {
      const found = await document.search(question, { limit: 5 });
      // A passage may be a part of a paragraph, or a short paragraph together with its neighbour.
      const right = ({ start, end }) => start < places[i] + context.length && end > places[i];
      n += 1;
      first += found[0] !== undefined && right(found[0]) ? 1 : 0;
      five += found.some(right) ? 1 : 0;
    }
  }
  document.close();
  return { passages: n, first: share(first, n), five: share(five, n) };
}

/** The last part of a model's path, which may be a folder's. */
const nameOf = ({ name }) => name.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, '');

/** Where retrieval finds the page of each question that was written. */
async function pdfRetrieval(embedder) {
  let first = 0;
  let three = 0;
  let five = 0;
  const documents = new Map();
  for (const { file, page, question } of written.questions) {
    if (!documents.has(file))
      documents.set(file, await Octavo.openDocument(data(file), { ...(embedder && { embedder }) }));
    const pages = (await documents.get(file).search(question, { limit: 5 })).map((one) => one.page);
    first += pages[0] === page ? 1 : 0;
    three += pages.slice(0, 3).includes(page) ? 1 : 0;
    five += pages.includes(page) ? 1 : 0;
  }
  const n = written.questions.length;
  return { first: share(first, n), three: share(three, n), five: share(five, n) };
}

/** One question: whether the answer holds what is expected, and what its citations are. `right(citation)` says whether one stands where it should. */
async function answerTo(document, item, mode, right) {
  const answer = await document.ask(item.question, { mode, maxTokens: 96 });
  const { citations, absent, time, read } = answer;
  return {
    gold: holds(answer.text, item.answer),
    cited: citations.length,
    rightCitations: citations.filter(right).length,
    anyRight: citations.some(right),
    exact: citations.filter(({ kind }) => kind === 'exact').length,
    literal: citations.filter(({ start, end, quote }) => document.text.slice(start, end) === quote).length,
    absent: absent.probability,
    tokens: read.tokens,
    prefill: time.prefill,
    decode: time.decode,
    cite: time.cite,
    text: answer.text,
    kinds: citations.map(({ kind }) => kind),
  };
}

const sum = (rows, field) => rows.reduce((total, row) => total + Number(row[field]), 0);
const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

function summary(rows) {
  const answered = rows.filter(({ gold }) => gold);
  return {
    gold: share(answered.length, rows.length),
    // Of right answers: citations that stand in the sentence with the answer, and answers with such a citation.
    precision: share(sum(answered, 'rightCitations'), sum(answered, 'cited')),
    recall: share(sum(answered, 'anyRight'), answered.length),
    exactShare: share(sum(answered, 'exact'), sum(answered, 'cited')),
    literal: share(sum(rows, 'literal'), sum(rows, 'cited')),
    tokens: middle(rows.map(({ tokens }) => tokens)),
    seconds: {
      prefill: Math.round(middle(rows.map(({ prefill }) => prefill)) / 10) / 100,
      decode: Math.round(middle(rows.map(({ decode }) => decode)) / 10) / 100,
      cite: Math.round(middle(rows.map(({ cite }) => cite)) / 10) / 100,
    },
    outcomes: rows.map(({ gold }) => (gold ? '1' : '0')).join(''),
  };
}

/** XQuAD by `pack` paragraphs in one document. */
async function xquadAnswers(model, language, pack, mode, n) {
  const paragraphs = xquad(language);
  const items = spread(
    paragraphs.flatMap(({ questions }, i) => questions.map((one) => ({ ...one, i }))),
    n,
  );
  const rows = [];
  for (const item of items) {
    const from = Math.min(Math.floor(item.i / pack) * pack, paragraphs.length - pack);
    const document = await open(
      paragraphs.slice(from, from + pack).map(({ context }) => context),
      { model },
    );
    const at = document.text.indexOf(paragraphs[item.i].context.slice(0, 60)) + item.at;
    const end = at + item.answer.length;
    // The sentence with the answer is as far as the next full stop on both sides.
    const before = Math.max(document.text.lastIndexOf('. ', at - 1) + 2, 0);
    const stop = document.text.indexOf('. ', end);
    const after = stop < 0 ? document.text.length : stop + 1;
    rows.push(await answerTo(document, item, mode, (one) => one.start < after && one.end > before));
    document.close();
  }
  return { ...summary(rows), n: rows.length };
}

async function pdfAnswers(model, mode, n) {
  const rows = [];
  const documents = new Map();
  for (const item of spread(written.questions, n)) {
    if (!documents.has(item.file)) documents.set(item.file, await Octavo.openDocument(data(item.file), { model }));
    rows.push(await answerTo(documents.get(item.file), item, mode, (one) => one.page === item.page));
  }
  return { ...summary(rows), n: rows.length };
}

/** nano's own documents: whether the answer is exact, and its citation its words. */
async function nanoAnswers(model, key, n) {
  const items = documents()[key].flatMap(([text, questions]) =>
    questions.map(([question, answer]) => ({ text, question, answer })),
  );
  const rows = [];
  for (const item of spread(items, n)) {
    const document = await Octavo.openDocument(new File([item.text], 'document.txt'), { model });
    rows.push(await answerTo(document, item, 'whole', (one) => plain(one.quote) === plain(item.answer)));
    document.close();
  }
  return { ...summary(rows), n: rows.length };
}

/** Says nothing: `absent` is told from the search alone, so its thousands of questions need no model. */
const mute = {
  name: 'none',
  contextWindow: 4096,
  tokenize: async (text) => new Int32Array(text.length >> 2),
  async createSession() {
    const answer = {
      finished: Promise.resolve({ tokens: { prompt: 0, cached: 0 }, time: { prefill: 0, decode: 0 } }),
      async *[Symbol.asyncIterator]() {
        yield 'nothing';
      },
    };
    return {
      promptStreaming: () => answer,
      attribute: async () => {
        throw new InputError('argument', 'it has no attention');
      },
      destroy() {},
    };
  },
};

/** The question with its last name or number exchanged for one of another article; undefined where it has none. */
function exchanged(question, names, turn) {
  const found = [...question.matchAll(/(?<=\S )\p{Lu}\p{Ll}+(?: \p{Lu}\p{Ll}+)*|\d{2,}/gu)].at(-1);
  if (found === undefined) return undefined;
  const other = /\d/.test(found[0]) ? String(Number(found[0]) + 7 * turn) : names[(turn * 13) % names.length];
  return question.slice(0, found.index) + other + question.slice(found.index + found[0].length);
}

/** Articles with odd numbers are held out: the weights of `absent` were fitted to the others. */
const heldOut = ({ article }) => article % 2 === 1;

/**
 * Probabilities that the text does not say it, of questions with (`there`) and without an answer (`gone`), of held-out articles in documents of `pack` paragraphs.
 * `gone`: the paragraph that answers is taken out (`removed`), or the question asks for somebody else (`exchanged`, English only).
 */
async function evidence(language, pack, kind) {
  const paragraphs = xquad(language);
  const names = [...new Set(paragraphs.map(({ article }) => article))].map((article) => {
    const text = paragraphs.flatMap((one) => (one.article === article ? [one.context] : [])).join(' ');
    return [...new Set(text.match(/(?<=[a-z,] )\p{Lu}\p{Ll}+(?: \p{Lu}\p{Ll}+)*/gu) ?? [])];
  });
  const probability = async (document, question) =>
    (await document.ask(question, { model: mute, mode: 'passages' })).absent.probability;
  const scores = { there: [], gone: [] };
  for (let from = 0; from < paragraphs.length; from += pack) {
    const group = paragraphs.slice(from, from + pack);
    if (!group.some(heldOut)) continue;
    const whole = await open(group.map(({ context }) => context));
    // Each needs an index of its own.
    for (const own of spread(group.filter(heldOut), 30)) {
      const without = await open(group.flatMap((one) => (one === own ? [] : [one.context])));
      for (const [i, { question }] of own.questions.entries()) {
        const other =
          kind === 'removed' ? question : exchanged(question, names[(own.article + 7 + i) % names.length], i + 1);
        if (other === undefined) continue;
        scores.there.push(await probability(whole, question));
        scores.gone.push(await probability(kind === 'removed' ? without : whole, other));
      }
      without.close();
    }
    whole.close();
  }
  return { ...separation(scores), reliability: reliability(scores) };
}

function separation({ gone, there }) {
  const sorted = there.toSorted((a, b) => a - b);
  const below = (p) => sorted.filter((q) => q < p).length + sorted.filter((q) => q === p).length / 2;
  const auc = gone.reduce((total, p) => total + below(p), 0) / Math.max(1, gone.length * there.length);
  // At most a tenth of the questions with an answer have more.
  const threshold = sorted[Math.floor(0.9 * sorted.length)] ?? 1;
  const above = (list, limit) => share(list.filter((p) => p > limit).length, list.length);
  return {
    n: there.length + gone.length,
    auc: Math.round(1000 * auc) / 1000,
    refused: above(gone, threshold),
    threshold: Math.round(1000 * threshold) / 1000,
    half: { refused: above(gone, 0.5), falsely: above(there, 0.5) },
  };
}

/** What was said and what came of it, by tenths. */
function reliability({ gone, there }) {
  return Array.from({ length: 10 }, (_, i) => {
    const inside = (p) => Math.min(9, Math.floor(10 * p)) === i;
    const [absentOnes, others] = [gone.filter(inside), there.filter(inside)];
    const all = [...absentOnes, ...others];
    const said = all.reduce((total, p) => total + p, 0) / Math.max(1, all.length);
    return { n: all.length, said: Math.round(1000 * said) / 1000, absent: share(absentOnes.length, all.length) };
  });
}

/** A model's answers with the paragraph that answers, and without it: its refusals in words count. */
async function absent(model, language, n) {
  const paragraphs = xquad(language);
  const items = spread(
    paragraphs.flatMap(({ questions, article }, i) => questions.map((one) => ({ ...one, i, article }))).filter(heldOut),
    n,
  );
  const scores = { there: [], gone: [] };
  for (const item of items) {
    const article = paragraphs.filter((one) => one.article === item.article);
    for (const kind of ['there', 'gone']) {
      const kept = article.filter((one) => kind === 'there' || one !== paragraphs[item.i]);
      const document = await open(
        kept.map(({ context }) => context),
        { model },
      );
      const answer = await document.ask(item.question, { mode: 'passages', maxTokens: 64 });
      scores[kind].push(answer.absent.probability);
      document.close();
    }
  }
  return separation(scores);
}

export async function run(model, values, machine) {
  if (!existsSync(data('xquad.en.json'))) throw new Error('../shared/data/documents is not there');
  const parts = (values.parts ?? 'retrieval,pdf,xquad,absent').split(',');
  const languages = (values.languages ?? 'en,de').split(',');
  const n = Number(values.n);
  const embedder = values.embedder === undefined ? undefined : await Octavo.load(values.embedder, { device: 'wasm' });
  const file = new ResultFile(
    values.json,
    { model: model.name.replace(/^.*[\\/]/, ''), fingerprint: model.fingerprint, device: model.device.kind },
    machine,
  );
  const keys = [];
  const note = (part, key, result) => {
    keys.push(key);
    console.log(part, key, JSON.stringify({ ...result, outcomes: undefined }));
    file.add(part, key, result, [...new Set([...Object.keys(file.parts[part] ?? {}), ...keys])]);
  };
  for (const language of languages) {
    if (parts.includes('retrieval')) {
      note('retrieval', `XQuAD ${language}, BM25`, await retrieval(language));
      if (embedder)
        note('retrieval', `XQuAD ${language}, BM25 and ${nameOf(embedder)}`, await retrieval(language, embedder));
    }
  }
  if (parts.includes('retrieval')) {
    note('retrieval', 'PDFs, BM25', await pdfRetrieval());
    if (embedder) note('retrieval', `PDFs, BM25 and ${nameOf(embedder)}`, await pdfRetrieval(embedder));
  }
  if (parts.includes('evidence')) {
    for (const language of languages) {
      for (const pack of [8, 30, 240])
        note('evidence', `XQuAD ${language} by ${pack}, removed`, await evidence(language, pack, 'removed'));
    }
    for (const pack of [8, 30])
      note('evidence', `XQuAD en by ${pack}, exchanged`, await evidence('en', pack, 'exchanged'));
  }
  if (parts.includes('nano'))
    for (const key of ['sparse 512', 'sparse 1000', 'sparse 2000'])
      note('answers', `nano's documents, ${key}, whole`, await nanoAnswers(model, key, n));
  if (parts.includes('pdf')) note('answers', `PDFs, passages`, await pdfAnswers(model, 'passages', n));
  for (const language of languages) {
    for (const [pack, mode] of [
      [1, 'whole'],
      [8, 'passages'],
      [30, 'passages'],
      [8, 'whole'],
    ]) {
      // `xquad` is all of them, `xquad8` those of documents of 8 paragraphs read by passages.
      const named = mode === 'passages' ? `xquad${pack}` : `xquad${pack} whole`;
      if (parts.includes('xquad') || parts.includes(named))
        note('answers', `XQuAD ${language} by ${pack}, ${mode}`, await xquadAnswers(model, language, pack, mode, n));
    }
  }
  if (parts.includes('absent'))
    for (const language of languages) note('absent', `XQuAD ${language}`, await absent(model, language, n));
  await embedder?.destroy();
}
