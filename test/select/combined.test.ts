/** From options to planners: what is refused, and every method and combination in whole sessions on the CPU engine. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { ContextOptions } from '../../src/select/options.ts';
import { createPlanner } from '../../src/select/index.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { InputError } from '../../src/errors.ts';
import { Session } from '../../src/session.ts';
import { testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { openWasm } from '../support/wasm.ts';

const wasm = await openWasm('simd');
const facts = { wasm, layers: 2, heads: 4, kvHeads: 2, headDim: 8 };
const streaming = { layers: 2, kvHeads: 2, streams: Uint8Array.of(1, 0, 0, 1) };

describe('options', () => {
  test('where everything is seen, nobody is asked', () => {
    for (const options of [
      {},
      { prefill: 'dense', decode: 'dense', heads: 'all' },
      { prefill: { method: 'dense' }, kvBits: 4, window: 100 },
      { prefill: undefined },
    ] as const) {
      expect(createPlanner(options, facts)).toBeUndefined();
    }
  });

  test.each<[string, unknown]>([
    ['an unknown method', { prefill: 'sparse' }],
    ['an unknown method in an object', { decode: { method: 'topk' } }],
    ['no method', { evict: {} }],
    ['a number', { heads: 3 }],
    ['null', { prefill: null }],
    ['an unknown member', { decode: { method: 'tokens', top: 3 } }],
    ['a budget of 0', { decode: { method: 'tokens', budget: 0 } }],
    ['a budget of 2.5', { prefill: { method: 'dhsa', budget: 2.5 } }],
    ['NaN', { prefill: { method: 'blocks', budget: NaN } }],
    ['a share above 1', { evict: { method: 'snapkv', keep: 1.5 } }],
    ['negative sinks', { heads: { method: 'razor', sinks: -1 } }],
    ['no window', { heads: { method: 'razor', window: 0 } }],
    ['a text for a number', { decode: { method: 'tokens', local: '9' } }],
    ['boundaries of blocks', { prefill: { method: 'blocks', boundaries: 'similarity' } }],
    ['a layer for the window', { prefill: { method: 'window', sharedLayer: 1 } }],
    ['unknown boundaries', { prefill: { method: 'dhsa', boundaries: 'guessed' } }],
    ['a budget of dense', { prefill: { method: 'dense', budget: 0.5 } }],
    ['local keys of a window', { decode: { method: 'window', local: 3 } }],
    ['keep of all', { heads: { method: 'all', keep: 0.5 } }],
    ['an inherited name', { prefill: 'constructor' }],
    ['an inherited member', { decode: { method: 'tokens', toString: 1 } }],
    ['heads nobody looked for', { heads: 'razor' }],
    ['a table that is not there', { heads: 'model' }],
    ['semantic heads that are not there', { evict: 'compresskv' }],
    ['sentences without a tokenizer', { decode: 'sentences' }],
    ['two methods for answers', { prefill: { method: 'dhsa', decodes: true }, decode: 'tokens' }],
    ['decoding by a window of the prompt', { prefill: { method: 'window', decodes: true } }],
    ['decodes that is no boolean', { prefill: { method: 'blocks', decodes: 1 } }],
    ['a similarity above 1', { decode: { method: 'tokens', similarity: 1.1 } }],
    ['a question for TokenSelect', { decode: { method: 'tokens', question: 9 } }],
    ['an eviction for ever', { evict: { method: 'snapkv', scope: 'ever' } }],
    ['an eviction by no queries', { evict: { method: 'snapkv', window: 0 } }],
    ['learned boundaries that are not there', { prefill: { method: 'dhsa', boundaries: 'learned' } }],
  ])('%s is refused', (_, options) => {
    expect(() => createPlanner(options as ContextOptions, facts)).toThrow(InputError);
  });

  test('an error names the option, its value and what there is', () => {
    expect(() => createPlanner({ decode: 'topk' as 'tokens' }, facts)).toThrow(
      'context.decode: topk is none of dense, tokens, sentences, window, retrieve',
    );
    expect(() => createPlanner({ prefill: { method: 'window', sharedLayer: 2 } }, facts)).toThrow(
      "context.prefill.sharedLayer: 2 means nothing to 'window'; leave it out, or take dhsa or blocks",
    );
  });

  test('everything at once, and a fork of it', () => {
    const planner = createPlanner(
      { prefill: 'dhsa', decode: 'tokens', heads: 'mean-query', evict: 'snapkv' },
      { ...facts, streaming },
    )!;
    const fork = planner.fork();
    expect(fork).not.toBe(planner);
    expect([planner.keeps?.(7), fork.keeps?.(7)]).toEqual([7, 7]);
    planner.free();
    fork.free();
  });
});

describe('sessions', () => {
  const TEXT =
    'The harbour was quiet. Nobody had seen the lamp burn since the storm! Was it the keeper? He said: "I left at nine."\nThen the rain came, and the boats, and the long night. ';
  const long = TEXT.repeat(4).slice(0, 600);

  test('what the model lacks is refused when the session is made', async () => {
    const model = await EngineModel.load(testPlatform, tinyModel({ window: 1024 }), {
      device: 'wasm',
      threads: 1,
      build: 'simd',
    });
    for (const context of [
      { prefill: { method: 'dhsa', boundaries: 'learned' } },
      { prefill: { method: 'blocks', sharedLayer: 99 } },
      { heads: 'model' },
      { prefill: { method: 'dhsa', decodes: true }, decode: 'window' },
    ] as const)
      await expect(Session.open(model, { context })).rejects.toBeInstanceOf(InputError);
    await (
      await Session.open(model, { context: { prefill: { method: 'dhsa', sharedLayer: 1 }, heads: 'razor' } })
    ).destroy();
    model.free();
  });

  async function answers(
    context: ContextOptions,
  ): Promise<{ texts: string[]; pages: number; after: number; live: number }> {
    const model = await EngineModel.load(testPlatform, tinyModel({ window: 1024 }), {
      device: 'wasm',
      threads: 1,
      build: 'simd',
    });
    try {
      const session = new Session(model, { context: { share: false, ...context }, temperature: 0, maxTokens: 12 });
      const texts: string[] = [];
      for (const prompt of [long, long.slice(100, 350)])
        texts.push((await session.prompt([{ role: 'user', content: prompt }])).text);
      const pages = model.pagesUsed;
      const copy = await session.clone();
      texts.push((await copy.prompt([{ role: 'user', content: 'Once more.' }])).text);
      await copy.destroy();
      await session.destroy();
      return { texts, pages, after: model.pagesUsed, live: model.memory().activations };
    } finally {
      model.free();
    }
  }
  let dense: ReturnType<typeof answers>;
  beforeAll(async () => {
    dense = answers({});
    await dense;
  });

  test.each<[ContextOptions]>([
    [{ prefill: { method: 'dhsa', budget: 1024 } }],
    [{ prefill: { method: 'blocks', budget: 1024 } }],
    [{ prefill: { method: 'window', budget: 1024 } }],
    [{ prefill: { method: 'flex', budget: 1024 } }],
    [{ prefill: { method: 'tokens', budget: 1024 } }],
    [{ prefill: { method: 'dhsa', budget: 1024, decodes: true } }],
    [{ decode: { method: 'tokens', budget: 1024 } }],
    [{ decode: { method: 'sentences', budget: 1024 } }],
    [{ decode: { method: 'window', budget: 1024 } }],
    [{ decode: { method: 'retrieve', budget: 1024 } }],
    [{ heads: { method: 'razor', keep: 1, window: 1 } }],
    [{ heads: { method: 'mean-query', keep: 0.5, window: 1024 } }],
    [{ evict: { method: 'snapkv', keep: 1 } }],
    [{ evict: { method: 'compresskv', keep: 1 } }],
  ])('%j, which covers everything, is dense', async (context) => {
    expect(await answers(context)).toEqual(await dense);
  });

  test.each<[ContextOptions, boolean]>([
    [{ decode: { method: 'tokens', budget: 64, sinks: 8, local: 32 } }, false],
    [{ decode: { method: 'sentences', budget: 64, sinks: 8, local: 32 } }, false],
    [{ decode: { method: 'window', budget: 64, sinks: 8 } }, false],
    [{ decode: { method: 'retrieve', budget: 64, sinks: 8, local: 32 } }, false],
    [{ heads: { method: 'razor', sinks: 8, window: 64, windowShare: 0.1 } }, true],
    [{ heads: { method: 'mean-query', sinks: 8, window: 64 }, kvBits: 4 }, true],
    [{ evict: { method: 'snapkv', keep: 0.4 } }, true],
    [{ evict: { method: 'snapkv', keep: 0.4, scope: 'answer' } }, false],
    [{ prefill: { method: 'blocks', budget: 128, local: 32, decodes: true } }, false],
    [{ prefill: { method: 'tokens', budget: 160, sinks: 8, local: 32 } }, false],
    [{ evict: { method: 'compresskv', keep: 0.4 }, kvBits: 'staircase' }, true],
    [
      {
        prefill: { method: 'dhsa', budget: 128, local: 32 },
        decode: { method: 'sentences', budget: 48, local: 16 },
        heads: { method: 'razor', sinks: 4, window: 48 },
        evict: 'snapkv',
      },
      true,
    ],
    [
      {
        prefill: { method: 'flex', budget: 128, local: 32 },
        decode: { method: 'tokens', budget: 48, local: 16, sinks: 4 },
        heads: { method: 'mean-query', sinks: 4, window: 48 },
        evict: 'compresskv',
        kvBits: 8,
      },
      true,
    ],
    [
      {
        prefill: { method: 'blocks', budget: 0.3, local: 32 },
        decode: { method: 'retrieve', budget: 0.2, local: 16 },
        evict: { method: 'snapkv', keep: 0.3 },
      },
      true,
    ],
  ])(
    '%j runs, turn after turn and in a clone; pages fall where they should, and all come back',
    async (context, falls) => {
      const found = await answers(context);
      const full = await dense;
      expect(found.texts.every((text) => text.length > 0)).toBe(true);
      expect(found.pages < full.pages).toBe(falls);
      expect([found.after, found.live]).toEqual([full.after, full.live]);
      expect(full.after).toBe(0);
    },
  );
});
