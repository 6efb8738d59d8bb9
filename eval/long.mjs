// npm run eval -- long --model FILE [--lengths 2048,4096] [--parts text,needle,keys,queries,xquad] [--by likelihood,answers,followups] [--only METHOD,...] [--n 8] [--minutes N] [--text FILE] [--json FILE]
// What keeping or seeing less of a long context costs on a real model: each method of methods.mjs on the same items (long-items.mjs), item by item beside
// the dense run. `likelihood`: nats a token of the text's end, or of the expected answer; `answers`: what the model says, with rates and bytes.
// `followups`: a text is read once, a first question is asked, and up to seven more, each in a clone of that conversation: what the first one left out binds them.
// The file is written after each item, and a run goes on where the last one stopped, be it by `--minutes`: items come first, methods second, so that a slice compares all methods.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { data, holds, xquad } from './documents/data.mjs';
import { LongItems } from './long-items.mjs';
import { chosen, LONG_METHODS } from './methods.mjs';
import { readText } from './perplexity.mjs';
import { ResultFile } from './record.mjs';
import { difference, meanDifference, share } from './statistics.mjs';

export const LONG_OPTIONS = {
  n: { type: 'string', default: '8' },
  lengths: { type: 'string', default: '2048,4096' },
  parts: { type: 'string', default: 'text,needle,keys,queries,xquad' },
  by: { type: 'string', default: 'likelihood,answers' },
  minutes: { type: 'string' },
  text: { type: 'string' },
  from: { type: 'string', default: '' },
};

/** Parts with several questions about one reading. */
const READ = ['keys', 'xquad'];

const list = (text) => text.split(',').map((part) => part.trim());
const round = (x, digits) => Number(x.toFixed(digits));

/** Nats a token that the model takes for what comes, in the context of the item. */
async function likelihood(model, context, { ids, prompt, messages, begun, answer }) {
  if (ids !== undefined) return (await model.score(ids, { context, window: ids.length, prompt })).nll;
  const { logProbs } = await model.score([...messages, { role: 'assistant', content: begun + answer }], { context });
  // The words before the answer are given, not asked.
  const asked = (await model.tokenize(answer, { special: false })).length;
  return -logProbs.slice(-asked).reduce((sum, value) => sum + value, 0) / asked;
}

/** What the model says, and what it took: tokens and milliseconds of reading and writing, and bytes of the pages before it ends. */
async function said(model, context, { messages, begun, parts, tokens: maxTokens }) {
  const before = (await model.memory()).pageBytes;
  const session = await model.createSession({ temperature: 0, maxTokens, drafts: false, context });
  try {
    const input = begun === '' ? messages : [...messages, { role: 'assistant', content: begun, prefix: true }];
    const stream = session.promptStreaming(input);
    let text = '';
    for await (const piece of stream) text += piece;
    const { tokens, time } = await stream.finished;
    return {
      right: parts.every((part) => holds(text, part)),
      read: [tokens.prompt, Math.round(time.prefill)],
      written: [tokens.generated - 1, Math.round(time.decode)],
      bytes: (await model.memory()).pageBytes - before,
      ...(session.context?.reason !== undefined && { reason: session.context.reason }),
    };
  } finally {
    session.destroy();
  }
}

/** Which questions of one reading are answered rightly, 1 or 0 each, the first one first. */
async function askedInTurn(model, context, { text, questions }) {
  const session = await model.createSession({ temperature: 0, drafts: false, context });
  const ask = async (of, { question, begun, parts, tokens: maxTokens }) => {
    const input = [
      { role: 'user', content: question },
      ...(begun === '' ? [] : [{ role: 'assistant', content: begun, prefix: true }]),
    ];
    const said = await of.prompt(input, { maxTokens });
    return parts.every((part) => holds(said, part)) ? '1' : '0';
  };
  try {
    await session.append(text);
    const [first, ...later] = questions;
    let outcomes = await ask(session, first);
    for (const question of later) {
      const clone = await session.clone();
      try {
        outcomes += await ask(clone, question);
      } finally {
        clone.destroy();
      }
    }
    return outcomes;
  } finally {
    session.destroy();
  }
}

/** One more item of a method: what is recorded is complete. */
async function measured(model, context, { item, reading }, index, by, before = {}) {
  const recorded = { ...before };
  const settings = { ...context, share: false };
  if (by.includes('likelihood') && (recorded.nll ?? []).length === index)
    recorded.nll = [...(recorded.nll ?? []), round(await likelihood(model, settings, item), 5)];
  if (by.includes('answers') && item.ids === undefined && (recorded.outcomes ?? '').length === index) {
    const { right, read, written, bytes, reason } = await said(model, settings, item);
    const add = (sums, [tokens, time]) => [(sums?.[0] ?? 0) + tokens, (sums?.[1] ?? 0) + time];
    recorded.outcomes = `${recorded.outcomes ?? ''}${right ? '1' : '0'}`;
    recorded.read = add(recorded.read, read);
    recorded.written = add(recorded.written, written);
    recorded.bytes = (recorded.bytes ?? 0) + bytes;
    if (reason !== undefined) recorded.reason = reason;
  }
  if (reading !== undefined && (recorded.readings ?? []).length === index)
    recorded.readings = [...(recorded.readings ?? []), await askedInTurn(model, settings, reading)];
  return recorded;
}

const signed = (x, digits) => `${x >= 0 ? '+' : ''}${x.toFixed(digits)}`;
const interval = ({ difference: d, low, high }, factor, digits) =>
  Number.isFinite(low)
    ? `${signed(factor * d, digits)} [${signed(factor * low, digits)}, ${signed(factor * high, digits)}]`
    : signed(factor * d, digits);

