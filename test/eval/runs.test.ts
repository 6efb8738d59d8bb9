/** The evaluations themselves, small: two runs give the same, a file is added to, and the charts of what was recorded are well-formed. */
import { spawnSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { drawContext, drawVisual } from '../../eval/charts.mjs';
import { CONTEXT_OPTIONS, joined, run as context } from '../../eval/context.mjs';
import { run as gallery } from '../../eval/gallery.mjs';
import { run as perplexity } from '../../eval/perplexity.mjs';
import { run as visual, VISUAL_OPTIONS } from '../../eval/visual.mjs';
import type { OctavoModel } from '../../src/face/model.ts';
import { testFace } from '../support/engine.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';
import { checkXml } from './xml.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
const defaults = (options: Readonly<Record<string, { readonly default: string }>>): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, option]) => [name, option.default]));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-eval-'));
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterAll(async () => {
  jest.restoreAllMocks();
  await rm(folder, { recursive: true });
});

test.each([
  ['bench/run.mjs', ['text', '--nope'], 2, /^Unknown option '--nope'.*usage: /s],
  ['eval/run.mjs', ['long', '--help'], 0, /^usage: npm run eval -- long .*--lengths <value> +default 2048,4096/s],
])('%s %j prints its usage', (file, args, status, said) => {
  const run = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8' });
  const text = status === 0 ? run.stdout : run.stderr;
  expect({ status: run.status, text }).toEqual({ status, text: expect.stringMatching(said) });
  expect(text).not.toContain('    at ');
});

