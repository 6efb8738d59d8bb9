/** What every vision-language model must pass: upstream's tiles, ids, embeddings and greedy ids, on every backend and from both kinds of files. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Tensor } from '../../src/backend/backend.ts';
import { encodeContext } from '../../src/chat/prompt.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { prefill } from '../../src/generate/prefill.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { Session } from '../../src/session.ts';
import type { VisualSelection } from '../../src/select/visual/options.ts';
import { testBackends, type TestBackend } from './backends.ts';
import { testPlatform } from './engine.ts';
import { expectNmse, TOLERANCE } from './tolerance.ts';
import { conversation, folderOf, ggufPair, picture, visionFixture, type VisionFixture } from './vision-fixtures.ts';

/** Of training/parity/vision_models.py. */
const SAMPLES = 400;

export async function loadVision(
  { name, create }: TestBackend,
  files: Record<string, Uint8Array>,
): Promise<EngineModel> {
  const backend = await create();
  return EngineModel.load(testPlatform, files, {}, {}, async () => ({
    backend,
    info: { kind: backend.kind === 'reference' ? 'wasm' : backend.kind, description: name, reason: 'a test' },
  }));
}

/** Upstream's ids, embeddings and greedy ids. */
async function expectUpstream(
  model: EngineModel,
  fixture: VisionFixture,
  name: string,
  tolerance: number,
): Promise<void> {
  const { expected } = fixture;
  expect(model.capabilities).toMatchObject({ chat: true, see: true, paint: false, edit: false });
  const { images } = model;
  const { backend } = (await model.deviceSequence(32)).model;
  const rows: number[] = [];
  for (const [width, height] of expected.shown) {
    const image = images.register(picture(width, height), 'image');
    await images.encode(image);
    rows.push(...(await backend.download(images.embeddings(image).embeddings)));
  }
  expectNmse(Float32Array.from(rows), expected.embeddings, tolerance, `${name}: embeddings`);
  const session = new Session(model, { temperature: 0, maxTokens: expected.generated.length });
  const answer = await session.prompt(conversation(fixture));
  expect(answer.tokens.prompt).toBe(expected.ids.length);
  // An id that ends the answer is not part of it.
  expect(answer.ids).toEqual(expected.generated.slice(0, answer.ids.length));
  expect(answer.ids.length).toBeGreaterThan(2);
  await session.destroy();
}

/** Ids and logits of the conversation, prefilled in chunks of `chunk` tokens: of those of expected.positions that the last chunk holds, and of the last position. */
async function prefilled(
  model: EngineModel,
  { expected }: VisionFixture,
  chunk: number,
): Promise<{
  readonly ids: number[];
  readonly logits: Float32Array;
  readonly wanted: Float32Array;
  readonly last: Float32Array;
}> {
  const { images, tokenizer, templates } = model;
  const [first, second] = expected.shown.map(([width, height]) => images.register(picture(width, height), 'image'));
  const turns = [{ role: 'user' as const, content: [first!, 'Which of them? ', second!, 'Say.'] }];
  const options = { addGenerationPrompt: true, bosToken: '', eosToken: '' };
  const content = templates!.renderTurns(tokenizer.facts.chatTemplate!, turns, options);
  const { ids, spans } = encodeContext({ tokenizer, images }, content);
  const onDevice = await model.deviceSequence(512);
  const { model: language } = onDevice;
  const { backend } = language;
  const kept: Tensor[] = [];
  await prefill(onDevice, { ids, spans, cached: 0, chunk }, (hidden, start, count) => {
    const places = [expected.positions.filter((at) => at >= start).map((at) => at - start), [count - 1]];
    for (const rows of places) kept.push(backend.keep(language.logits(backend.take(hidden, Int32Array.from(rows)))));
  });
  const [logits, last] = await Promise.all(kept.map((tensor) => backend.download(tensor)));
  onDevice.sequence.free();
  const wanted = expected.logits.subarray(expected.logits.length - logits!.length);
  return { ids: [...ids], logits: logits!, wanted, last: last! };
}

export interface VisionCase {
  readonly fixture: VisionFixture;
  readonly backends: readonly TestBackend[];
  /** From the folder, and from the pair of GGUF files, both on one backend. */
  readonly model: () => Model;
  readonly engine: () => EngineModel;
}

