// How well the share of a question's words that search finds tells whether the documents say it at all: `absent.probability`, which needs no model, and what a model adds.
import { InputError } from 'octavo';
import { share } from '../statistics.mjs';
import { nested, ofArticles, openText, spread, xquad } from './data.mjs';

/** Says nothing: `absent` is told from the search alone, so its thousands of questions need no model. */
export const mute = {
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

/** The weights of `absent` were fitted to the articles with even numbers. */
const heldOut = ({ article }) => ofArticles('odd')(article);

/**
 * Probabilities that the text does not say it, of questions with (`there`) and without an answer (`gone`), of held-out articles in documents of `pack` paragraphs.
 * `gone`: the paragraph that answers is taken out (`removed`), or the question asks for somebody else (`exchanged`, English only).
 */
export async function evidence(language, pack, kind) {
  const paragraphs = xquad(language);
  const names = [...new Set(paragraphs.map(({ article }) => article))].map((article) => {
    const text = paragraphs.flatMap((one) => (one.article === article ? [one.context] : [])).join(' ');
    return [...new Set(text.match(/(?<=[a-z,] )\p{Lu}\p{Ll}+(?: \p{Lu}\p{Ll}+)*/gu) ?? [])];
  });
  const together = (list) => list.map((one) => one.context).join('\n\n');
  const probability = async (document, question) =>
    (await document.ask(question, { model: mute, mode: 'passages' })).absent.probability;
  const scores = { there: [], gone: [] };
  for (let from = 0; from < paragraphs.length; from += pack) {
    const group = paragraphs.slice(from, from + pack);
    if (!group.some(heldOut)) continue;
    const whole = await openText(together(group));
    // Each needs an index of its own.
    for (const own of spread(group.filter(heldOut), 30)) {
      const without = await openText(together(group.filter((one) => one !== own)));
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

/**
 * A model's answers with the paragraph that answers, and without it: its refusals in words count. `note` gets the result after each question, `journal` keeps them.
 */
export async function absent(model, { part, language, n, journal, note }) {
  const paragraphs = xquad(language);
  const items = nested(
    paragraphs.flatMap(({ questions, article }, i) =>
      heldOut({ article }) ? questions.map(({ question }, q) => ({ id: `${i}.${q}`, question, i, article })) : [],
    ),
  ).slice(0, n);
  const scores = { there: [], gone: [] };
  for (const { id, question, i, article } of items) {
    let row = journal.row(part, id);
    if (row === undefined) {
      row = {};
      for (const kind of ['there', 'gone']) {
        const kept = paragraphs.filter((one, at) => one.article === article && (kind === 'there' || at !== i));
        const document = await openText(kept.map(({ context }) => context).join('\n\n'));
        const answer = await document.ask(question, { model, mode: 'passages', maxTokens: 64 });
        row[kind] = { probability: answer.absent.probability, text: answer.text };
        document.close();
      }
      journal.add(part, id, row);
    }
    scores.there.push(row.there.probability);
    scores.gone.push(row.gone.probability);
    note(separation(scores));
  }
}
