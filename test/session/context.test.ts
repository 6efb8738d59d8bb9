/** Sessions whose pages are closed to few bits, shared, or looked at by a plan. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContextOptions } from '../../src/select/options.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { prefill } from '../../src/generate/prefill.ts';
import { cut, freeDeviceSequence, type DeviceSequence } from '../../src/generate/device-sequence.ts';
import { Session, type OpenSettings } from '../../src/session.ts';
import { loadTest, onReference, testPlatform } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { nmse } from '../support/tolerance.ts';

const LAYERS = 2;
const GREEDY = { temperature: 0, maxTokens: 12 };
const TEXT = 'What is in a name? That which we call a rose by any other name would smell as sweet. '.repeat(3);

let model: EngineModel;
const sessions: Session[] = [];
beforeAll(async () => {
  model = await loadTest(tinyModel({ layers: LAYERS, window: 1024 }));
});
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.destroy()));
  expect(model.pagesUsed).toBe(0);
});
afterAll(() => model.free());

function begin(context: ContextOptions, settings: OpenSettings = {}): Session {
  const session = new Session(model, { ...GREEDY, context, ...settings });
  sessions.push(session);
  return session;
}

describe('pages of few bits', () => {
  let exact: EngineModel;
  beforeAll(async () => {
    exact = await EngineModel.load(testPlatform, tinyModel({ layers: LAYERS, window: 1024 }), {}, {}, onReference);
  });
  afterAll(() => exact.free());

  const r = random(5);
  const ids = Int32Array.from({ length: 400 }, () => r.integer(32, 127));
  const TAIL = 40;

  async function read(onDevice: DeviceSequence, upTo: number, cached = 0): Promise<void> {
    await prefill(onDevice, { ids: ids.subarray(0, upTo), spans: [], cached, chunk: 64 });
  }
  /** Logits of the `TAIL` positions from `start` on, over what the sequence holds before them. */
  async function logits(
    { model: { backend, ...language }, sequence, ring, model: whole }: DeviceSequence,
    start: number,
  ): Promise<Float32Array> {
    expect(language.config.layers).toBe(LAYERS);
    sequence.ensure(start + TAIL);
    backend.writeIds(ring, start, ids.subarray(start, start + TAIL));
    const found = backend.scope(() =>
      whole.logits(
        whole.forward(whole.embed(ring, start, TAIL), {
          kv: sequence,
          position: start,
          ranges: denseCausal(TAIL, start + TAIL),
        }),
      ),
    );
    const values = await backend.download(found);
    backend.free(found);
    return values;
  }
  async function logitsAt(
    kvBits: KvBits,
    start: number,
    change?: (onDevice: DeviceSequence) => Promise<void>,
  ): Promise<Float32Array> {
    const onDevice = await exact.deviceSequence(1024, { kvBits });
    await read(onDevice, start);
    await change?.(onDevice);
    const values = await logits(onDevice, start);
    freeDeviceSequence(onDevice);
    expect(exact.pagesUsed).toBe(0);
    return values;
  }

  /**
   * Uniform quantisation of a group of 32 normal values at b bits: the range is 4.14 deviations on average (expected range of 32 normals), a step
   * 4.14 / (2^b - 1), its error's variance step^2 / 12 of the values' own.
   */
  const noise = (bits: number): number => (4.14 / (2 ** bits - 1)) ** 2 / 12;

  test('the error of logits falls with the square of the steps, and staircase lies between its steps', async () => {
    const wanted = await logitsAt(16, 360);
    const error = new Map<KvBits, number>();
    for (const bits of [8, 4, 2, 'staircase'] as const) error.set(bits, nmse(await logitsAt(bits, 360), wanted));
    const [at8, at4, at2, stair] = [error.get(8)!, error.get(4)!, error.get(2)!, error.get('staircase')!];
    // First-order theory: errors of attention add up over layers, values' directly, keys' by the variance of the scores (1.4^4 here): a bound while small.
    const bound = (bits: number): number => LAYERS * (1 + 1.4 ** 4) * noise(bits);
    expect(at8).toBeLessThan(bound(8));
    expect(at4).toBeLessThan(bound(4));
    expect(at8).toBeGreaterThan(0);
    // In which the widths differ by their steps alone.
    expect(at4 / at8 / (noise(4) / noise(8))).toBeGreaterThan(1 / 3);
    expect(at4 / at8 / (noise(4) / noise(8))).toBeLessThan(3);
    expect(at2).toBeGreaterThan(3 * at4);
    expect(at2).toBeLessThan(1);
    expect(stair).toBeGreaterThan(at4);
    expect(stair).toBeLessThan(at2);
    if (process.env['OCTAVO_PRINT'] === '1') console.log('NMSE of logits', JSON.stringify([...error]));
  });

  test('what is cut is read again to the same bits, from where nothing is closed that should be open', async () => {
    for (const [bits, to, left] of [
      [16, 70, 70],
      [8, 280, 280],
      [8, 250, 128],
      [4, 255, 128],
      [4, 100, 0],
      ['staircase', 270, 270],
      ['staircase', 100, 0],
    ] as const) {
      const again = await logitsAt(bits, 300, async (onDevice) => {
        expect(cut(onDevice, to)).toBe(left);
        await read(onDevice, 300, left);
      });
      expect({ bits, to, again }).toEqual({ bits, to, again: await logitsAt(bits, 300) });
    }
  });

  test('bytes fall as the widths say', async () => {
    const bytes = new Map<KvBits, number>();
    for (const kvBits of [16, 8, 4, 2, 'staircase'] as const) {
      const onDevice = await exact.deviceSequence(1024, { kvBits });
      await read(onDevice, 400);
      expect(exact.pageBytes).toBe(onDevice.sequence.bytes);
      bytes.set(kvBits, onDevice.sequence.bytes);
      freeDeviceSequence(onDevice);
    }
    // 12 full blocks, which are closed, and a part; of a layer and head 8,192 bytes open; heads of 32: 2,304, 1,280, 768.
    const open = 8192;
    for (const [bits, page] of [
      [8, 2304],
      [4, 1280],
      [2, 768],
    ] as const)
      expect(bytes.get(bits)).toBe(LAYERS * (open + 12 * page));
    expect(bytes.get(16)).toBe(LAYERS * 13 * 8192);
    expect(bytes.get('staircase')).toBe(LAYERS * (open + 2 * 768 + 6 * 1280 + 4 * 2304));
  });
});

