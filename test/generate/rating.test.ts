/** session.rate: texts that are read side by side are as likely as each alone, read behind the prompt in the usual way, on every device and kind of layers. */
import { describe, expect, test } from '@jest/globals';
import { EngineModel } from '../../src/engine/model.ts';
import { score } from '../../src/generate/score.ts';
import { Session } from '../../src/session.ts';
import { loadTest, onReference, testFace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const file = tinyModel();
const PROMPT = 'the harbour is closed when the ice reaches the outer mole; who closes it?';
const ANSWERS = ['the harbour', 'ice', 'the outer mole', 'a', 'closed when', ''];
const GREEDY = { temperature: 0, loops: 'allow' } as const;

/** Nats: sums in another order. */
const near = (value: number, wanted: number): void => expect(Math.abs(value - wanted)).toBeLessThan(0.02);

describe('session.rate', () => {
  test.each([
    { name: 'WASM', load: () => loadTest(file), kvBits: 16 as const },
    { name: 'WASM, pages of 8 bits', load: () => loadTest(file), kvBits: 8 as const },
    {
      name: 'layers that read the keys of others',
      load: () => loadTest(tinyModel({ readers: true, layers: 4 })),
      kvBits: 16 as const,
    },
    {
      name: 'the f64 loops',
      load: () => EngineModel.load(testPlatform, file, {}, {}, onReference),
      kvBits: 16 as const,
    },
  ])('gives each text the likelihood that it has alone: $name', async ({ load, kvBits }) => {
    const model = await load();
    const context = { kvBits };
    const session = new Session(model, { context });
    const { ids, tokens } = await session.complete(PROMPT, { ...GREEDY, maxTokens: 6 });
    const rated = await session.rate({ answers: ANSWERS, most: 4 });
    expect(rated).toHaveLength(4);
    const { bos } = model.tokenizer.facts;
    const prompt = [...(tokens.prompt > PROMPT.length ? [bos!] : []), ...model.tokenizer.encode(PROMPT)];
    expect(prompt).toHaveLength(tokens.prompt);
    const stops = [...model.tokenizer.facts.eos, ...model.tokenizer.encode('.\n')];
    for (const { index, ends, logProbs, stops: ending } of rated) {
      const own = [...model.tokenizer.encode(ANSWERS[index]!)];
      /** Bytes are tokens here. */
      const alone = async (last: number): Promise<Float32Array> => {
        const read = Int32Array.from([...prompt, ...own, last]);
        const { logProbs: found } = await score(model, read, { prompt: prompt.length, context });
        return found.subarray(prompt.length);
      };
      const wanted = await alone(stops[0]!);
      expect([...ends]).toEqual(own.map((_, i) => i + 1));
      for (let i = 0; i < own.length; i++) near(logProbs[i]!, wanted[i]!);
      let mass = 0;
      for (const stop of stops) mass += Math.exp((await alone(stop))[own.length]!);
      near(ending[own.length - 1]!, Math.log(mass));
    }
    // The likeliest first tokens first.
    const firsts = rated.map(({ logProbs }) => logProbs[0]!);
    expect(firsts).toEqual(firsts.toSorted((a, b) => b - a));
    // It leaves no trace: the next answer is that of a session that was not asked.
    const next = Int32Array.from([...prompt, ...ids, ...model.tokenizer.encode(' and')]);
    const fresh = new Session(model, { context });
    const [more, other] = [session, fresh].map((one) => one.complete(next, { ...GREEDY, maxTokens: 4 }));
    expect((await more!).ids).toEqual((await other!).ids);
    await session.destroy();
    await fresh.destroy();
    model.free();
  });

  test('refuses without an answer, with too many texts, and for layers with states', async () => {
    const model = await testFace().load(file, { device: 'wasm', threads: 1 });
    const session = await model.createSession({ temperature: 0, maxTokens: 4 });
    await expect(session.rate({ answers: ['hello'] })).rejects.toMatchObject({ code: 'empty' });
    await session.prompt('hello there');
    expect(await session.rate({ answers: [] })).toEqual([]);
    await expect(session.rate({ answers: Array(5000).fill('a') })).rejects.toThrow('5000 answers');
    await expect(session.rate({ answers: ['a'], most: 0 })).rejects.toMatchObject({ code: 'argument' });
    const [rated] = await session.rate({ answers: ['hello'] });
    expect(rated).toMatchObject({ index: 0, ends: Uint32Array.of(1, 2, 3, 4, 5) });
    await model.destroy();
    const states = await loadTest(tinyModel({ states: 'delta' }));
    const other = new Session(states);
    await other.complete(PROMPT, { ...GREEDY, maxTokens: 2 });
    await expect(other.rate({ answers: ['a'] })).rejects.toThrow('have states');
    await other.destroy();
    states.free();
  });
});
