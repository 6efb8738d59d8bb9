/** ToDRE's second stage on a tiny UniPic model, f64: when it drops, what is then seen, what comes back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { PageAllocator, Sequence } from '../../../src/kv/sequence.ts';
import { isPlan, type Plan, type PlannedCall } from '../../../src/kv/plan.ts';
import { VisualPlanner } from '../../../src/select/visual/release.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { EngineModel } from '../../../src/engine/model.ts';
import type { SessionModel } from '../../../src/generate/session-cache.ts';
import type { Message } from '../../../src/chat/messages.ts';
import { openModel } from '../../../src/load/index.ts';
import { loadModel, type Model } from '../../../src/models/model.ts';
import { Session } from '../../../src/session.ts';
import type { Rgba } from '../../../src/vision/index.ts';
import type { VisualSelection } from '../../../src/select/visual/index.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { always } from '../../support/constraint.ts';
import { onReference, testPlatform } from '../../support/engine.ts';
import { random } from '../../support/random.ts';
import { tinyUniPic, type TinyUniPicOptions } from '../../support/tiny-unipic.ts';
import { expectNmse } from '../../support/tolerance.ts';

const IMAGE = 259;
const LIVELY: TinyUniPicOptions = {
  damage: (name, values) => {
    if (name === 'token_embd.weight') values.forEach((value, i) => (values[i] = 0.05 * value));
  },
};
const text = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => 40 + ((seed * 31 + i * 17) % 80));
const picture = (length: number): number[] => Array.from({ length }, () => IMAGE);
/** Ends a turn. */
const TURN = 257;

let graph: Model;
beforeAll(async () => {
  graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
});
afterAll(() => graph.free());

interface Run {
  readonly planner: VisualPlanner;
  readonly sequence: Sequence;
  readonly hidden: Float32Array;
  /** Queries of the deciding layer, [prompt, heads * headDim]. */
  readonly q: Float32Array;
}

/** Prefills `ids` in chunks; `spied`: what a dense pass asks at the deciding layer. */
async function run(ids: readonly number[], chunk: number, planner: VisualPlanner | undefined): Promise<Run> {
  const { language } = graph;
  const { backend, config, attention, rope } = language;
  const { layers, kvHeads, headDim } = config;
  const sequence = new Sequence(
    new PageAllocator(backend.kvPool({ layers, kvHeads, headDim, format: 'f32' })),
    ids.length + 8,
  );
  const ring = backend.ids(ids.length);
  const all = Int32Array.from(ids);
  backend.writeIds(ring, 0, all);
  const queries: number[] = [];
  let hidden: Float32Array = new Float32Array(0);
  for (let start = 0; start < ids.length; start += chunk) {
    const end = Math.min(ids.length, start + chunk);
    sequence.ensure(end);
    const call: PlannedCall = {
      backend,
      kv: sequence,
      position: start,
      count: end - start,
      ...attention,
      rope,
      ids: all.subarray(0, end),
      phase: 'prefill',
      promptEnd: ids.length,
    };
    const asked = planner?.plan(call) ?? denseCausal(end - start, end);
    const plan: Plan = {
      ranges: async (layer, q) => {
        if (layer === layers - 1) queries.push(...(await backend.download(q)));
        return isPlan(asked) ? asked.ranges(layer, q) : asked;
      },
    };
    const x = backend.keep(backend.scope(() => language.embed(ring, start, end - start)));
    const out = await language.forwardPlanned(x, { kv: sequence, position: start, plan });
    hidden = await backend.download(out);
    backend.free(x);
    backend.free(out);
  }
  await planner?.prefilled();
  return { planner: planner!, sequence, hidden, q: Float32Array.from(queries) };
}

const planner = (tau: number): VisualPlanner =>
  new VisualPlanner({
    placeholder: IMAGE,
    layers: graph.language.config.layers,
    tau,
    layer: -1,
    control: (id) => id === TURN,
  });

