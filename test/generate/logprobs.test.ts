/** Log-probabilities of answers: the model's own distribution, whatever draws from it, on both devices; and what sessions count. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EngineModel } from '../../src/engine/model.ts';
import { openDevice, type Device } from '../../src/engine/device.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import type { TokenLogProb } from '../../src/generate/options.ts';
import { Session } from '../../src/session.ts';
import { bitsOf, always } from '../support/constraint.ts';
import { loadTest, onReference, testFace, testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { IM_END, tinyModel } from '../support/tiny-model.ts';

const present = await hasGpu();
if (!present) console.warn('skipped: no GPU adapter');
const story = present ? test : test.skip;

const file = tinyModel();
let model: OctavoModel;
beforeAll(async () => {
  model = await testFace().load(file, { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

const logprobs = (tokens: readonly TokenLogProb[] | undefined): number[] =>
  (tokens ?? []).map((token) => token.logprob);
function expectNear(found: readonly number[], wanted: readonly number[], most: number): void {
  expect(found).toHaveLength(wanted.length);
  expect(Math.max(...wanted.map((value, i) => Math.abs(found[i]! - value)))).toBeLessThan(most);
}

/** What `score` says of the last `count` ids of a prompt and its answer. */
async function scored(prompt: string, ids: readonly number[]): Promise<number[]> {
  const all = Int32Array.from([...(await model.tokenize(prompt)), ...ids]);
  return [...(await model.score(all)).logProbs].slice(-ids.length);
}

describe('logprobs', () => {
  test('are those of the model, however tokens are drawn', async () => {
    for (const drawn of [
      { temperature: 0 },
      { temperature: 2.5, topK: 40, minP: 0.01, repetitionPenalty: 1.4, presencePenalty: 1, seed: 5 },
    ]) {
      const report = await model.complete('Once upon', { ...drawn, maxTokens: 20, logprobs: true });
      expect(report.logprobs!.map(({ id }) => id)).toEqual(report.ids);
      expectNear(logprobs(report.logprobs), await scored('Once upon', report.ids), 1e-5);
      expect(report.logprobs!.every(({ top }) => top.length === 0)).toBe(true);
    }
  });

  test('with alternatives: the likeliest, in order, as text and bytes', async () => {
    const { logprobs: tokens, text } = await model.complete('Once upon', { temperature: 0, maxTokens: 8, logprobs: 7 });
    expect(Buffer.from(tokens!.flatMap(({ bytes }) => bytes)).toString()).toBe(text);
    for (const { top, ...token } of tokens!) {
      expect(top).toHaveLength(7);
      expect(top[0]).toEqual(token);
      expect(top.map(({ logprob }) => logprob)).toEqual(top.map(({ logprob }) => logprob).sort((a, b) => b - a));
      expect(new Set(top.map(({ id }) => id)).size).toBe(7);
      expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeLessThan(1);
      for (const { text: name, bytes } of top) expect(Buffer.from(bytes).toString()).toBe(name);
    }
    const everything = await model.complete('Once upon', { temperature: 0, maxTokens: 1, logprobs: 100 });
    expect(everything.logprobs![0]!.top).toHaveLength(100);
  });

  test('come before the text that a token completes, also of a session that asks for them once', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 10, logprobs: 2 });
    const heard: TokenLogProb[] = [];
    let text = '';
    const stream = session.promptStreaming('Hello', { onToken: (token) => heard.push(token) });
    for await (const piece of stream) {
      text += piece;
      expect(heard.flatMap(({ bytes }) => bytes).length).toBeGreaterThanOrEqual(Buffer.byteLength(text));
    }
    expect((await stream.finished).logprobs).toEqual(heard);
    expect(heard).toHaveLength(10);
    expect(await session.prompt('Hello', { logprobs: false, onToken: () => expect(true).toBe(false) })).toHaveLength(
      10,
    );
    session.destroy();
  });

  test('rows of the head beyond the vocabulary are no alternatives', async () => {
    const padded = await testFace().load(tinyModel({ padding: 60 }), { device: 'wasm', threads: 1 });
    const report = await padded.complete('Once', { temperature: 0, maxTokens: 3, logprobs: 100 });
    expect(report.logprobs!.flatMap(({ top }) => top.map(({ id }) => id)).every((id) => id <= IM_END + 1)).toBe(true);
    await padded.destroy();
  });

  test('under a constraint they are the same distribution, not the masked one', async () => {
    const engine = await loadTest(file);
    const session = new Session(engine, { temperature: 0, maxTokens: 6, logprobs: 1 });
    const tokens: TokenLogProb[] = [];
    const constraint = always(bitsOf(engine.config.vocabulary, [65, 66, 67]));
    const answer = await session.complete('Once upon', {}, { constraint, onToken: (token) => void tokens.push(token) });
    expect(answer.text).toMatch(/^[ABC]{6}$/);
    expectNear(logprobs(tokens), await scored('Once upon', answer.ids), 1e-5);
    expect(tokens.some(({ id, top }) => top[0]!.id !== id)).toBe(true);
    await session.destroy();
    engine.free();
  });

  /** Counts copies of tensors off the device. */
  async function counting(device: Device): Promise<{ readonly device: Device; readonly count: () => number }> {
    let copies = 0;
    const backend = new Proxy(device.backend, {
      get: (target, name) => {
        if (name === 'download') copies++;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    return { device: { ...device, backend }, count: () => copies };
  }

  story('on WebGPU: the same to rounding, free and constrained; answers without them copy nothing', async () => {
    let count = (): number => 0;
    const engine = await EngineModel.load(testPlatform, file, { device: 'webgpu' }, {}, async (request) => {
      const counted = await counting(await openDevice({ ...testPlatform, gpu: async () => testGpu() }, request));
      ({ count } = counted);
      return counted.device;
    });
    const session = new Session(engine, { temperature: 0, maxTokens: 12 });
    await session.complete('Once upon');
    expect(count()).toBe(0);
    for (const constraint of [undefined, always(bitsOf(engine.config.vocabulary, [65, 66, 67]))]) {
      const tokens: TokenLogProb[] = [];
      const onToken = (token: TokenLogProb): void => void tokens.push(token);
      const answer = await session.complete('Once upon', { logprobs: 3 }, { constraint, onToken });
      expect(tokens.map(({ id }) => id)).toEqual(answer.ids);
      expectNear(logprobs(tokens), await scored('Once upon', answer.ids), 1e-3);
    }
    await session.destroy();
    engine.free();
  });

  test('impossible requests are refused', async () => {
    for (const wrong of [-1, 101, 1.5, 'yes'])
      await expect(model.complete('x', { logprobs: wrong as number })).rejects.toThrow('logprobs');
    const engine = await loadTest(file);
    const session = new Session(engine);
    await expect(session.prompt('x', { logprobs: 101 })).rejects.toMatchObject({ facts: { name: 'logprobs' } });
    await session.destroy();
    engine.free();
  });
});

describe('score of messages', () => {
  const question = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
  ] as const;

  test('is that of the answer, given the conversation', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 16, logprobs: true });
    const stream = session.promptStreaming(question);
    let text = '';
    for await (const piece of stream) text += piece;
    const report = await stream.finished;
    session.destroy();
    const found = await model.score([...question, { role: 'assistant', content: text }]);
    expect(found.tokens).toBe(16);
    expect([...found.ids].slice(-16)).toEqual(report.ids);
    expectNear([...found.logProbs].slice(-16), logprobs(report.logprobs), 1e-5);
    expect([...found.logProbs].slice(0, -16).every(Number.isNaN)).toBe(true);
    const other = await model.score([...question, { role: 'assistant', content: 'zq'.repeat(8) }]);
    expect(other.nll).toBeGreaterThan(found.nll);
    expect((await model.memory()).pages).toBe(0);
  });

  test('a context that changes answers changes it; conversations that cannot be scored are refused', async () => {
    const exact = await testFace(onReference).load(file);
    const long = [
      { role: 'user', content: 'word '.repeat(40) } as const,
      { role: 'assistant', content: 'so' } as const,
    ];
    const dense = await exact.score(long);
    const windowed = await exact.score(long, { context: { decode: { method: 'window', budget: 16, sinks: 4 } } });
    expect(windowed.nll).not.toBe(dense.nll);
    await exact.destroy();
    await expect(model.score(question)).rejects.toThrow("the last message must be the assistant's");
    await expect(model.score(long, { prompt: 3 })).rejects.toThrow('prompt: is for text');
    await expect(model.score(long, { window: 50 })).rejects.toMatchObject({ code: 'too-long' });
    await expect(model.score('text', { templateOptions: {} })).rejects.toThrow('templateOptions: are for messages');
    await expect(model.score([{ role: 'assistant', content: 'x' }])).rejects.toMatchObject({ code: 'empty' });
  });
});

