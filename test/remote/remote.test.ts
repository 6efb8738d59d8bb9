/** Octavo.connect against our own server: the same answers as on the device; and loads that go to a server when the device cannot. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startServer, type HttpServer } from '../../src/cli/http-server.ts';
import { DeviceError } from '../../src/errors.ts';
import { createFace } from '../../src/face/octavo.ts';
import { createFetch } from '../../src/openai/index.ts';
import type { OctavoModel } from '../../src/public.ts';
import { onReference, testFace, testPlace } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
let here: OctavoModel;
let there: OctavoModel;
let server: HttpServer;
beforeAll(async () => {
  here = await Octavo.load(tinyModel(), WASM);
  server = await startServer(createFetch({ tiny: here }), { host: '127.0.0.1', port: 0, token: 'k', origins: [] });
  there = await Octavo.connect({ baseURL: `${server.url}/v1`, apiKey: 'k' });
});
afterAll(async () => {
  await there.destroy();
  await server.close();
  await here.destroy();
});

const GREEDY = { temperature: 0, maxTokens: 12 } as const;

describe('a model on our own server', () => {
  test('says where it is', async () => {
    expect([there.name, there.contextWindow]).toEqual(['tiny', here.contextWindow]);
    const { host } = new URL(server.url);
    expect(there.device).toEqual({
      kind: 'server',
      description: `tiny at ${host}`,
      reason: 'Octavo.connect was called',
    });
    await expect(Octavo.connect({ baseURL: `${server.url}/v1`, apiKey: 'wrong' })).rejects.toMatchObject({
      name: 'StorageError',
      facts: { status: 401 },
    });
  });

  test('answers turn after turn as on the device; clones go their own way', async () => {
    const initialPrompts = [{ role: 'system' as const, content: 'Be brief.' }];
    const [far, near] = await Promise.all(
      [there, here].map((model) => model.createSession({ ...GREEDY, initialPrompts })),
    );
    for (const text of ['Hello', 'And you?']) expect(await far!.prompt(text)).toBe(await near!.prompt(text));
    const [farCopy, nearCopy] = await Promise.all([far!.clone(), near!.clone()]);
    const more = [
      { role: 'user' as const, content: 'Note this.' },
      { role: 'assistant' as const, content: 'Noted.' },
    ];
    await Promise.all([farCopy.append(more), nearCopy.append(more)]);
    expect(await farCopy.prompt('So?')).toBe(await nearCopy.prompt('So?'));
    expect(await far!.prompt('Well?')).toBe(await near!.prompt('Well?'));
    expect(far!.usage.tokens.generated).toBe(36);
    expect(far!.contextUsage).toBeGreaterThan(30);
    for (const session of [far!, near!, farCopy, nearCopy]) session.destroy();
    await expect(far!.prompt('x')).rejects.toThrow('destroyed');
  });

  test('streams, with likelihoods, seeds and stop strings', async () => {
    const options = { temperature: 1.2, seed: 5, topK: 30, repetitionPenalty: 1.1, maxTokens: 10, logprobs: 2 };
    const [far, near] = await Promise.all([there, here].map((model) => model.createSession()));
    const [a, b] = [far!, near!].map((session) => session.promptStreaming('Hello', options));
    let text = '';
    for await (const piece of a!) text += piece;
    let wanted = '';
    for await (const piece of b!) wanted += piece;
    expect(text).toBe(wanted);
    const [told, known] = [(await a!.finished).logprobs!, (await b!.finished).logprobs!];
    expect(told.map(({ text: token }) => token)).toEqual(known.map(({ text: token }) => token));
    told.forEach(({ id, logprob, bytes, top }, i) => {
      expect([id, bytes]).toEqual([-1, known[i]!.bytes]);
      expect(logprob).toBeCloseTo(known[i]!.logprob, 10);
      expect(top.map((one) => one.text)).toEqual(known[i]!.top.map((one) => one.text));
    });
    const stop = wanted.slice(4, 6);
    expect(await (await there.createSession()).prompt('Hello', { ...options, stop })).toBe(
      wanted.slice(0, wanted.indexOf(stop)),
    );
    far!.destroy();
    near!.destroy();
  });

  test('raw completions of text and of ids', async () => {
    const ids = await here.tokenize('Once upon');
    const wanted = await here.complete('Once upon', GREEDY);
    for (const input of ['Once upon', ids]) {
      const found = await there.complete(input, GREEDY);
      expect([found.text, found.finishReason, found.tokens.generated]).toEqual([wanted.text, 'length', 12]);
    }
  });

  test('an answer fits a schema; expressions are refused', async () => {
    const schema = {
      type: 'object',
      properties: { mood: { enum: ['good', 'bad'] } },
      required: ['mood'],
      additionalProperties: false,
    };
    const session = await there.createSession({ temperature: 0 });
    const found = JSON.parse(await session.prompt('Hello', { responseConstraint: schema })) as { mood: string };
    expect(['good', 'bad']).toContain(found.mood);
    await expect(session.prompt('Hello', { responseConstraint: /a+/ })).rejects.toThrow('servers take a JSON Schema');
    session.destroy();
  });

  test('vectors are the same', async () => {
    const texts = Array.from({ length: 150 }, (_, i) => `Text ${i}`);
    const progress: number[] = [];
    const found = await there.embed(texts, {
      dimensions: 16,
      prefix: 'q: ',
      onProgress: (done) => progress.push(done),
    });
    const wanted = await here.embed(texts, { dimensions: 16, prefix: 'q: ' });
    expect(found).toHaveLength(150);
    const gap = found.map((row, i) => Math.max(...row.map((value, j) => Math.abs(value - wanted[i]![j]!))));
    expect(Math.max(...gap)).toBeLessThan(1e-6);
    expect([found.dimensions, progress]).toEqual([16, [128, 150]]);
    // Our own server has no such route.
    await expect(there.rerank('q', ['a'])).rejects.toMatchObject({ facts: { status: 404 } });
  });

  test('pictures are seen there', async () => {
    const seeing = await testFace(onReference).load(tinyUniPic());
    const far = await Octavo.connect({ baseURL: 'http://localhost/v1', fetch: createFetch(seeing) });
    const { integer } = random(1);
    const data = Uint8ClampedArray.from({ length: 4 * 16 * 16 }, (_, i) => (i % 4 === 3 ? 255 : integer(0, 256)));
    const ask = async (model: OctavoModel): Promise<string> => {
      const session = await model.createSession({ temperature: 0, maxTokens: 3 });
      const image = { type: 'image' as const, value: { data, width: 16, height: 16 } };
      return session.prompt([{ role: 'user', content: [image, { type: 'text', value: 'What?' }] }]);
    };
    expect(await ask(far)).toBe(await ask(seeing));
    const blind = await Octavo.connect({ baseURL: 'http://localhost/v1', fetch: createFetch(seeing), images: false });
    await expect(ask(blind)).rejects.toThrow('reads text only');
    await Promise.all([far.destroy(), blind.destroy()]);
    await seeing.destroy();
  });
});

describe('load with a fallback', () => {
  const fallback = (consent: boolean | ((reason: string) => boolean | Promise<boolean>)) => ({
    baseURL: `${server.url}/v1`,
    apiKey: 'k',
    consent,
  });
  const poor = createFace({
    ...testPlace(),
    startEngine: async () => {
      throw new DeviceError('out-of-memory', 'there is room for 1 GB and the model takes 4 GB');
    },
  });

  test('goes to the server where the device cannot and the app agrees, and says so', async () => {
    const reasons: string[] = [];
    const agree = async (reason: string): Promise<boolean> => {
      reasons.push(reason);
      return true;
    };
    for (const consent of [true, agree]) {
      const model = await poor.load(tinyModel(), { fallback: fallback(consent) });
      expect(model.device.kind).toBe('server');
      expect(model.device.reason).toContain('takes 4 GB');
      const session = await model.createSession(GREEDY);
      expect(await session.prompt('Hello')).toBe(await (await here.createSession(GREEDY)).prompt('Hello'));
      await model.destroy();
    }
    expect(reasons).toEqual(['the device cannot run the model: there is room for 1 GB and the model takes 4 GB']);
    const unknown = await Octavo.load('/nowhere/model.gguf', { ...WASM, fallback: fallback(true) });
    expect(unknown.device.kind).toBe('server');
    await unknown.destroy();
  });

  test('stays on the device where that can, and fails as before without consent', async () => {
    let asked = 0;
    const consent = (): boolean => {
      asked++;
      return false;
    };
    const model = await Octavo.load(tinyModel(), { ...WASM, fallback: fallback(consent) });
    expect(model.device.kind).not.toBe('server');
    await model.destroy();
    expect(asked).toBe(0);
    await expect(poor.load(tinyModel(), { fallback: fallback(consent) })).rejects.toMatchObject({
      code: 'out-of-memory',
    });
    expect(asked).toBe(1);
    await expect(poor.load(tinyModel(), { fallback: fallback(false) })).rejects.toMatchObject({
      code: 'out-of-memory',
    });
  });

  test('is not for damaged files, wrong options and aborts', async () => {
    const asked: string[] = [];
    const with_ = {
      ...WASM,
      fallback: fallback((reason) => {
        asked.push(reason);
        return true;
      }),
    };
    await expect(Octavo.load(tinyModel().slice(0, 5000), with_)).rejects.toMatchObject({ name: 'FileError' });
    await expect(Octavo.load(tinyModel(), { ...with_, contextWindow: 1_000_000 })).rejects.toMatchObject({
      name: 'InputError',
    });
    await expect(Octavo.load(tinyModel(), { ...with_, signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await expect(Octavo.load(tinyModel(), { fallback: { baseURL: 'http://x', agree: true } as never })).rejects.toThrow(
      'fallback: agree',
    );
    expect(asked).toEqual([]);
  });
});
