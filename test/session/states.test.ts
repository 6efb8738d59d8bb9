/**
 * Sessions of models whose layers carry states beside pages (LFM2, Qwen 3.5): whatever a conversation went through, its answers are those of
 * one that was read plainly; and what is kept is not computed again.
 */
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EngineModel } from '../../src/engine/model.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type { ContextOptions } from '../../src/select/options.ts';
import { Session } from '../../src/session.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/index.ts';
import { loadTest, testFace, testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { tinyModel } from '../support/tiny-model.ts';

const GREEDY = { temperature: 0, maxTokens: 12 };
const DOCUMENT = Array.from({ length: 20 }, (_, i) => `Fact ${i}.`).join(' ');
const reason = new RangeError('enough');

const file = (states: 'conv' | 'delta'): Uint8Array<ArrayBuffer> =>
  tinyModel({ states, layers: 4, heads: 4, kvHeads: 2, window: 1024 });
const platform: Platform = { ...testPlatform, gpu: async () => testGpu() };
const onGpu = (await hasGpu()) ? test : test.skip;

describe.each(['conv', 'delta'] as const)('layers of kind %s', (states) => {
  describe('on WASM', () => {
    let model: EngineModel;
    const sessions: Session[] = [];
    beforeAll(async () => {
      model = await loadTest(file(states));
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
    const plain = new Map<string, Promise<string[]>>();
    /** Answers to these, one after the other, in a session of its own. */
    function told(...texts: string[]): Promise<string[]> {
      const key = JSON.stringify(texts);
      const known = plain.get(key);
      if (known !== undefined) return known;
      const reading = (async () => {
        const session = begin();
        const answers: string[] = [];
        for (const text of texts) answers.push((await session.prompt(text)).text);
        return answers;
      })();
      plain.set(key, reading);
      return reading;
    }

    test('turn after turn only what is new is computed', async () => {
      const wanted = await told(DOCUMENT, 'And then?', 'Why?');
      const session = begin();
      expect((await session.prompt(DOCUMENT)).text).toBe(wanted[0]);
      const { usage } = session;
      const next = await session.prompt('And then?');
      expect(next.text).toBe(wanted[1]);
      expect(next.tokens.cached).toBeGreaterThanOrEqual(usage - 1);
      expect((await session.prompt('Why?')).text).toBe(wanted[2]);
    });

    test('clones go on by themselves', async () => {
      const session = begin();
      await session.prompt(DOCUMENT);
      const copy = await session.clone();
      sessions.push(copy);
      expect((await copy.prompt('Why?')).text).toBe((await told(DOCUMENT, 'Why?'))[1]);
      expect((await session.prompt('And then?')).text).toBe((await told(DOCUMENT, 'And then?'))[1]);
    });

    test('what was aborted, in a prompt or in an answer, leaves nothing behind', async () => {
      const session = begin();
      await session.prompt(DOCUMENT);
      const controller = new AbortController();
      let pieces = 0;
      await session
        .prompt(
          'Something else entirely',
          {},
          {
            signal: controller.signal,
            onText: () => {
              if (++pieces === 3) controller.abort(reason);
            },
          },
        )
        .catch((error: unknown) => expect(error).toBe(reason));
      expect(pieces).toBe(3);
      const early = new AbortController();
      await session
        .prompt('word '.repeat(60), {}, { signal: early.signal, onPrefill: () => early.abort(reason) })
        .catch((error: unknown) => expect(error).toBe(reason));
      const next = await session.prompt('And then?');
      expect(next.text).toBe((await told(DOCUMENT, 'And then?'))[1]);
      // Back to the end of the document's prompt at worst, and not to its beginning.
      expect(next.tokens.cached).toBeGreaterThan(96);
    });

    test('steps beyond a stop string are undone', async () => {
      const [whole = ''] = await told('Hello');
      const stop = whole.slice(4, 6);
      const session = begin();
      const answer = await session.prompt('Hello', { stop: [stop] });
      expect(answer.text).toBe(whole.slice(0, whole.indexOf(stop)));
      const other = begin();
      await other.prompt('Hello', { stop: [stop] });
      expect((await session.prompt('And you?')).text).toBe((await other.prompt('And you?')).text);
    });

    test('another session begins with what one has read', async () => {
      const first = begin({});
      await first.prompt(`${DOCUMENT} Well?`);
      const second = begin({});
      const answer = await second.prompt(`${DOCUMENT} Well?`);
      expect(answer.text).toBe((await told(`${DOCUMENT} Well?`))[0]);
      expect(answer.tokens.cached).toBeGreaterThan(96);
      expect(answer.tokens.cached % 32).toBe(0);
    });

    test.each<[ContextOptions]>([
      [{ kvBits: 8 }],
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
  });

  onGpu('on WebGPU, where steps are issued ahead, the same answers behind a stop string', async () => {
    const small = tinyModel({ states, window: 256 });
    const gpu = await EngineModel.load(platform, small, { device: 'webgpu' });
    const truth = await loadTest(small);
    const both = [gpu, truth].map((model) => new Session(model, { ...GREEDY, maxTokens: 8 }));
    const ask = (text: string, stop: readonly string[]): Promise<string[]> =>
      Promise.all(both.map(async (session) => (await session.prompt(text, { stop })).text));
    const [, whole = ''] = await ask('Hello', []);
    const [first, wanted] = await ask('Hello', [whole.slice(3, 5)]);
    expect(first).toBe(wanted);
    const [next, then] = await ask('And you?', []);
    expect(next).toBe(then);
    for (const session of both) await session.destroy();
    gpu.free();
    truth.free();
  });

  test('saved, and resumed in another engine, it goes on as if it had never ended', async () => {
    const shelf = new IndexedShelf(new Database(`states-${states}`));
    const face = testFace(undefined, { ...testPlatform, sessions: () => shelf });
    const options = { ...GREEDY, context: { share: false } };
    const ask = async (session: Awaited<ReturnType<typeof face.sessions.resume>>, text: string) => {
      const stream = session.promptStreaming(text);
      let all = '';
      for await (const piece of stream) all += piece;
      return { text: all, cached: (await stream.finished).tokens.cached };
    };
    const model = await face.load(file(states), { device: 'wasm', threads: 1 });
    const session = await model.createSession(options);
    await ask(session, DOCUMENT);
    const { contextUsage: usage } = session;
    await session.save('one');
    const wanted = await ask(session, 'And then?');
    await model.destroy();
    const other = await face.load(file(states), { device: 'wasm', threads: 1 });
    const resumed = await face.sessions.resume(other, 'one');
    const found = await ask(resumed, 'And then?');
    expect(found).toEqual(wanted);
    expect(found.cached).toBeGreaterThanOrEqual(usage - 1);
    // A kept prompt serves one that begins alike, from the border of a block on.
    const keeping = { ...GREEDY, context: { share: false, keep: true } };
    const first = await other.createSession(keeping);
    await ask(first, `${DOCUMENT.repeat(3)} What?`);
    await other.destroy();
    const third = await face.load(file(states), { device: 'wasm', threads: 1 });
    const fresh = await ask(await third.createSession(options), `${DOCUMENT.repeat(3)} Why so?`);
    const kept = await ask(await third.createSession(keeping), `${DOCUMENT.repeat(3)} Why so?`);
    expect(kept.text).toBe(fresh.text);
    expect(kept.cached).toBeGreaterThan(128);
    expect(kept.cached % 32).toBe(0);
    await third.destroy();
  });
});