describe('sessions at few bits', () => {
  test.each([8, 4, 2, 'staircase'] as const)(
    '%s: answers repeat; a clone answers as its original, and each goes its own way',
    async (kvBits) => {
      const context = { kvBits, share: false };
      const session = begin(context);
      const { text } = await session.prompt(TEXT, { maxTokens: 40 });
      expect((await begin(context).prompt(TEXT, { maxTokens: 40 })).text).toBe(text);
      const used = model.pagesUsed;
      const [left, right] = [await session.clone(), await session.clone()];
      sessions.push(left, right);
      const all = [];
      for (const each of [session, left, right])
        all.push((await each.prompt('And then? '.repeat(8), { maxTokens: 40 })).text);
      expect(new Set(all).size).toBe(1);
      expect((await left.prompt('Left?')).text).not.toBe((await right.prompt('Right?')).text);
      // Sessions of the same past hold the closed part of it once, but for what the staircase has made coarser since.
      if (kvBits !== 'staircase') expect(model.pagesUsed - used).toBeLessThan(3 * used);
    },
  );

  test('8 bits hardly ever change a greedy answer of this model', async () => {
    const questions = Array.from({ length: 8 }, (_, i) => `${TEXT} Question ${i}?`);
    let same = 0;
    for (const question of questions) {
      const plain = await begin({ share: false }).prompt(question);
      const closed = await begin({ share: false, kvBits: 8 }).prompt(question);
      same += plain.ids.filter((id, i) => id === closed.ids[i]).length / plain.ids.length;
    }
    expect(same / questions.length).toBeGreaterThan(0.7);
  });

  test('texts that part within what is closed are read from before it, as by a session of their own', async () => {
    const session = begin({ kvBits: 4 });
    const other = `${TEXT.slice(0, 70)} and something else that is long enough to fill a page of its own, at least.`;
    for (const text of [`${TEXT} one`, other, `${TEXT} one`]) {
      const found = await session.complete(text);
      expect(found.tokens.cached).toBe(0);
      expect(found.text).toBe((await begin({ kvBits: 4, share: false }).complete(text)).text);
    }
  });

  test('an abort between chunks, and an overflow, leave a context that can be gone on from', async () => {
    const session = begin({ kvBits: 2, window: 400 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = session.prompt(
      TEXT,
      { maxTokens: 60 },
      { signal: controller.signal, onText: () => controller.abort(reason) },
    );
    await expect(call).rejects.toBe(reason);
    for (let i = 0; i < 4; i++)
      expect((await session.prompt(`Question ${i}: ${TEXT.slice(0, 100)}`)).text).toHaveLength(12);
  });
});

describe('equal beginnings', () => {
  test('a second session begins with what the first has read, and answers as if it had read it itself', async () => {
    const first = begin({});
    const one = await first.prompt(TEXT);
    const second = begin({});
    const two = await second.prompt(TEXT);
    expect(one.tokens.cached).toBe(0);
    expect(two.tokens.cached).toBe(32 * Math.floor((two.tokens.prompt - 1) / 32));
    expect(two.text).toBe(one.text);
    expect((await begin({ share: false }).prompt(TEXT)).tokens.cached).toBe(0);
    expect((await begin({ kvBits: 8 }).prompt(TEXT)).tokens.cached).toBe(0);
    // Also after the first has gone, and in the middle of another conversation.
    await first.destroy();
    const third = begin({});
    await third.prompt('Hello');
    expect((await third.prompt(TEXT)).tokens.cached).toBeLessThan(64);
    expect((await begin({}).prompt(TEXT)).text).toBe(one.text);
    // Text without a template is nobody else's business.
    expect((await begin({}).complete(model.tokenizer.encode(TEXT))).tokens.cached).toBe(0);
  });

  test.each([8, 4, 'staircase'] as const)('%s bits: closed pages are shared', async (kvBits) => {
    const one = await begin({ kvBits }).prompt(TEXT);
    const two = await begin({ kvBits }).prompt(TEXT);
    expect(two.tokens.cached).toBe(128 * Math.floor((two.tokens.prompt - 1) / 128));
    expect(two.text).toBe(one.text);
  });
});

describe('plans', () => {
  const GENEROUS: readonly ContextOptions[] = [
    { prefill: { method: 'dhsa', budget: 1e6 } },
    { prefill: { method: 'window', budget: 1e6 } },
    { prefill: { method: 'blocks', budget: 1e6 } },
    { decode: { method: 'tokens', budget: 1e6 } },
    { decode: { method: 'sentences', budget: 1e6 } },
    { decode: { method: 'window', budget: 1e6 } },
    { decode: { method: 'retrieve', budget: 1e6 } },
    { heads: { method: 'razor', keep: 1 } },
    { heads: { method: 'mean-query', keep: 1 } },
    { evict: { method: 'snapkv', keep: 1 } },
    {
      prefill: { method: 'dhsa', budget: 1e6 },
      decode: { method: 'tokens', budget: 1e6 },
      evict: { method: 'snapkv', keep: 1 },
    },
  ];
  test.each(GENEROUS.map((context) => ({ context, name: JSON.stringify(context) })))(
    '$name with room for everything changes nothing, over turns and clones',
    async ({ context }) => {
      const plain = begin({ share: false });
      const planned = begin({ ...context, share: false });
      for (const text of [TEXT, 'And then?'])
        expect((await planned.prompt(text)).text).toBe((await plain.prompt(text)).text);
      const copy = await planned.clone();
      sessions.push(copy);
      expect((await copy.prompt('Well?')).text).toBe((await plain.prompt('Well?')).text);
    },
  );

  const NARROW: readonly ContextOptions[] = [
    { prefill: { method: 'dhsa', budget: 48, local: 32, instruction: 16 } },
    { prefill: { method: 'window', budget: 64, sinks: 4 } },
    { prefill: { method: 'flex', budget: 64, gamma: 0.8, tau: 0.2, minBudget: 16 } },
    { prefill: { method: 'vertical-slash', budget: 64 } },
    { prefill: { method: 'keys', budget: 64 } },
    { decode: { method: 'tokens', budget: 16, sinks: 4, local: 16 } },
    { decode: { method: 'window', budget: 64, sinks: 4 } },
    { heads: { method: 'razor', keep: 0.5, sinks: 32, window: 64 } },
    { evict: { method: 'snapkv', keep: 0.3 } },
    { evict: { method: 'compresskv', keep: 0.3 } },
  ];
  test.each(
    NARROW.flatMap((context) =>
      ([16, 4] as const).map((kvBits) => ({
        context: { ...context, kvBits },
        name: JSON.stringify({ ...context, kvBits }),
      })),
    ),
  )('$name: turns, aborts, texts that part, clones; answers repeat and all pages come back', async ({ context }) => {
    const talk = async (): Promise<string[]> => {
      const session = begin({ ...context, share: false });
      const found = [(await session.prompt(TEXT)).text, (await session.prompt('And then?')).text];
      const controller = new AbortController();
      await expect(
        session.prompt(TEXT, {}, { signal: controller.signal, onText: () => controller.abort(new Error('enough')) }),
      ).rejects.toThrow('enough');
      const copy = await session.clone();
      sessions.push(copy);
      found.push((await session.prompt('Go on.')).text, (await copy.prompt('Go on.')).text);
      expect(found[3]).toBe(found[2]);
      found.push((await copy.complete(TEXT.slice(0, 120))).text);
      return found;
    };
    expect(await talk()).toEqual(await talk());
  });

  test('what a second session adopts, its planner goes on behind, or it is read anew', async () => {
    for (const context of [...NARROW, ...GENEROUS]) {
      const one = await begin(context).prompt(TEXT);
      const two = await begin(context).prompt(TEXT);
      expect(two.text).toHaveLength(one.text.length);
      expect(two.tokens.prompt).toBe(one.tokens.prompt);
    }
  });
});

describe('what cannot be', () => {
  test.each([
    [{ kvBits: 3 }, /kvBits: 3/],
    [{ kvBits: { keys: 4, values: 4 } }, /"values":4} is not one of .*"keys":8,"values":4/],
    [{ kvBits: { newest: 0.7, oldest: 0.4 } }, /"oldest":0.4} is not one of .* two shares of at most 1 together/],
    [{ kvBits: { newest: '0', oldest: 0 } }, /"newest":"0"/],
    [{ kvBits: null }, /null is not one of/],
    [{ preset: 'tiny' }, /context: tiny is not one of auto, exact/],
    [{ kvbits: 4 }, /context.kvbits is unknown/],
    [{ window: 0 }, /context.window: 0/],
    [{ window: 2000 }, /1024/],
    [{ prefill: 'sparse' }, /prefill.*sparse/],
    [{ decode: { method: 'tokens', budget: -1 } }, /budget.*-1/],
    [{ heads: 'some' }, /heads.*some/],
    [{ evict: {} }, /evict/],
    [{ share: 1 }, /share: 1/],
  ] as const)('%j', async (context, message) => {
    await expect(Session.open(model, { context: context as unknown as ContextOptions })).rejects.toThrow(message);
  });

  test('what only the model knows is told by the first prompt', async () => {
    await expect(begin({ heads: 'model' }).prompt('Hello')).rejects.toMatchObject({ code: 'argument' });
  });
});
