/** Sessions with images of models whose images are special: three axes of positions and rows for several layers (Qwen3-VL), spans seen in both directions (Gemma 3). */
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import type { OctavoSession, SessionOptions } from '../../src/face/session.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/index.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { ggufPair, picture, visionFixture } from '../support/vision-fixtures.ts';

const shelf = new IndexedShelf(new Database('vision-sessions'));
const face = testFace(undefined, { ...testPlatform, sessions: () => shelf });
const GREEDY = { temperature: 0, maxTokens: 8, loops: 'allow' } as const;

interface Told {
  readonly text: string;
  readonly cached: number;
  readonly prompt: number;
}

type Shown = readonly (readonly [width: number, height: number])[];

async function answer(session: OctavoSession, text: string, shown: Shown): Promise<Told> {
  const content = [
    { type: 'text' as const, value: 'Be so very brief.' },
    ...shown.map(([width, height]) => ({ type: 'image' as const, value: picture(width, height) })),
    { type: 'text' as const, value: text },
  ];
  const stream = session.promptStreaming([{ role: 'user', content }]);
  let all = '';
  for await (const piece of stream) all += piece;
  const { tokens } = await stream.finished;
  return { text: all, cached: tokens.cached, prompt: tokens.prompt };
}

describe.each(['qwen3vl', 'gemma3'])('%s', (name) => {
  let model: OctavoModel;
  const load = async (): Promise<OctavoModel> =>
    face.load(ggufPair(await visionFixture(name)) as Record<string, Uint8Array<ArrayBuffer>>, {
      device: 'wasm',
      threads: 1,
    });
  beforeAll(async () => {
    model = await load();
  });
  afterAll(() => model.destroy());
  const asked = async (options: SessionOptions, shown: Shown, ...turns: readonly string[]): Promise<Told[]> => {
    const session = await model.createSession({ ...GREEDY, ...options });
    const told = [];
    for (const text of turns) told.push(await answer(session, text, shown));
    session.destroy();
    return told;
  };

  test.each([16, 8, 'staircase'] as const)('what was shared changes no answer, with KV bits %s', async (kvBits) => {
    const both: Shown = [
      [40, 30],
      [20, 20],
    ];
    const [first] = both;
    const alone = await asked({ context: { kvBits, share: false } }, both, 'What?', 'And then?');
    expect(alone[0]!.cached).toBe(0);
    // The first image is the same, the second another: the border of a page at 32 tokens lies in the first.
    await asked({ context: { kvBits } }, [first!, [30, 50]], 'What?');
    const some = await asked({ context: { kvBits } }, both, 'What?', 'And then?');
    const all = await asked({ context: { kvBits } }, both, 'What?', 'And then?');
    for (const told of [some, all]) expect(told.map(({ text }) => text)).toEqual(alone.map(({ text }) => text));
    // Pages of other precisions are shared in groups of four, and what is shared ends in no image that is seen in both directions.
    expect(some[0]!.cached).toBe(kvBits === 16 && name === 'qwen3vl' ? 32 : 0);
    if (kvBits === 16) expect(all[0]!.cached).toBeGreaterThan(32);
  });

  test('saved with its images, a session goes on in another engine as if it had never ended', async () => {
    const session = await model.createSession({ ...GREEDY, ...(name === 'qwen3vl' && { visual: { unique: true } }) });
    await answer(session, 'What is it?', [
      [40, 30],
      [20, 20],
    ]);
    await session.save(name);
    const usage = session.contextUsage;
    const clone = await session.clone();
    const next = await answer(session, 'And this?', [[30, 50]]);
    expect((await answer(clone, 'And this?', [[30, 50]])).text).toBe(next.text);
    session.destroy();
    clone.destroy();
    const other = await load();
    try {
      const resumed = await other.resumeSession(name);
      expect(resumed.contextUsage).toBe(usage);
      const again = await answer(resumed, 'And this?', [[30, 50]]);
      expect(again.text).toBe(next.text);
      expect(again.cached).toBeGreaterThanOrEqual(usage - 1);
    } finally {
      await other.destroy();
    }
  });

  test.each([
    { prefill: 'blocks' },
    { prefill: 'window' },
    { visual: { method: 'todre', keep: 0.5, release: true } },
  ] as const)('with %j all is answered', async (context) => {
    const [told] = await asked({ context: context as SessionOptions['context'] }, [[40, 30]], 'What?');
    expect(told!.text.length).toBeGreaterThan(0);
  });
});
