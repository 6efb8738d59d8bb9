/** The evaluation of documents: what was measured before a stop is kept, and is counted as it was asked. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { answers, summary } from '../../eval/documents/answers.mjs';
import { nested, openText, placesOf, sentenceAround } from '../../eval/documents/data.mjs';
import { Journal, saidIn } from '../../eval/documents/journal.mjs';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-journal-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const TEXT =
  'The mayor of Marston is Ida. The harbour is deep, and Ida likes it.\n\nThe mayor of Ridley is Erik. His boat is red.';

/** Answers that are known beforehand; it fails at the question after `most`. */
function scripted(said: readonly string[], most = Infinity) {
  let asked = 0;
  const model = {
    name: 'scripted',
    contextWindow: 1000,
    tokenize: async (text: string) => new Int32Array(text.length >> 2),
    async createSession() {
      return {
        promptStreaming() {
          if (asked === most) throw new Error('stopped');
          const text = said[asked++]!;
          return {
            finished: Promise.resolve({ tokens: { prompt: 7, cached: 0 }, time: { prefill: 1, decode: 1 } }),
            async *[Symbol.asyncIterator]() {
              yield text;
            },
          };
        },
        attribute: async () => ({ tokens: [], masses: new Float32Array(0) }),
        destroy() {},
      };
    },
  };
  return { model, asked: () => asked };
}

const items = ['Marston', 'Ridley', 'Linden'].map((town, i) => ({
  id: `${i}`,
  question: `Who is the mayor of ${town}?`,
  answer: ['Ida', 'Erik', 'Anna'][i]!,
  open: () => openText(TEXT),
  place: () =>
    [
      { start: TEXT.indexOf('Ida'), end: TEXT.indexOf('Ida') + 3 },
      { start: TEXT.indexOf('Erik'), end: TEXT.indexOf('Erik') + 4 },
    ][i],
}));
const settings = { mode: 'whole' };
const facts = { model: 'scripted', build: 'a' };

test('a run that was stopped goes on behind the last whole row, and says the same as one that was not', async () => {
  const path = join(folder, 'stopped.rows');
  const said = ['Ida', 'the red boat', 'Anna'];
  const notes: { n: number }[] = [];
  const measure = (model: unknown, journal: Journal) =>
    answers(model, {
      part: 'towns',
      items,
      settings,
      n: 3,
      journal,
      note: (result: { n: number }) => notes.push(result),
      embedder: undefined,
      replay: undefined,
    });
  const first = scripted(said, 2);
  await expect(measure(first.model, new Journal(path, facts))).rejects.toThrow('stopped');
  expect(notes.map(({ n }) => n)).toEqual([1, 2]);
  appendFileSync(path, '{"part":"towns","id":"2","row":{"go');
  const second = scripted(said.slice(2));
  await measure(second.model, new Journal(path, facts));
  expect(second.asked()).toBe(1);
  const whole = scripted(said);
  await measure(whole.model, new Journal(undefined, facts));
  const timeless = (one: object): object => ({ ...one, seconds: undefined });
  expect(timeless(notes.at(-1)!)).toEqual(timeless(notes[2]!));
  expect(notes.at(-1)).toMatchObject({
    n: 3,
    gold: { right: 2 },
    precision: { right: 1, n: 1 },
    exactRight: { right: 1, n: 1 },
    outcomes: '101',
  });
  expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toHaveLength(4);
  // Another build's rows are set aside, not mixed in and not lost.
  expect(new Journal(path, { ...facts, build: 'b' }).row('towns', '0')).toBeUndefined();
  expect(readdirSync(folder).filter((name) => name.endsWith('.old'))).toHaveLength(1);
});

test('what was said in an earlier run is quoted and counted without asking the model', async () => {
  const path = join(folder, 'said.rows');
  const said = ['Ida is the mayor of all Marston.', 'The mayor of Ridley is Erik.'];
  const rows = said.map((text, i) =>
    JSON.stringify({ part: 'towns', id: `${i}`, row: { text: 'a quote', said: text } }),
  );
  writeFileSync(path, `${[JSON.stringify(facts), ...rows].join('\n')}\n`);
  const { model, asked } = scripted([]);
  const notes: object[] = [];
  await answers(model, {
    part: 'towns',
    items: items.slice(0, 2),
    settings,
    n: 2,
    journal: new Journal(undefined, facts),
    note: (result: object) => notes.push(result),
    embedder: undefined,
    replay: saidIn(path),
  });
  expect(asked()).toBe(0);
  expect(notes.at(-1)).toMatchObject({
    n: 2,
    gold: { right: 2 },
    goldSaid: { right: 2 },
    quoted: { changed: 1, gained: 0, lost: 0, gain: [0, -0.49, 0.49] },
  });
});

test('a longer run contains a shorter one, and every beginning is spread over the list', () => {
  const list = Array.from({ length: 1190 }, (_, i) => i);
  const order = nested(list);
  expect(order.toSorted((a, b) => a - b)).toEqual(list);
  for (const n of [12, 48, 200]) {
    const sorted = order.slice(0, n).toSorted((a, b) => a - b);
    const gaps = sorted.map((at, i) => at - (sorted[i - 1] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan((3 * list.length) / n);
  }
});

test('a place is found whatever stands between its words, and its sentence ends at full stops', () => {
  const text = 'He left. It was the “Red\nStar”, in 1903. Redstar is another.';
  const [place] = placesOf(text, 'red star');
  expect(text.slice(place!.start, place!.end)).toBe('Red\nStar');
  const sentence = sentenceAround(text, place!.start, place!.end);
  expect(text.slice(sentence.start, sentence.end)).toBe('It was the “Red\nStar”, in 1903.');
  expect(placesOf(text, 'Star, in 19')).toEqual([]);
});

test('citations of wrong answers do not count', () => {
  const row = {
    text: '',
    mode: 'whole',
    kinds: ['exact'],
    right: [false],
    page: false,
    span: false,
    literal: true,
    words: [false],
    bm25: false,
    tokens: 1,
    times: [1, 1, 1, 1, 1],
  };
  expect(
    summary([
      { ...row, gold: false },
      { ...row, gold: true, right: [true] },
    ]),
  ).toMatchObject({
    gold: { right: 1, n: 2 },
    precision: { right: 1, n: 1 },
    recall: { right: 1, n: 1 },
    words: { recall: { right: 0, n: 1 } },
  });
});
