/** The evaluation of long contexts: its items, differences of means, and a run that goes on where the last one stopped. */
import { readFile, rm } from 'node:fs/promises';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { LONG_OPTIONS, figures, run as long } from '../../eval/long.mjs';
import { LongItems, SCORED } from '../../eval/long-items.mjs';
import { LONG_METHODS } from '../../eval/methods.mjs';
import { meanDifference } from '../../eval/statistics.mjs';
import { checkContext } from '../../src/select/settings.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { testFace } from '../support/engine.ts';

const words = 'the whale and the sea were old when the ship sailed from the harbour with its captain'.split(' ');
const text = Array.from({ length: 60 }, (_, p) =>
  Array.from({ length: 50 }, (_, i) => words[(7 * p + i * (1 + (p % 5))) % words.length]).join(' '),
).join('\n\n');
const paragraphs = Array.from({ length: 12 }, (_, i) => ({
  context: `Paragraph ${i} says that the colour of house ${i} is shade ${i}. ${text.slice(300 * i, 300 * i + 250)}`,
  questions: [{ question: `What is the colour of house ${i}?`, answer: `shade ${i}` }],
}));

describe('items', () => {
  const model = { tokenize: async (said: string): Promise<string[]> => said.trim().split(/\s+/) };
  const items = (): LongItems => new LongItems(model, { text, paragraphs });
  const said = (item: { messages?: readonly { content: string }[] }): string => item.messages![0]!.content;

  test('numbers are hidden once, among others where there are several, and within the length', async () => {
    for (const [kind, count] of [
      ['needle', 1],
      ['keys', 8],
    ] as const) {
      const seen: number[] = [];
      for (let i = 0; i < 6; i++) {
        const item = await items().item(kind, 900, i);
        expect((await model.tokenize(said(item))).length).toBeLessThanOrEqual(900);
        expect((await model.tokenize(said(item))).length).toBeGreaterThan(700);
        expect(said(item).split('One of the special magic numbers')).toHaveLength(count + 1);
        const [, word] = /magic number for (\w+) mentioned/.exec(said(item))!;
        expect(said(item).split(`magic numbers for ${word} is:${item.answer}.`)).toHaveLength(2);
        seen.push(said(item).indexOf(`for ${word} is:`) / said(item).length);
        expect(await items().item(kind, 900, i)).toEqual(item);
      }
      // Depths are spread.
      expect(Math.min(...seen)).toBeLessThan(0.3);
      expect(Math.max(...seen)).toBeGreaterThan(0.6);
    }
  });

  test('all numbers are asked for together', async () => {
    const item = await items().item('queries', 900, 2);
    expect(item.parts).toHaveLength(8);
    for (const number of item.parts!) {
      const [, word] = new RegExp(`${number} for (\\w+)`).exec(item.answer!)!;
      expect(said(item)).toContain(`magic numbers for ${word} is: ${number}.`);
      expect(said(item).split(word!)).toHaveLength(3);
    }
    expect((await model.tokenize(said(item))).length).toBeLessThanOrEqual(900);
  });

  test('one reading has several questions, each of which its text answers', async () => {
    const keys = await items().reading('keys', 900, 1);
    expect((await model.tokenize(keys.text)).length).toBeLessThan(900);
    expect(keys.questions).toHaveLength(8);
    for (const { question, begun, parts } of keys.questions) {
      const [, word] = /magic number for (\w+) mentioned/.exec(question)!;
      expect(begun).toContain(`for ${word}`);
      expect(keys.text.split(`magic numbers for ${word} is: ${parts[0]}.`)).toHaveLength(2);
    }
    const packed = await items().reading('xquad', 900, 1);
    expect((await model.tokenize(packed.text)).length).toBeLessThan(900);
    const houses = packed.questions.map(({ question }) => /house (\d+)\?/.exec(question)![1]);
    expect(new Set(houses).size).toBe(houses.length);
    expect(houses.length).toBeGreaterThan(3);
    packed.questions.forEach(({ parts }, i) => {
      expect(parts).toEqual([`shade ${houses[i]}`]);
      expect(packed.text).toContain(`house ${houses[i]} is ${parts[0]}`);
    });
    await expect(items().reading('needle', 900, 1)).rejects.toThrow('take of keys, xquad');
  });

  test('a question comes with its paragraph, and a window of text with its end', async () => {
    const item = await items().item('xquad', 400, 3);
    const [, house] = /colour of house (\d+)\?/.exec(said(item))!;
    expect(item.answer).toBe(`shade ${house}`);
    expect(said(item)).toContain(paragraphs[Number(house)]!.context);
    expect(said(item)).not.toBe(said(await items().item('xquad', 400, 4)));
    const window = await items().item('text', 500, 2);
    expect(window.ids).toHaveLength(500);
    expect(window.prompt).toBe(500 - SCORED);
    await expect(items().item('text', 5000, 0)).rejects.toThrow('10000 are needed');
    await expect(items().item('prose', 500, 0)).rejects.toThrow('prose');
  });
});

