/** model.score: log-probabilities are those of the logits, window by window, whatever the options of the context; and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import type { Score, ScoreSettings } from '../../src/generate/score.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { onReference, testFace } from '../support/engine.ts';
import { logitsOf } from '../support/language.ts';
import { random } from '../support/random.ts';
import { SPECIALS, tinyModel } from '../support/tiny-model.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
const BOS = 256 + SPECIALS.indexOf('<|bos|>');
const LETTERS = random(7);
const TEXT = Array.from({ length: 230 }, () => String.fromCodePoint(LETTERS.integer(32, 122))).join('');
const file = tinyModel();

let model: OctavoModel;
beforeAll(async () => {
  model = await Octavo.load(file, WASM);
});
afterAll(() => model.destroy());

/** By the f64 loops: log-probabilities of `ids` after the first, each given all before it. */
async function expected(ids: readonly number[]): Promise<number[]> {
  const backend = createReferenceBackend();
  const language = (await loadModel(await openModel(file), backend)).language;
  const logits = await logitsOf(language, ids, [ids.length]);
  const width = logits.length / ids.length;
  backend.destroy();
  return ids.slice(1).map((id, i) => {
    const row = logits.subarray(i * width, (i + 1) * width);
    return row[id]! - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  });
}

function expectNear(found: ArrayLike<number>, wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length);
  const gaps = wanted.map((value, i) =>
    Number.isNaN(value) && Number.isNaN(found[i]!) ? 0 : Math.abs(found[i]! - value),
  );
  expect(Math.max(...gaps)).toBeLessThan(1e-4);
}

describe('the numbers', () => {
  test('are the logarithms of what the logits say, in windows that start anew', async () => {
    const heard: number[][] = [];
    const found = await model.score(TEXT, { window: 100, onProgress: (...progress) => heard.push(progress) });
    const ids = [...(await model.tokenize(TEXT))];
    expect([...found.ids]).toEqual(ids);
    expect(ids).toHaveLength(230);
    const windows = [ids.slice(0, 100), ids.slice(100, 200), ids.slice(200)];
    const wanted = (await Promise.all(windows.map(async (window) => [NaN, ...(await expected(window))]))).flat();
    expectNear(found.logProbs, wanted);
    expect(found.tokens).toBe(227);
    const scored = wanted.filter((value) => !Number.isNaN(value));
    expect(found.nll).toBeCloseTo(-scored.reduce((sum, value) => sum + value, 0) / 227, 5);
    expect(found.perplexity).toBeCloseTo(Math.exp(found.nll), 6);
    expect(heard.at(-1)).toEqual([230, 230]);
    expect((await model.memory()).pages).toBe(0);
  });

  test('BOS stands before every window where the model has one, and is not scored', async () => {
    const other = await Octavo.load(
      tinyModel({ metadata: { 'tokenizer.ggml.bos_token_id': BOS, 'tokenizer.ggml.add_bos_token': true } }),
      WASM,
    );
    const { ids, logProbs, tokens } = await other.score(TEXT.slice(0, 60), { window: 41 });
    const text = [...(await other.tokenize(TEXT.slice(0, 60), { special: false }))].filter((id) => id !== BOS);
    expect([...ids]).toEqual([BOS, ...text.slice(0, 40), BOS, ...text.slice(40)]);
    expect(tokens).toBe(60);
    expectNear(logProbs.subarray(0, 41), [NaN, ...(await expected([BOS, ...text.slice(0, 40)]))]);
    await other.destroy();
  });

  test('ids are read as they are', async () => {
    const ids = Int32Array.from([5, 70, 71, 72, 70, 71, 72, 70]);
    const { logProbs } = await model.score(ids);
    expectNear(logProbs, [NaN, ...(await expected([...ids]))]);
  });

  // On the f64 loops: elsewhere sums in another order may round a key to another of its few values.
  test.each<KvBits>([16, 8, 4, 2, 'staircase'])(
    'in blocks they are what they are one by one: %s bits',
    async (kvBits) => {
      const exact = await testFace(onReference).load(file);
      const settings = { context: { kvBits }, window: 150 };
      const blocks = await exact.score(TEXT, settings);
      const steps = await exact.score(TEXT, { ...settings, prompt: 1 });
      expectNear(blocks.logProbs, [...steps.logProbs]);
      await exact.destroy();
    },
  );

  test('fewer bits, fewer keys seen and evicted pages change them', async () => {
    const nll = async (settings: ScoreSettings): Promise<number> => (await model.score(TEXT, settings)).nll;
    const prompt = 160;
    const dense = await nll({});
    const behind = await nll({ prompt });
    const changed = await Promise.all([
      nll({ context: { kvBits: 8 } }),
      nll({ context: { kvBits: 2 } }),
      nll({ context: { prefill: { method: 'window', budget: 16, sinks: 4, instruction: 0 } } }),
    ]);
    const changedBehind = await Promise.all([
      nll({ prompt, context: { decode: { method: 'window', budget: 16, sinks: 4 } } }),
      nll({ prompt, context: { evict: { method: 'snapkv', keep: 0.3 } } }),
    ]);
    expect(new Set([dense, ...changed]).size).toBe(4);
    expect(new Set([behind, ...changedBehind]).size).toBe(3);
    expect((await model.memory()).pages).toBe(0);
  });
});

describe('refused', () => {
  const refused = (settings: object, text: string | Int32Array = TEXT): Promise<Score> => model.score(text, settings);
  test('options that cannot be, and texts with nothing to score', async () => {
    await expect(refused({ context: { decode: 'tokens' } })).rejects.toThrow('`prompt`');
    await expect(refused({ context: { evict: 'snapkv' } })).rejects.toThrow('`prompt`');
    await expect(refused({ context: { bits: 4 } })).rejects.toThrow('context.bits: there is no such option');
    await expect(refused({ window: 513 })).rejects.toThrow('window: 513');
    await expect(refused({ window: 100, prompt: 100 })).rejects.toThrow('prompt: 100');
    await expect(refused({}, '')).rejects.toThrow('give more text');
    await expect(refused({}, 'x')).rejects.toThrow('give more text');
    await expect(refused({ prompt: 300 })).rejects.toThrow('300 at its front');
    await expect(refused({}, Int32Array.of(1, 2, 5000))).rejects.toThrow('token 2 of the prompt is 5000');
    expect((await model.memory()).pages).toBe(0);
  });

  test('logits that are not numbers', async () => {
    const damage = (name: string, values: Float32Array): void => {
      if (name === 'output_norm.weight') values.fill(3e38);
    };
    const damaged = await Octavo.load(tinyModel({ damage }), WASM);
    await expect(damaged.score(TEXT)).rejects.toMatchObject({ name: 'ModelError', code: 'non-finite' });
    await damaged.destroy();
  });

  test('an abort ends it, and gives its pages back', async () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(new Error('enough'));
    await expect(model.score(TEXT, { signal: controller.signal, onProgress })).rejects.toThrow('enough');
    await model.score('abc');
    expect((await model.memory()).pages).toBe(0);
  });
});
