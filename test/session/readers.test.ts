/**
 * Sessions of a model whose layers have heads of two sizes, of which half read the keys of others, and which look up inputs of their own by id
 * (Gemma 4): what a conversation went through changes no answer, and the methods that plan attention work for it.
 */
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EngineModel } from '../../src/engine/model.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type { ContextOptions } from '../../src/select/options.ts';
import { Session } from '../../src/session.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/index.ts';
import { loadTest, testFace, testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { greedy } from '../support/language.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { createReferenceBackend } from '../reference/backend.ts';

const GREEDY = { temperature: 0, maxTokens: 12 };
const DOCUMENT = Array.from({ length: 20 }, (_, i) => `Fact ${i}.`).join(' ');
const file = tinyModel({ readers: true, layers: 4, heads: 4, kvHeads: 2, window: 1024 });
const onGpu = (await hasGpu()) ? test : test.skip;

describe('layers that read the keys of others', () => {
  let model: EngineModel;
  const sessions: Session[] = [];
  beforeAll(async () => {
    model = await loadTest(file);
  });
  afterAll(async () => {
    for (const session of sessions) await session.destroy();
    expect(model.pagesUsed).toBe(0);
    model.free();
  });
  function begin(context: ContextOptions = { share: false }): Session {
    const session = new Session(model, { ...GREEDY, context });
    sessions.push(session);
    return session;
  }

  test('a prompt, of which only the last position passes these layers, is answered as one call of all layers does', async () => {
    const backend = createReferenceBackend();
    const opened = await openModel(file);
    const { language } = await loadModel(opened, backend);
    expect([language.ownLayers, language.layers.length, language.config.cacheLayers]).toEqual([2, 4, 2]);
    const ids = model.tokenizer.encode(`<|im_start|>user\n${DOCUMENT}<|im_end|>\n<|im_start|>assistant\n`);
    const wanted = await greedy(language, [...ids], 12);
    const answer = await begin().prompt(DOCUMENT);
    expect(answer.tokens.prompt).toBe(ids.length);
    expect([...model.tokenizer.encode(answer.text)]).toEqual(wanted);
    language.free();
  });

  test('clones, shared beginnings and next turns change nothing', async () => {
    const plain = begin();
    const first = (await plain.prompt(DOCUMENT)).text;
    const next = (await plain.prompt('And then?')).text;
    const session = begin({});
    expect((await session.prompt(DOCUMENT)).text).toBe(first);
    const copy = await session.clone();
    sessions.push(copy);
    expect((await copy.prompt('And then?')).text).toBe(next);
    const other = begin({});
    const again = await other.prompt(DOCUMENT);
    expect(again.text).toBe(first);
    expect(again.tokens.cached).toBeGreaterThan(96);
    expect((await session.prompt('And then?')).text).toBe(next);
  });

  test.each<[ContextOptions]>([
    [{ kvBits: 8 }],
    [{ kvBits: 4 }],
    [{ prefill: { method: 'window', budget: 64 } }],
    [{ prefill: 'flex' }],
    [{ prefill: 'blocks' }],
    [{ decode: { method: 'tokens', budget: 64, sinks: 8, local: 16 } }],
    [{ decode: { method: 'retrieve', budget: 64, sinks: 32, local: 32 } }],
    [{ evict: { method: 'snapkv', keep: 0.6 } }],
    [{ heads: { method: 'razor', keep: 0.5, sinks: 32, window: 64 } }],
  ])('with the context %j', async (context) => {
    const session = begin({ share: false, ...context });
    const again = begin({ share: false, ...context });
    const texts = [DOCUMENT.repeat(2), 'And then?'];
    for (const text of texts) {
      const answer = await session.prompt(text);
      expect(answer.text.length).toBeGreaterThan(0);
      expect((await again.prompt(text)).text).toBe(answer.text);
    }
  });

  onGpu('on WebGPU, where the next id is not known to the host, the same answer', async () => {
    const platform: Platform = { ...testPlatform, gpu: async () => testGpu() };
    const gpu = await EngineModel.load(platform, file, { device: 'webgpu' });
    const options = { ...GREEDY, maxTokens: 4 };
    const session = new Session(gpu, options);
    const truth = new Session(model, options);
    sessions.push(truth);
    expect((await session.prompt('Hello')).text).toBe((await truth.prompt('Hello')).text);
    await session.destroy();
    gpu.free();
  });

  test('saved, and resumed in another engine, it goes on as if it had never ended', async () => {
    const shelf = new IndexedShelf(new Database('readers'));
    const face = testFace(undefined, { ...testPlatform, sessions: () => shelf });
    const one = await face.load(file, { device: 'wasm', threads: 1 });
    const session = await one.createSession({ ...GREEDY, context: { share: false } });
    await session.prompt(DOCUMENT);
    const { contextUsage: usage } = session;
    await session.save('one');
    const wanted = await session.prompt('And then?');
    await one.destroy();
    const two = await face.load(file, { device: 'wasm', threads: 1 });
    const stream = (await face.sessions.resume(two, 'one')).promptStreaming('And then?');
    let text = '';
    for await (const piece of stream) text += piece;
    expect(text).toBe(wanted);
    expect((await stream.finished).tokens.cached).toBeGreaterThanOrEqual(usage - 1);
    await two.destroy();
  });
});
