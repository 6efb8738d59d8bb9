// One question after another: whether the answer holds the expected words, and whether its citations stand where they should; beside them, the citations that words
// alone would have made of the same answer, and the sentence that BM25 finds with the question alone.
import MiniSearch from 'minisearch';
import { InputError } from 'octavo';
import { difference, share } from '../statistics.mjs';
import { holds, pageOf, plain, sentenceAround } from './data.mjs';

const overlaps = (a, b) => a.start < b.end && b.start < a.end;
const iou = (a, b) =>
  Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start)) /
  (Math.max(a.end, b.end) - Math.min(a.start, b.start));

/** A model that says what was said before and cannot tell where it looked; `seen` gets what it is shown. */
function replaying(model, said, seen) {
  return {
    name: model.name,
    parameters: model.parameters,
    contextWindow: model.contextWindow,
    tokenize: (...given) => model.tokenize(...given),
    async createSession() {
      return {
        promptStreaming(input) {
          seen.push(input);
          return {
            finished: Promise.resolve({ tokens: { prompt: 0, cached: 0 }, time: { prefill: 0, decode: 0 } }),
            async *[Symbol.asyncIterator]() {
              yield said;
            },
          };
        },
        attribute: async () => {
          throw new InputError('argument', 'what is replayed has no attention');
        },
        destroy() {},
      };
    },
  };
}

/** The sentence of the document that BM25 ranks first for the question. */
function bestSentence(document, question) {
  const sentences = [...new Intl.Segmenter(document.language, { granularity: 'sentence' }).segment(document.text)];
  const index = new MiniSearch({ fields: ['segment'], idField: 'index' });
  index.addAll(sentences);
  const [best] = index.search(question);
  return best && { start: best.id, end: best.id + sentences.find((one) => one.index === best.id).segment.length };
}

/** The row of one item. `settings`: mode and budget. */
export async function answerTo(model, document, item, settings) {
  const begun = performance.now();
  const stream = document.ask(item.question, { ...settings, model, maxTokens: 96 });
  let first;
  for await (const piece of stream) if (piece !== '') first ??= performance.now() - begun;
  const { citations, absent, time, read, text, said, mode } = await stream.finished;
  const place = item.place(document);
  const sentence = place && sentenceAround(document.text, place.start, place.end);
  const right = (one) => sentence !== undefined && overlaps(one, sentence);
  const page = place && pageOf(document.pages, place.start);
  const seen = [];
  const words =
    mode === 'windows'
      ? undefined
      : (await document.ask(item.question, { ...settings, mode, model: replaying(model, said, seen) })).citations;
  const bm25 = bestSentence(document, item.question);
  return {
    text,
    said,
    mode,
    gold: holds(text, item.answer),
    // In what the model itself said, of which `text` may be made a quote.
    goldSaid: holds(said, item.answer),
    lengths: [text, said].map((one) => plain(one).split(' ').length),
    beside: citations.some(({ sentence: around }) => holds(around, item.answer)),
    // The mark of a sentence that was shown: its beginning stands in the prompt.
    ...(seen.length > 0 &&
      sentence && {
        shown: seen[0].includes(document.text.slice(place.start, sentence.end).split('\n')[0].slice(0, 60)),
      }),
    kinds: citations.map(({ kind }) => kind),
    right: citations.map((one) => right(one)),
    page: citations[0] !== undefined && citations[0].page === page,
    span: place !== undefined && citations.some((one) => iou(one, place) >= 0.5),
    literal: citations.every(({ start, end, quote }) => document.text.slice(start, end) === quote),
    ...(words && { words: words.map((one) => right(one)) }),
    bm25: bm25 !== undefined && right(bm25),
    absent: Math.round(1000 * absent.probability) / 1000,
    tokens: read.tokens,
    passages: read.passages,
    times: [time.search, time.prefill, time.decode, time.cite, first ?? 0].map(Math.round),
  };
}

/** The share of the expected words that the answer has, in any order. */
function coverage(said, wanted) {
  const there = new Set(plain(said).split(' '));
  const words = plain(wanted).split(' ');
  return words.filter((word) => there.has(word)).length / words.length;
}