/** Shares of right answers to all questions and to those behind the first. Questions about one text are not independent: intervals are of the texts' means. */
function ofReadings(recorded, dense) {
  const texts = Math.min(recorded.readings.length, dense.readings.length);
  const mean = (digits) => digits.reduce((sum, digit) => sum + Number(digit), 0) / digits.length;
  return [
    ['all', 0],
    ['later', 1],
  ].flatMap(([name, from]) => {
    const [ours, theirs] = [recorded, dense].map(({ readings }) =>
      readings.slice(0, texts).map((outcomes) => [...outcomes].slice(from)),
    );
    return [
      `${name} ${(100 * mean(ours.flat())).toFixed(1)} % (n ${ours.flat().length} of ${texts} texts)`,
      recorded === dense ? '' : interval(meanDifference(ours.map(mean), theirs.map(mean)), 100, 1),
    ];
  });
}

/** A line of a method's figures beside those of `dense`, over the items that both have. */
export function figures(title, recorded, dense) {
  const cells = [];
  const nll = Math.min(recorded.nll?.length ?? 0, dense.nll?.length ?? 0);
  if (nll > 0) {
    const mean = recorded.nll.slice(0, nll).reduce((sum, value) => sum + value, 0) / nll;
    const d = meanDifference(recorded.nll.slice(0, nll), dense.nll.slice(0, nll));
    cells.push(`nats ${mean.toFixed(3)} (n ${nll})`, recorded === dense ? '' : interval(d, 1, 3));
  }
  const answers = Math.min(recorded.outcomes?.length ?? 0, dense.outcomes?.length ?? 0);
  if (answers > 0) {
    const ours = recorded.outcomes.slice(0, answers);
    const { share: part } = share([...ours].filter((digit) => digit === '1').length, answers);
    const d = difference(ours, dense.outcomes.slice(0, answers));
    cells.push(`right ${(100 * part).toFixed(0)} % (n ${answers})`, recorded === dense ? '' : interval(d, 100, 0));
    const rate = ([tokens, time]) => (time > 0 ? ((1000 * tokens) / time).toFixed(0) : '-');
    cells.push(
      `${rate(recorded.read)} / ${rate(recorded.written)} tokens/s`,
      `${(recorded.bytes / 1e6 / recorded.outcomes.length).toFixed(1)} MB`,
    );
  }
  if (recorded.readings !== undefined && dense.readings !== undefined) cells.push(...ofReadings(recorded, dense));
  return `${title.padEnd(38)} ${cells.filter((cell) => cell !== '').join('  ')}`;
}

/**
 * Measures and records; `values` are the command's options.
 * @param {import('../src/public.ts').OctavoModel} model
 * @param {Readonly<Record<string, string | undefined>>} values
 * @param {string} machine
 * @returns {Promise<{ parts: Record<string, Record<string, { nll?: number[]; outcomes?: string; readings?: string[]; read?: number[]; written?: number[]; bytes?: number; refused?: string }>> }>}
 */
export async function run(model, values, machine) {
  const parts = list(values.parts);
  const path = values.text ?? data('moby-dick.txt');
  for (const needed of [path, ...(parts.includes('xquad') ? [data('xquad.en.json')] : [])])
    if (!existsSync(needed))
      throw new Error(`${needed} is not there; give --text FILE, and ../shared/data/documents for XQuAD`);
  const text = readText(path, values.from);
  const items = new LongItems(model, { text, paragraphs: parts.includes('xquad') ? xquad('en') : [] });
  const facts = {
    evaluation: 'long',
    model: basename(model.name),
    fingerprint: model.fingerprint,
    device: model.device.kind,
    text: { file: basename(path), sha256: createHash('sha256').update(text).digest('hex') },
  };
  const file = new ResultFile(values.json, facts, machine);
  const kept = { ...file.parts };
  const by = list(values.by);
  const methods = chosen(values.only, LONG_METHODS);
  const until = performance.now() + 60_000 * Number(values.minutes ?? Infinity);
  for (const length of list(values.lengths).map(Number)) {
    if (length > model.contextWindow)
      throw new Error(`--lengths ${length}: the model's window has ${model.contextWindow}`);
    for (const kind of parts) {
      const part = `${kind} ${length}`;
      for (let index = 0; index < Number(values.n) && performance.now() < until; index += 1) {
        const asked = {
          ...(by.some((name) => name !== 'followups') && { item: await items.item(kind, length, index) }),
          ...(by.includes('followups') && READ.includes(kind) && { reading: await items.reading(kind, length, index) }),
        };
        for (const [key, { context }] of methods) {
          if (performance.now() >= until) break;
          const before = kept[part]?.[key];
          if (before?.refused !== undefined) continue;
          const recorded = await measured(model, context, asked, index, by, before).catch((error) => {
            if (error?.name !== 'InputError') throw error;
            return { refused: error.message };
          });
          kept[part] = { ...kept[part], [key]: recorded };
          file.add(part, key, recorded, Object.keys(LONG_METHODS));
        }
      }
      if (kept[part]?.dense === undefined) continue;
      console.log(`\n${part}`);
      for (const [key, { title }] of methods) {
        const recorded = kept[part][key];
        if (recorded?.refused !== undefined) console.log(`${title.padEnd(38)} refused: ${recorded.refused}`);
        else if (recorded !== undefined) console.log(figures(title, recorded, kept[part].dense));
      }
    }
  }
  return { ...facts, machine, parts: kept };
}