/** The tests of one fixture. */
export async function describeVision(
  name: string,
  {
    routes = ['folder', 'gguf', 'swapped'],
    tolerance = TOLERANCE.reduction,
    more,
  }: {
    /** Of the embeddings' normalised mean squared error. */
    readonly tolerance?: number;
    readonly routes?: readonly ('folder' | 'gguf' | 'swapped')[];
    readonly more?: (given: VisionCase) => void;
  } = {},
): Promise<void> {
  const backends = await testBackends();
  const fixture = await visionFixture(name);
  const inputs = {
    folder: () => folderOf(fixture),
    gguf: () => ggufPair(fixture),
    swapped: () => ggufPair(fixture, true),
  };

  // The routes differ in how weights are read, which is the same for all backends: the slowest takes one of them, and the third is for one backend.
  const routesOf = (backend: TestBackend): readonly (keyof typeof inputs)[] =>
    routes.filter((route) =>
      route === 'swapped' ? backend === backends[1] : route === 'gguf' || backend.name !== 'webgpu',
    );
  describe.each(backends)(`${name} on $name`, (backend) => {
    test.each(routesOf(backend))("from a %s: embeddings and greedy ids are upstream's", async (route) => {
      const model = await loadVision(backend, inputs[route]());
      try {
        await expectUpstream(model, fixture, `${name} on ${backend.name}`, tolerance);
        const { ids, logits, wanted, last } = await prefilled(model, fixture, 512);
        expect(ids).toEqual(fixture.expected.ids);
        expectNmse(logits, wanted, tolerance, `${name} on ${backend.name}: logits`);
        // A prompt that is read in small parts gives the same bits on the CPU engine.
        const parts = await prefilled(model, fixture, 8);
        if (backend.name.startsWith('wasm')) expect(parts.last).toEqual(last);
        else expectNmse(parts.last, last, TOLERANCE.reduction, `${name} on ${backend.name}: in parts`);
      } finally {
        model.free();
      }
    });
  });

  describe(name, () => {
    let engine: EngineModel;
    let model: Model;
    beforeAll(async () => {
      engine = await loadVision(backends[1]!, inputs.gguf());
      const { backend } = (await engine.deviceSequence(32)).model;
      model = await loadModel(await openModel(folderOf(fixture)), backend);
    });
    afterAll(() => {
      model.free();
      engine.free();
    });

    test.each(fixture.expected.preprocessing)(
      "tiles of $width x $height: upstream's, byte by byte",
      ({ width, height, tiles, sha256, bytes = 0, sample }) => {
        const vision = model.vision!;
        if (sha256 === null) {
          expect(() => vision.prepare(picture(width, height))).toThrow('cut it into parts');
          return;
        }
        const prepared = vision.prepare(picture(width, height));
        expect(prepared.spans).toHaveLength(tiles);
        const shown = [...prepared.spans.keys()].map((i) =>
          Buffer.from(vision.tile(prepared, i).data.filter((_, at) => at % 4 !== 3)),
        );
        const all = Buffer.concat(shown);
        if (sample === undefined) expect(createHash('sha256').update(all).digest('hex')).toBe(sha256);
        else {
          // The sum of two roundings may be one level off.
          const wanted = Buffer.from(sample, 'base64');
          const step = Math.max(1, Math.floor(bytes / SAMPLES));
          expect(all.length).toBe(bytes);
          expect(wanted.length).toBe(Math.ceil(bytes / step));
          expect(wanted.every((value, i) => Math.abs(value - all[i * step]!) <= 1)).toBe(true);
        }
        // What is remembered is prepared to the same tiles.
        expect(vision.prepare(prepared.image, prepared.settings)).toEqual(prepared);
      },
    );

    test('20,000 x 10 pixels are refused by their side', () => {
      expect(() => engine.images.register(picture(20_000, 10), 'image')).toThrow('at most 16384 a side');
    });

    test.each<VisualSelection>([
      { method: 'todre', keep: 0.25 },
      { method: 'divprune', keep: 0.5 },
      { method: 'cdpruner', keep: 0.25 },
      { method: 'showui', keep: 0.5 },
    ])('$method keeps $keep of the tokens, those that never go among them', async (visual) => {
      const { ids, shown } = fixture.expected;
      const spans = shown.flatMap(
        ([width, height]) => engine.images.register(picture(width, height), 'x').prepared.spans,
      );
      const session = new Session(engine, { temperature: 0, maxTokens: 4, context: { visual } });
      const { tokens } = await session.prompt(conversation(fixture));
      const each = shown.map(([width, height]) => {
        const its = engine.images.register(picture(width, height), 'x').prepared.spans;
        return [its.reduce((n, one) => n + one.tokens, 0), its.reduce((n, one) => n + one.selectable, 0)] as const;
      });
      const all = each.reduce((sum, [n]) => sum + n, 0);
      const share = visual.keep as number;
      const kept = each.reduce((sum, [n, free]) => sum + Math.max(n - free + 1, Math.round(share * n)), 0);
      expect(spans.length).toBeGreaterThan(1);
      // ShowUI keeps a share of each component, and those of one patch.
      if (visual.method === 'showui') expect(tokens.prompt).toBeLessThanOrEqual(ids.length);
      else expect(tokens.prompt).toBe(ids.length - all + kept);
      await session.destroy();
    });

    more?.({ fixture, backends, model: () => model, engine: () => engine });
  });
}