describe('usage', () => {
  test('adds up the answers of a session, and its reports have rates', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 6 });
    expect(session.usage).toEqual({
      answers: 0,
      tokens: { prompt: 0, cached: 0, generated: 0 },
      time: { prefill: 0, decode: 0 },
      rate: { prefill: 0, decode: 0 },
    });
    const first = session.promptStreaming('Hello');
    for await (const _ of first);
    const one = await first.finished;
    const second = session.promptStreaming('And you?');
    for await (const _ of second);
    const two = await second.finished;
    const { answers, tokens, time, rate } = session.usage;
    expect(answers).toBe(2);
    expect(tokens).toEqual({
      prompt: one.tokens.prompt + two.tokens.prompt,
      cached: one.tokens.cached + two.tokens.cached,
      generated: 12,
    });
    expect(two.tokens.cached).toBeGreaterThan(0);
    expect(time.decode).toBeCloseTo(one.time.decode + two.time.decode, 6);
    expect(rate.decode).toBeCloseTo((10 * 1000) / time.decode, 6);
    expect(two.rate.prefill).toBeCloseTo(((two.tokens.prompt - two.tokens.cached) * 1000) / two.time.prefill, 6);
    const copy = await session.clone();
    expect(copy.usage.answers).toBe(0);
    copy.destroy();
    session.destroy();
  });

  test('an aborted answer that is kept has taken time, and counts', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 300, aborted: 'keep' });
    const controller = new AbortController();
    let pieces = 0;
    const read = async (): Promise<void> => {
      for await (const _ of session.promptStreaming('Hello', { signal: controller.signal }))
        if (++pieces === 3) controller.abort();
    };
    await expect(read()).rejects.toMatchObject({ name: 'AbortError' });
    await session.measureContextUsage('x');
    expect(session.usage).toMatchObject({ answers: 1 });
    expect(session.usage.tokens.generated).toBeGreaterThanOrEqual(3);
    expect(session.usage.time.decode).toBeGreaterThan(0);
    session.destroy();
  });
});