/** What quoting changes: answers with the expected words, paired, and the mean words of an answer. */
function paired(rows) {
  const both = rows.filter((row) => row.lengths !== undefined);
  const outcomes = (right) => both.map((row) => (right(row) ? '1' : '0')).join('');
  const {
    won,
    lost,
    difference: gain,
    low,
    high,
  } = difference(
    outcomes(({ gold }) => gold),
    outcomes(({ goldSaid }) => goldSaid),
  );
  const mean = (at) => both.reduce((sum, { lengths }) => sum + lengths[at], 0) / both.length;
  return {
    changed: both.filter(({ text, said }) => text !== said).length,
    gained: won,
    lost,
    gain: [gain, low, high],
    words: [0, 1].map((at) => Math.round(1000 * mean(at)) / 1000),
  };
}

const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const count = (rows, test) => share(rows.filter((row) => test(row)).length, rows.length);

/** Shares of all rows, with their intervals. */
export function summary(rows) {
  const answered = rows.filter(({ gold }) => gold);
  const cited = answered.flatMap(({ kinds, right }) => kinds.map((kind, i) => ({ kind, right: right[i] })));
  const words = answered.filter((row) => row.words !== undefined);
  const seconds = (at) => Math.round(middle(rows.map(({ times }) => times[at])) / 10) / 100;
  return {
    n: rows.length,
    gold: count(rows, ({ gold }) => gold),
    goldSaid: count(rows, ({ goldSaid }) => goldSaid),
    quoted: paired(rows),
    // What is read beside an answer: the sentences that it is cited with.
    goldOrBeside: count(rows, ({ gold, beside }) => gold || beside === true),
    // Answers with at least half of the expected words: a name without its title, a number without its unit.
    goldByHalf: count(rows, ({ covered }) => covered >= 0.5),
    shown: count(
      rows.filter((row) => row.shown !== undefined),
      ({ shown }) => shown,
    ),
    // Of right answers: citations that stand in the sentence with the answer, and answers with such a citation.
    precision: count(cited, ({ right }) => right),
    recall: count(answered, ({ right }) => right.includes(true)),
    exactShare: count(cited, ({ kind }) => kind === 'exact'),
    exactRight: count(
      cited.filter(({ kind }) => kind === 'exact'),
      ({ right }) => right,
    ),
    literal: count(rows, ({ literal }) => literal),
    span: count(answered, ({ span }) => span),
    // Of all answers, right and wrong.
    page: count(rows, ({ page }) => page),
    spanOfAll: count(rows, ({ span }) => span),
    words: {
      precision: count(
        words.flatMap((row) => row.words),
        (right) => right,
      ),
      recall: count(words, (row) => row.words.includes(true)),
    },
    bm25: count(answered, ({ bm25 }) => bm25),
    tokens: middle(rows.map(({ tokens }) => tokens)),
    seconds: { search: seconds(0), prefill: seconds(1), decode: seconds(2), cite: seconds(3), first: seconds(4) },
    modes: Object.fromEntries(
      [...new Set(rows.map(({ mode }) => mode))].map((mode) => [mode, rows.filter((row) => row.mode === mode).length]),
    ),
    outcomes: rows.map(({ gold }) => (gold ? '1' : '0')).join(''),
  };
}

/** The first `n` items of a part. Rows that the journal has are not measured again, and answers that `replay` has are not asked for: they are cited and quoted by words alone; `note` gets the summary after each new one. */
export async function answers(model, { part, items, settings, embedder, n, journal, note, replay }) {
  /** Documents with several items stay open. */
  const shared = new Map();
  const rows = [];
  try {
    for (const item of items.slice(0, n)) {
      const known = journal.row(part, item.id);
      if (known !== undefined) {
        rows.push({ ...known, covered: coverage(known.text, item.answer) });
        continue;
      }
      const document = shared.get(item.document) ?? (await item.open({ ...(embedder && { embedder }) }));
      if (item.document !== undefined) shared.set(item.document, document);
      const said = replay?.get(item.id);
      const row = await answerTo(said === undefined ? model : replaying(model, said, []), document, item, settings);
      if (item.document === undefined) document.close();
      journal.add(part, item.id, row);
      rows.push({ ...row, covered: coverage(row.text, item.answer) });
      note(summary(rows));
    }
  } finally {
    for (const document of shared.values()) document.close();
  }
  if (rows.length > 0) note(summary(rows));
}
