/** Vision-language models against upstream: tiles byte by byte, ids, embeddings, logits and greedy ids, on every backend and from both kinds of files. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import type { Message } from '../../src/chat/messages.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { stretchPlan } from '../../src/models/vision/idefics3.ts';
import { Session } from '../../src/session.ts';
import type { Rgba } from '../../src/vision/image.ts';
import { testBackends } from '../support/backends.ts';
import { testPlatform } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';
import { ggufPair, visionFixture } from '../support/vision-fixtures.ts';

const backends = await testBackends();
const smolvlm = await visionFixture('smolvlm');
const { expected } = smolvlm;

/** The same numbers as `picture` of training/parity/vision_models.py. */
function picture(width: number, height: number): Rgba {
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set([(x * 7 + y * 3) % 256, (x * y + 40) % 256, ((x ^ y) * 5) % 256], 4 * (y * width + x));
  return { data, width, height };
}

const MESSAGES: Message[] = [
  {
    role: 'user',
    content: [
      { type: 'image', value: picture(50, 30) },
      { type: 'text', value: 'Which of them? ' },
      { type: 'image', value: picture(20, 20) },
      { type: 'text', value: 'Say.' },
    ],
  },
];
const GREEDY = { temperature: 0, maxTokens: expected.generated.length };
const { 'expected.json': _, ...folder } = smolvlm.files;
const inputs = [
  ['a Hugging Face folder', folder],
  ['a GGUF and its projector', ggufPair(smolvlm)],
  ['the same with the names of the MLP exchanged', ggufPair(smolvlm, true)],
] as const;

describe.each(backends)('smolvlm on $name', ({ name, create }) => {
  const models: EngineModel[] = [];
  afterAll(() => {
    for (const model of models) model.free();
  });

  test.each(inputs)("%s: embeddings and greedy ids are upstream's", async (_, files) => {
    const backend = await create();
    const model = await EngineModel.load(testPlatform, files, {}, {}, async () => ({
      backend,
      info: { kind: backend.kind === 'reference' ? 'wasm' : backend.kind, description: name, reason: 'a test' },
    }));
    models.push(model);
    expect(model.capabilities).toMatchObject({ chat: true, see: true, paint: false, edit: false });
    const { images } = model;
    const shown = [picture(50, 30), picture(20, 20)].map((image) => images.register(image, 'image'));
    const rows: number[] = [];
    for (const image of shown) {
      await images.encode(image);
      rows.push(...(await backend.download(images.embeddings(image).embeddings)));
    }
    expectNmse(Float32Array.from(rows), expected.embeddings, TOLERANCE.reduction, `${name}: embeddings`);
    const session = new Session(model, GREEDY);
    const answer = await session.prompt(MESSAGES);
    expect(answer.tokens.prompt).toBe(expected.ids.length);
    // An id that ends the answer is not part of it.
    expect(answer.ids).toEqual(expected.generated.slice(0, answer.ids.length));
    expect(answer.ids.length).toBeGreaterThan(2);
    await session.destroy();
  });
});

describe('smolvlm', () => {
  let backend: Backend;
  let model: EngineModel;
  beforeAll(async () => {
    backend = await backends[0]!.create();
    model = await EngineModel.load(testPlatform, ggufPair(smolvlm), {}, {}, async () => ({
      backend,
      info: { kind: 'wasm', description: 'reference', reason: 'a test' },
    }));
  });
  afterAll(() => model.free());

  test.each(expected.preprocessing)(
    "tiles of $width x $height: upstream's, byte by byte",
    async ({ width, height, rows, columns, sha256 }) => {
      const file = await openModel(ggufPair(smolvlm));
      const { vision, free } = await loadModel(file, backend);
      const prepared = vision!.prepare(picture(width, height));
      const split = rows * columns > 0;
      expect(prepared.spans).toHaveLength(split ? rows * columns + 1 : 1);
      const hash = createHash('sha256');
      for (const index of prepared.spans.keys()) {
        const { data } = vision!.tile(prepared, index);
        hash.update(data.filter((_, i) => i % 4 !== 3));
      }
      expect(hash.digest('hex')).toBe(sha256);
      // What is remembered is prepared to the same tiles.
      expect(vision!.prepare(prepared.image, prepared.settings)).toEqual(prepared);
      free();
    },
  );

  test('sides that were reckoned once are whole tiles, and stay so', () => {
    const { integer } = random(5);
    for (let i = 0; i < 2000; i++) {
      const [width, height, tile] = [integer(1, 3000), integer(1, 3000), [32, 384, 512][i % 3]!];
      const longest = tile * integer(1, 5);
      const plan = stretchPlan({ width, height }, longest, tile);
      expect([plan.width % tile, plan.height % tile]).toEqual([0, 0]);
      const again = stretchPlan(plan, longest, tile);
      expect([again.width, again.height]).toEqual([plan.width, plan.height]);
      expect(again.first).toEqual({ width: plan.width, height: plan.height });
    }
  });

  test('selection thins all spans, rows of text stay, and positions are the original ones', async () => {
    const whole = new Session(model, GREEDY);
    const all = (await whole.prompt(MESSAGES)).tokens.prompt;
    await whole.destroy();
    for (const visual of [{ method: 'todre', keep: 0.25 }, { method: 'showui', keep: 0.5 }, 'cdpruner'] as const) {
      const session = new Session(model, { ...GREEDY, context: { visual } });
      const { tokens, ids } = await session.prompt(MESSAGES);
      // 48 and 64 tokens of tiles; the 4 of each overview stay.
      const share = typeof visual === 'object' ? visual.keep : 0.25;
      expect(tokens.prompt).toBe(all - 112 + share * 112);
      expect(ids.length).toBeGreaterThan(0);
      await session.destroy();
    }
  });

  test('sizes, routes, and a file without its projector', async () => {
    const session = (visual: object): Session => new Session(model, { ...GREEDY, visual });
    expect(() => session({ size: 48 })).toThrow('use 32, 64, 96, 128');
    expect(() => session({ route: 'mar' })).toThrow('leave it out');
    const small = session({ size: 32 });
    expect((await small.prompt(MESSAGES)).tokens.prompt).toBeLessThan(expected.ids.length / 2);
    await small.destroy();
    const files = ggufPair(smolvlm);
    const alone = await loadModel(await openModel(files['text.gguf']!), backend);
    expect(alone.vision).toBeUndefined();
    expect(alone.missing.join()).toContain('mmproj');
    alone.free();
  });
});