describe('context', () => {
  let model: OctavoModel;
  beforeAll(async () => {
    model = await Octavo.load(
      new Uint8Array(await readFile(new URL('../../models/nano/nano.gguf', import.meta.url))),
      WASM,
    );
  });
  afterAll(() => model.destroy());
  const values = {
    ...defaults(CONTEXT_OPTIONS),
    only: 'dense,kv8,blocks',
    n: '2',
    rows: 'sparse 512',
    lengths: '256',
    depths: '0,1',
    each: '1',
  };

  test('perplexity says what was chosen where a context leaves that open', async () => {
    const text = join(folder, 'text.txt');
    writeFileSync(text, 'The gate of the east wing is opened at nine by the keeper. '.repeat(20));
    const context = ['kvBits=8', 'preset=balanced'];
    const values = { window: '512', prompt: '0', text, from: '', context };
    const { parts } = await perplexity(model, values, 'a machine');
    const [eight, balanced] = context.map((key) => parts.contexts[key]);
    expect(eight!.chosen).toBeUndefined();
    expect(balanced!.chosen).toMatchObject({ options: { kvBits: 8 } });
    expect(balanced!.nll).toBe(eight!.nll);
  });

  test('two runs are equal, and what the file holds is not measured again', async () => {
    const json = join(folder, 'context.json');
    const first = await context(model, { ...values, json }, 'a machine');
    expect(Object.keys(first.parts.documents)).toEqual(['dense', 'kv8', 'blocks']);
    const { dense, kv8 } = first.parts.documents;
    expect(dense!['sparse 512']!.outcomes).toMatch(/^[01]{2}$/);
    expect(kv8!['sparse 512']!.bytes).toBeLessThan(0.5 * dense!['sparse 512']!.bytes);
    expect(joined(first.parts.needles['dense']!)).toMatch(/^[01]{2}$/);
    const second = await context(model, values, 'a machine');
    const told = ({ parts }: typeof first): unknown => [
      parts.needles,
      Object.values(parts.documents).map((rows) =>
        Object.values(rows).map(({ outcomes, ids, bytes }) => [outcomes, ids, bytes]),
      ),
    ];
    expect(told(second)).toEqual(told(first));
    const third = await context(model, { ...values, only: 'kv4', parts: 'documents', json }, 'another machine');
    expect(Object.keys(third.parts.documents).toSorted()).toEqual(['blocks', 'dense', 'kv4', 'kv8']);
    expect(Object.keys((JSON.parse(readFileSync(json, 'utf8')) as typeof first).parts.documents)).toEqual([
      'dense',
      'kv8',
      'kv4',
      'blocks',
    ]);
  });

  test('charts and tables of a record', async () => {
    const record = JSON.parse(readFileSync(join(folder, 'context.json'), 'utf8')) as unknown;
    const files = drawContext(record);
    expect(Object.keys(files).toSorted()).toEqual(['accuracy.svg', 'figures.md', 'needles.svg']);
    checkXml(files['accuracy.svg']!);
    checkXml(files['needles.svg']!);
    expect(files['figures.md']).toContain('| 8 bits |');
    expect(Object.values(files).join('')).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('unknown methods and rows are refused', async () => {
    await expect(context(model, { ...values, only: 'kv9' }, '')).rejects.toThrow('kv9');
    await expect(context(model, { ...values, rows: 'sparse 513' }, '')).rejects.toThrow('sparse 513');
  });
});

describe('visual', () => {
  let model: OctavoModel;
  beforeAll(async () => {
    model = await Octavo.load(tinyUniPic(), WASM);
  });
  afterAll(() => model.destroy());
  const values = { ...defaults(VISUAL_OPTIONS), only: 'todre,random', shares: '1,0.25', kinds: 'colour,words', n: '2' };

  test('two runs are equal, and shares are of the tokens that may go', async () => {
    const first = await visual(model, values, 'a machine');
    // Shown at 16 pixels, in patches of 4, with three buffers.
    expect(first.tokens).toEqual({ free: 16, fixed: 3 });
    expect(Object.keys(first.parts.seeing)).toEqual(['all', 'blind', 'todre 0.25', 'random 0.25']);
    const kept = (name: string): number => first.parts.seeing[name]!.kinds['colour']!.kept;
    expect(kept('all') - kept('todre 0.25')).toBe(2 * 12);
    const second = await visual(model, values, 'a machine');
    const told = ({ parts }: typeof first): unknown =>
      Object.entries(parts.seeing).map(([name, { bytes, kinds }]) => [
        name,
        bytes,
        Object.values(kinds).map(({ outcomes, kept }) => [outcomes, kept]),
      ]);
    expect(told(second)).toEqual(told(first));
    const files = drawVisual({ ...first, model: 'tiny', fingerprint: 'f'.repeat(64), date: '' });
    checkXml(files['accuracy.svg']!);
    expect(Object.values(files).join('')).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('a pack of pictures is asked by the tower, and each method is compared with chance', async () => {
    const seeing = await Octavo.load(
      tinyUniPic({ siglip: true, metadata: { 'unipic.understanding': 'siglip' } }),
      WASM,
    );
    const size = 24;
    const plain = (level: number): string =>
      deflateSync(new Uint8Array(3 * size * size).fill(level)).toString('base64');
    const pack = {
      split: 'held_out',
      seed: 1,
      size,
      pictures: [plain(0), plain(200)],
      kinds: {
        what: [
          [0, 'a?', 'b'],
          [1, 'a?', 'c'],
        ],
        read: [[1, 'd?', 'e']],
      },
    };
    const items = join(folder, 'pack.json.gz');
    writeFileSync(items, gzipSync(JSON.stringify(pack)));
    const record = await visual(seeing, { ...values, items, kinds: '', shares: '1,0.5', n: '500' }, 'a machine');
    await seeing.destroy();
    expect(record).toMatchObject({ split: 'held_out', size, kinds: ['what', 'read'], tokens: { free: 4, fixed: 0 } });
    expect(Object.keys(record.parts.seeing)).toEqual(['all', 'blind', 'todre 0.5', 'random 0.5']);
    expect(record.parts.seeing['todre 0.5']!.kinds['what']!.outcomes).toMatch(/^[01]{2}$/);
    expect(
      record.parts.seeing['all']!.kinds['read']!.kept - record.parts.seeing['todre 0.5']!.kinds['read']!.kept,
    ).toBe(2);
    const { 'figures.md': figures } = drawVisual({ ...record, model: 'tiny', fingerprint: 'f'.repeat(64), date: '' });
    const intervals = (row: string): number | undefined =>
      figures
        ?.split('\n')
        .find((line) => line.startsWith(`| ${row}`))
        ?.match(/\[/g)?.length;
    // The accuracy's own, against all tokens, and against random tokens of the same number.
    expect([intervals('all tokens'), intervals('random'), intervals('ToDRE')]).toEqual([1, 2, 3]);
  });
});

test('the gallery is painted and edited: the pictures that were asked for, by task, and what they are judged by', async () => {
  const model = await Octavo.load(tinyUniPic(), WASM);
  const size = 16;
  const source = deflateSync(new Uint8Array(3 * size * size).fill(200)).toString('base64');
  const tasks = {
    'paint one': [
      ['a cat', null],
      ['a dog', null],
    ],
    'edit move': [['Move the cat', 0]],
  };
  const items = join(folder, 'tasks.json.gz');
  writeFileSync(items, gzipSync(JSON.stringify({ seed: 7, n: 2, size, drawings: 'ab', pictures: [source], tasks })));
  const values = { items, only: '', n: '500', steps: '2', 'diffusion-steps': '2' };
  const painted = async (more: Record<string, string>): Promise<Record<string, unknown>> => {
    const out = join(folder, 'painted.json.gz');
    await gallery(model, { ...values, ...more, out }, 'a machine');
    return JSON.parse(gunzipSync(readFileSync(out)).toString());
  };
  const { painted: all, ...facts } = await painted({});
  expect(facts).toMatchObject({ seed: 7, size, drawings: 'ab', machine: 'a machine', options: { steps: 2 } });
  const { 'paint one': cats, 'edit move': moved } = all as Record<string, string[]>;
  expect([cats!.length, moved!.length]).toEqual([2, 1]);
  const [cat, , edited] = [...cats!, ...moved!].map((text) => inflateSync(Buffer.from(text, 'base64')));
  const picture = await model.paint({ prompt: 'a cat', seed: 0, size, steps: 2, diffusionSteps: 2 });
  expect([...cat!]).toEqual([...picture.data].filter((_, i) => i % 4 !== 3));
  expect(edited!.length).toBe(3 * size * size);
  expect((await painted({ only: 'edit', n: '1' }))['painted']).toEqual({ 'edit move': moved });
  await model.destroy();
  await expect(gallery(model, { ...values, out: undefined }, '')).rejects.toThrow('--out FILE is missing');
});