/** Softmax by hand: the mean over heads and `from` queries of the mass on `to` keys, at the last layer of a dense pass. */
async function mass(
  ids: readonly number[],
  isQuery: (i: number) => boolean,
  isKey: (query: number, key: number) => boolean,
): Promise<number> {
  const { backend, config, attention } = graph.language;
  const { layers, kvHeads, headDim } = config;
  const { q, sequence } = await run(ids, ids.length, planner(0));
  const keys = await backend.download(backend.cached(sequence, layers - 1, 'keys', 0, ids.length));
  let sum = 0;
  let count = 0;
  for (let i = 0; i < ids.length; i++) {
    if (!isQuery(i)) continue;
    count++;
    for (let h = 0; h < attention.heads; h++) {
      const group = Math.floor((h * kvHeads) / attention.heads);
      const scores = Array.from({ length: i + 1 }, (_, j) => {
        let score = 0;
        for (let c = 0; c < headDim; c++)
          score += q[(i * attention.heads + h) * headDim + c]! * keys[(j * kvHeads + group) * headDim + c]!;
        return Math.exp(score * attention.scale);
      });
      const all = scores.reduce((a, b) => a + b, 0);
      sum += scores.reduce((a, b, j) => (isKey(i, j) ? a + b : a), 0) / all / attention.heads;
    }
  }
  return sum / count;
}

describe('the decision', () => {
  const prompt = [...text(3, 1), TURN, ...text(6, 2), ...picture(40), ...text(5, 3), ...picture(33), ...text(9, 4)];
  const visual = (i: number): boolean => prompt[i] === IMAGE;
  const first = prompt.indexOf(IMAGE);

  test.each([1, 7, 50, 1000])('drops below tau and not above, in chunks of %i', async (chunk) => {
    const toPicture = await mass(
      prompt,
      (i) => !visual(i) && i > first,
      (_, j) => visual(j),
    );
    // The turn's own text before the picture: not what stands before its control token.
    const toText = await mass(prompt, visual, (_, j) => !visual(j) && j > 3);
    const larger = Math.max(toPicture, toText);
    expect(Math.min(toPicture, toText)).toBeGreaterThan(0.01);
    for (const [tau, drops] of [
      [larger + 1e-5, true],
      [larger - 1e-5, false],
    ] as const) {
      expect((await run(prompt, chunk, planner(tau))).planner.dropped).toBe(drops);
    }
  });

  test('a prompt without a picture, or with nothing behind it, drops nothing', async () => {
    expect((await run(text(40, 1), 16, planner(1))).planner.dropped).toBe(false);
    expect((await run([...text(5, 1), ...picture(40)], 16, planner(1))).planner.dropped).toBe(false);
  });

  test('pages of whole blocks of the upper layers are given back, the others stay', async () => {
    const { sequence } = await run(prompt, 1000, planner(1));
    const { layers, kvHeads } = graph.language.config;
    const end = first + 40;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < kvHeads; head++) {
        for (let block = 0; block < Math.ceil(prompt.length / 32); block++) {
          const covered =
            (block * 32 >= first && block * 32 + 32 <= end) || (block * 32 >= end + 5 && block * 32 + 32 <= end + 38);
          expect(sequence.table[(layer * kvHeads + head) * sequence.blocks + block]! >= 0).toBe(
            !(covered && layer === layers - 1),
          );
        }
      }
    }
  });

  test('what the text is then: as where the upper layer never saw the pictures', async () => {
    const { hidden, planner: decided } = await run(prompt, 1000, planner(1));
    expect(decided.dropped).toBe(true);
    const dense = await run(prompt, 1000, planner(0));
    const { language } = graph;
    const { backend, config } = language;
    const { layers, kvHeads, headDim } = config;
    const sequence = new Sequence(
      new PageAllocator(backend.kvPool({ layers, kvHeads, headDim, format: 'f32' })),
      prompt.length,
    );
    sequence.ensure(prompt.length);
    const ring = backend.ids(prompt.length);
    backend.writeIds(ring, 0, Int32Array.from(prompt));
    const seen = [...prompt.keys()].filter((i) => !visual(i));
    const all = denseCausal(prompt.length, prompt.length);
    const upper = {
      ...all,
      offsets: Uint32Array.of(0, seen.length),
      runs: Uint32Array.from(seen.flatMap((i) => [i, i + 1])),
    };
    const x = backend.keep(backend.scope(() => language.embed(ring, 0, prompt.length)));
    const wanted = await backend.download(
      await language.forwardPlanned(x, {
        kv: sequence,
        position: 0,
        plan: { ranges: (layer) => (layer === layers - 1 ? upper : all) },
      }),
    );
    const rows = (values: Float32Array): number[] =>
      seen.flatMap((i) => [...values.subarray(i * config.hidden, (i + 1) * config.hidden)]);
    expectNmse(rows(hidden), rows(wanted), 1e-12, 'text behind dropped pictures');
    expect(() => expectNmse(rows(dense.hidden), rows(wanted), 1e-6, 'dense')).toThrow('NMSE');
  });
});

