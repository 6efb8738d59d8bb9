/** Next tokens guessed from the context: what is guessed and when, and that answers are the same with guesses and without. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Drafts } from '../../src/generate/drafts.ts';
import type { CompletionOptions, OctavoModel } from '../../src/public.ts';
import { testFace } from '../support/engine.ts';
import { hasGpu } from '../support/gpu.ts';
import { tinyModel, TINY_VOCABULARY } from '../support/tiny-model.ts';

const LONG = 400;
const over = (ids: readonly number[]): { readonly drafts: Drafts; readonly push: (id: number) => void } => {
  const all = new Int32Array(LONG);
  all.set(ids);
  let length = ids.length;
  const drafts = new Drafts(all, length, 1000, 'wasm');
  return {
    drafts,
    push: (id) => {
      all[length++] = id;
      drafts.push(id);
    },
  };
};

describe('what is guessed', () => {
  test('follows the longest earlier occurrence, the newest among equals', () => {
    const text = [
      9, 1, 2, 3, 4, 5, 6, 50, 51, 52, 53, 9, 2, 3, 4, 5, 6, 60, 61, 62, 63, 8, 7, 3, 4, 5, 6, 70, 71, 72, 73,
    ];
    // 2 3 4 5 6 stands there twice, 3 4 5 6 a third time.
    expect([...over([...text, 0, 2, 3, 4, 5, 6]).drafts.propose(3)]).toEqual([60, 61, 62]);
    // 1 2 3 4 5 6 stands there once.
    expect([...over([...text, 0, 1, 2, 3, 4, 5, 6]).drafts.propose(3)]).toEqual([50, 51, 52]);
  });

  test('goes on with what repeats itself', () => {
    const { drafts } = over([7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9]);
    expect([...drafts.propose(15)]).toEqual([7, 8, 9, 7, 8, 9, 7]);
  });

  test('is nothing without an earlier occurrence, at the end of the room, and behind ids that are no tokens', () => {
    expect(over([1, 2, 3, 4, 5]).drafts.propose(15)).toHaveLength(0);
    expect(over([1]).drafts.propose(15)).toHaveLength(0);
    expect(over([7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9]).drafts.propose(0)).toHaveLength(0);
    expect(over([1, 2, 3, 4, 5, 6, -1, 9, 1, 2, 3, 4, 5, 6]).drafts.propose(15)).toHaveLength(0);
  });

  test('is given up where it is wrong, and taken up again where it would have been right', () => {
    const quoted = Array.from({ length: 14 }, (_, i) => 100 + i);
    const head = quoted.slice(0, 6);
    const { drafts, push } = over([...quoted, 1]);
    const say = (ids: readonly number[]): void => {
      for (const id of ids) {
        drafts.propose(15);
        push(id);
      }
    };
    say(head);
    expect(drafts.propose(15).length).toBeGreaterThan(0);
    // The same ids go on otherwise each time.
    for (let round = 0; round < 12; round++) say([500 + round, ...head]);
    expect(drafts.propose(15)).toHaveLength(0);
    for (let round = 0; round < 6; round++) say([...quoted.slice(6), 1, ...head]);
    expect(drafts.propose(15).length).toBeGreaterThan(0);
  });

  test('is given up where calls of several tokens take as long as calls of one', () => {
    const { drafts } = over([7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9]);
    drafts.timed(1, 10);
    for (let i = 0; i < 40; i++) for (const count of [4, 8, 16]) drafts.timed(count, 10 * count);
    expect(drafts.propose(15)).toHaveLength(0);
  });
});

/** Letters that the head can hardly tell apart: a difference in the last bits of its input makes another one the likeliest. */
function blur(name: string, values: Float32Array): void {
  if (name !== 'output.weight') return;
  const hidden = values.length / TINY_VOCABULARY;
  for (let id = 33; id < 127; id++)
    for (let i = 0; i < hidden; i++)
      values[id * hidden + i] = values[(33 + (id % 2)) * hidden + i]! + 1e-6 * values[id * hidden + i]!;
}

/** `sharp`: without the blur, for draws that would be even. A negative penalty rewards what was said already: then even random models repeat themselves. */
const WAYS: readonly {
  readonly name: string;
  readonly settings: CompletionOptions;
  readonly kvBits?: 8 | 'staircase';
  readonly sharp?: boolean;
}[] = [
  { name: 'greedy', settings: { temperature: 0 } },
  { name: 'drawn', settings: { temperature: 0.05, seed: 5, presencePenalty: -3 }, sharp: true },
  { name: 'penalised', settings: { temperature: 0, repetitionPenalty: 1.01, presencePenalty: 1 }, sharp: true },
  { name: 'with log-probabilities', settings: { temperature: 0, logprobs: 2 } },
  { name: 'under a constraint', settings: { temperature: 0, responseConstraint: /(?:abc[de]{2}){10,40}/ } },
  { name: 'with a stop string', settings: { temperature: 0, stop: 'cddab' } },
  { name: 'with pages at 8 bits', settings: { temperature: 0 }, kvBits: 8 },
  {
    name: 'with a staircase of bits',
    settings: { temperature: 0.05, seed: 5, presencePenalty: -3 },
    sharp: true,
    kvBits: 'staircase',
  },
];

const devices = (await hasGpu()) ? (['wasm', 'webgpu'] as const) : (['wasm'] as const);

describe.each(devices)('answers on %s', (device) => {
  const onWasm = device === 'wasm';
  let sharpModel: OctavoModel;
  let blurred: OctavoModel;
  beforeAll(async () => {
    const load = (damage?: typeof blur) =>
      testFace().load(tinyModel({ window: 2048, seed: 5, ...(damage && { damage }) }), { device, threads: 1 });
    sharpModel = await load();
    blurred = await load(blur);
  });
  afterAll(() => {
    sharpModel.destroy();
    blurred.destroy();
  });
  // Guesses do not pay in a model as small as this one: its calls seem to take no time, and the first costs are used.
  beforeEach(() => void jest.spyOn(performance, 'now').mockReturnValue(0));
  afterEach(() => {
    jest.restoreAllMocks();
  });

  test.each(onWasm ? WAYS : WAYS.slice(1, 3))('are the same: $name', async ({ settings, kvBits, sharp }) => {
    const model = sharp ? sharpModel : blurred;
    let right = 0;
    for (const text of onWasm
      ? ['abcdeabcddabcee', 'Once upon a time, once upon', 'x'.repeat(120)]
      : ['abcdeabcddabcee']) {
      const ask = async (drafts: boolean) => {
        const asked = { maxTokens: onWasm ? 160 : 40, loops: 'allow', ...settings, drafts } as const;
        if (kvBits === undefined) return model.complete(text, asked);
        const session = await model.createSession({ context: { kvBits, share: false } });
        const stream = session.promptStreaming(text, asked);
        let said = '';
        for await (const piece of stream) said += piece;
        const report = await stream.finished;
        session.destroy();
        return { said, ...report };
      };
      const { drafts, ...guessed } = await ask(true);
      const { drafts: none, ...plain } = await ask(false);
      expect(guessed).toEqual(plain);
      expect(none).toBeUndefined();
      right += drafts?.right ?? 0;
    }
    expect(right).toBeGreaterThan(onWasm ? 10 : 5);
  });
});