test('every method is one that sessions take', () => {
  for (const { context } of Object.values(LONG_METHODS)) expect(() => checkContext(context, 8192)).not.toThrow();
});

test('differences of means are paired, with the interval of Student', () => {
  // Differences 1, 2, 3: mean 2, deviation 1, and t(2) = 4.303.
  const found = meanDifference([2, 4, 6], [1, 2, 3]);
  expect(found).toMatchObject({ n: 3, difference: 2 });
  expect(found.high - found.difference).toBeCloseTo(4.303 / Math.sqrt(3), 6);
  expect(meanDifference([5, 5], [4, 4])).toMatchObject({ low: 1, high: 1 });
  expect(meanDifference([1], [1]).high).toBe(Infinity);
  expect(() => meanDifference([1], [1, 2])).toThrow('paired');
});

describe('a run', () => {
  let model: OctavoModel;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'octavo-long-'));
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    const nano = await readFile(new URL('../../models/nano/nano.gguf', import.meta.url));
    model = await testFace().load(new Uint8Array(nano), { device: 'wasm', threads: 1 });
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    await model.destroy();
    await rm(folder, { recursive: true });
  });

  test('adds what is missing to its file, item by item, and measures nothing twice', async () => {
    const file = join(folder, 'text.txt');
    writeFileSync(file, text);
    const json = join(folder, 'long.json');
    const defaults = Object.fromEntries(
      Object.entries(LONG_OPTIONS).map(([name, option]) => [name, 'default' in option ? option.default : undefined]),
    );
    const values = { ...defaults, text: file, json, lengths: '256', parts: 'text,needle', only: 'kv4' };
    const scored = jest.spyOn(model, 'score');
    const first = await long(model, { ...values, n: '1' }, 'a machine');
    expect(scored).toHaveBeenCalledTimes(4);
    const second = await long(model, { ...values, n: '2' }, 'a machine');
    expect(scored).toHaveBeenCalledTimes(8);
    await long(model, { ...values, n: '2', minutes: '0' }, 'a machine');
    expect(scored).toHaveBeenCalledTimes(8);
    expect((JSON.parse(readFileSync(json, 'utf8')) as typeof second).parts).toEqual(second.parts);
    for (const [part, rows] of Object.entries(second.parts)) {
      for (const [key, { nll, outcomes, bytes }] of Object.entries(rows)) {
        expect(nll).toHaveLength(2);
        expect(nll![0]).toBe(first.parts[part]![key]!.nll![0]);
        if (part.startsWith('text')) continue;
        expect(outcomes).toMatch(/^[01]{2}$/);
        if (key === 'kv4') expect(bytes!).toBeLessThan(0.8 * rows['dense']!.bytes!);
      }
    }
    const { dense, kv4 } = second.parts['needle 256']!;
    expect(figures('4 bits', kv4!, dense!)).toMatch(/nats \S+ \(n 2\) .*right \d+ % \(n 2\).*tokens\/s.*MB/);
  });

  test('asks one reading several times, and counts by text', async () => {
    const file = join(folder, 'text.txt');
    writeFileSync(file, text);
    const defaults = Object.fromEntries(
      Object.entries(LONG_OPTIONS).map(([name, option]) => [name, 'default' in option ? option.default : undefined]),
    );
    const values = { ...defaults, text: file, lengths: '448', parts: 'keys', by: 'followups', only: 'kv4', n: '2' };
    const opened = jest.spyOn(model, 'createSession');
    const { parts } = await long(model, values, 'a machine');
    // One session for a text and a method: the others are its clones.
    expect(opened).toHaveBeenCalledTimes(4);
    const { dense, kv4 } = parts['keys 448']!;
    for (const { readings } of [dense!, kv4!]) expect(readings!.every((found) => /^[01]{8}$/.test(found))).toBe(true);
    expect(figures('4 bits', { readings: ['10000000', '11111111'] }, { readings: ['11111111', '11111111'] })).toMatch(
      /all 56\.3 % \(n 16 of 2 texts\) {2}-43\.8 \[.*later 50\.0 % \(n 14 of 2 texts\) {2}-50\.0 \[/,
    );
  });
});