describe('in sessions', () => {
  let model: EngineModel;
  const sessions: Session[] = [];
  beforeAll(async () => {
    model = await EngineModel.load(testPlatform, tinyUniPic(LIVELY), {}, {}, onReference);
  });
  afterEach(() => Promise.all(sessions.splice(0).map((session) => session.destroy())));
  afterAll(() => model.free());

  function photo(seed: number): Rgba {
    const { integer } = random(seed);
    return {
      data: Uint8ClampedArray.from({ length: 4 * 240 }, (_, i) => (i % 4 === 3 ? 255 : integer(0, 256))),
      width: 20,
      height: 12,
    };
  }
  const show = (words: string, ...pictures: readonly Rgba[]): Message[] => [
    {
      role: 'user',
      content: [...pictures.map((value) => ({ type: 'image' as const, value })), { type: 'text', value: words }],
    },
  ];
  const ascii = {
    get constraint() {
      return always(Uint32Array.from({ length: 9 }, (_, word) => (word === 1 || word === 2 ? 0xffffffff : 0)));
    },
  };
  function begin(tau: number, on: SessionModel = model): Session {
    const visual: VisualSelection = { method: 'todre', keep: 1, release: { tau } };
    // 67 tokens a picture: two whole blocks and a part.
    const session = new Session(on, {
      temperature: 0,
      maxTokens: 6,
      visual: { size: 32 },
      context: { visual, share: false },
    });
    sessions.push(session);
    return session;
  }

  test('tau 0 changes nothing; tau 1 gives pages back', async () => {
    const plain = new Session(model, { temperature: 0, maxTokens: 6, visual: { size: 32 }, context: { share: false } });
    sessions.push(plain);
    const wanted = await plain.prompt(show('What?', photo(1)));
    const before = model.pagesUsed;
    expect((await begin(0).prompt(show('What?', photo(1)))).ids).toEqual(wanted.ids);
    const whole = model.pagesUsed - before;
    await begin(1).prompt(show('What?', photo(1)));
    const less = model.pagesUsed - before - whole;
    expect(less).toBeLessThan(whole);
    expect((whole - less) % model.config.kvHeads).toBe(0);
  });

  test('a turn without a picture goes on behind what was dropped; one with a picture has all computed anew', async () => {
    const session = begin(1);
    const said: Message[] = [];
    const first = await session.prompt(show('What?', photo(1)), {}, ascii);
    said.push(...show('What?', photo(1)), { role: 'assistant', content: first.text });
    const second = await session.prompt('Sure?', {}, ascii);
    expect(second.tokens.cached).toBeGreaterThanOrEqual(67);
    said.push({ role: 'user', content: 'Sure?' }, { role: 'assistant', content: second.text });
    const copy = await session.clone();
    sessions.push(copy);
    const third = await session.prompt(show('And this?', photo(2)), {}, ascii);
    expect(third.tokens.cached).toBeLessThan(20);
    const fresh = await begin(1).prompt([...said, ...show('And this?', photo(2))], {}, ascii);
    expect(third.ids).toEqual(fresh.ids);
    expect((await copy.prompt(show('And this?', photo(2)), {}, ascii)).ids).toEqual(fresh.ids);
    expect((await session.prompt('Sure?', {}, ascii)).tokens.cached).toBeGreaterThan(130);
  });

  test('all pages come back', async () => {
    await Promise.all(sessions.splice(0).map((session) => session.destroy()));
    expect(model.pagesUsed).toBe(0);
  });
});
