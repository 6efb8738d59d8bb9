/** DAMRO on a tiny random UniPic model: what is drawn is (1 + a) l - a l', computed by the graph alone. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { contrastedSpec, readContrast } from '../../src/generate/contrast.ts';
import type { Message } from '../../src/chat/messages.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { Session, type OpenSettings } from '../../src/session.ts';
import { toPixels, type Rgba } from '../../src/vision/index.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { loadTest, onReference, testPlatform } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { see } from '../support/see.ts';
import { TINY, TINY_PATCH, tinyUniPic, type TinyUniPicOptions } from '../support/tiny-unipic.ts';

const SIZE = TINY.sizes[0];
const SEEN = (SIZE / TINY_PATCH) ** 2 + TINY.buffers;
const { integer } = random(1);
const cat: Rgba = {
  data: Uint8ClampedArray.from({ length: 4 * 240 }, (_, i) => (i % 4 === 3 ? 255 : integer(0, 256))),
  width: 20,
  height: 12,
};
const asked: Message[] = [
  {
    role: 'user',
    content: [
      { type: 'image', value: cat },
      { type: 'text', value: 'What?' },
    ],
  },
];
const LIVELY: TinyUniPicOptions = {
  damage: (name, values) => {
    if (name === 'token_embd.weight') values.forEach((value, i) => (values[i] = 0.05 * value));
  },
};

let model: EngineModel;
const sessions: Session[] = [];
beforeAll(async () => {
  model = await EngineModel.load(testPlatform, tinyUniPic(LIVELY), {}, {}, onReference);
});
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.destroy())));
afterAll(() => model.free());

function begin(settings: OpenSettings = {}, on = model): Session {
  const session = new Session(on, { temperature: 0, maxTokens: 5, ...settings });
  sessions.push(session);
  return session;
}

/** The graph's greedy ids, the tokens of the contrast being all that its queries may see of the picture. */
async function truth(
  model: Model,
  before: readonly number[],
  after: readonly number[],
  strength: number,
  tokens: number,
  cutoff = 0.1,
): Promise<number[]> {
  const { language } = model;
  const { backend, config } = language;
  const picture = backend.keep(backend.scope(() => see(model, toPixels(cat, SIZE, 'pad'), SIZE)));
  const values = await backend.download(picture);
  const norms = Array.from({ length: SEEN - TINY.buffers }, (_, i) =>
    values.subarray(i * config.hidden, (i + 1) * config.hidden).reduce((sum, value) => sum + value * value, 0),
  );
  const outliers = [...norms.keys()]
    .sort((a, b) => norms[b]! - norms[a]!)
    .slice(0, tokens)
    .sort((a, b) => a - b);
  const said: number[] = [];
  const logits = async (seen: readonly number[]): Promise<Float32Array> => {
    const tail = [...after, ...said];
    const length = before.length + SEEN + tail.length;
    const runs = [
      0,
      before.length,
      ...seen.flatMap((i) => [before.length + i, before.length + i + 1]),
      before.length + SEEN,
      length,
    ];
    const sequence = new Sequence(
      new PageAllocator(
        backend.kvPool({ layers: config.layers, kvHeads: config.kvHeads, headDim: config.headDim, format: 'f32' }),
      ),
      length,
    );
    sequence.ensure(length);
    const ids = (part: readonly number[]): ReturnType<typeof language.embed> => {
      const ring = backend.ids(part.length);
      backend.writeIds(ring, 0, Int32Array.from(part));
      return language.embed(ring, 0, part.length);
    };
    const ranges = {
      queryBlock: length,
      shared: true,
      causal: true,
      offsets: Uint32Array.of(0, runs.length / 2),
      runs: Uint32Array.from(runs),
    };
    const out = backend.scope(() =>
      language.logits(
        backend.rows(
          language.forward(backend.stack([ids(before), picture, ids(tail)]), { kv: sequence, position: 0, ranges }),
          length - 1,
          1,
        ),
      ),
    );
    return backend.download(out);
  };
  while (said.length < 5) {
    const l = await logits([...Array.from({ length: SEEN }).keys()]);
    const other = await logits(outliers);
    const least = Math.max(...l) + Math.log(cutoff);
    const drawn = l.map((value, i) => (value < least ? -Infinity : (1 + strength) * value - strength * other[i]!));
    said.push(drawn.indexOf(Math.max(...drawn)));
  }
  return said;
}

describe('contrast', () => {
  test.each([
    [2, 10, 0.1],
    [20, 2, 0.1],
    [20, 2, 1e-6],
    [20, 2, 1],
  ] as const)('a = %d, %d tokens, cut-off %d: as the graph says', async (strength, tokens, cutoff) => {
    const graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
    const ids = (text: string): number[] => [...model.tokenizer.encode(text)];
    const expected = await truth(
      graph,
      ids('<|im_start|>user\n'),
      ids('\nWhat?<|im_end|>\n<|im_start|>assistant\n'),
      strength,
      tokens,
      cutoff,
    );
    expect((await begin({ contrast: { strength, tokens, cutoff } }).prompt(asked)).ids).toEqual(expected);
    const plain = (await begin().prompt(asked)).ids;
    // Only the likeliest is plausible.
    if (cutoff === 1) expect(plain).toEqual(expected);
    if (cutoff < 1e-3) expect(plain).not.toEqual(expected);
    graph.free();
  });

  test('on WASM as on the reference; with a temperature as without one by one seed; nothing is left behind', async () => {
    const wasm = await loadTest(tinyUniPic(LIVELY));
    const settings: OpenSettings = { contrast: true, temperature: 0.8, seed: 5, presencePenalty: 0.5 };
    const session = begin(settings, wasm);
    expect((await session.prompt(asked)).ids).toEqual((await begin(settings).prompt(asked)).ids);
    await session.destroy();
    expect(wasm.pagesUsed).toBe(0);
    wasm.free();
  });

  test('beside fewer tokens, in a later turn, for one prompt alone', async () => {
    const session = begin({ context: { visual: { method: 'todre', keep: 0.5 } } });
    await session.prompt(asked);
    const plain = await session.clone();
    sessions.push(plain);
    const contrasted = await session.prompt('Sure?', { contrast: { strength: 50, tokens: 1 } });
    expect(contrasted.ids).not.toEqual((await plain.prompt('Sure?')).ids);
  });

  test('without a picture it changes nothing', async () => {
    expect((await begin({ contrast: true }).prompt('What?')).ids).toEqual((await begin().prompt('What?')).ids);
  });

  test('an abort frees the second sequence', async () => {
    const controller = new AbortController();
    const session = begin({ contrast: true });
    const call = session.prompt(
      asked,
      {},
      { signal: controller.signal, onText: () => controller.abort(new RangeError('enough')) },
    );
    await call.catch(() => undefined);
    await session.destroy();
    expect(model.pagesUsed).toBe(0);
  });

  test.each([0, -1, NaN, 101, '2'])('a strength of %p is refused', (strength) => {
    expect(() => readContrast({ strength: strength as number })).toThrow(
      expect.objectContaining({ name: 'InputError' }),
    );
  });

  test('the scale of the logits goes into the temperature and the presence penalty', () => {
    const spec = { temperature: 0.9, topK: 1, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0.6, seed: 1 };
    const { temperature, presencePenalty } = contrastedSpec(spec, { strength: 2, tokens: 10, cutoff: 0.1 });
    expect(temperature).toBeCloseTo(0.3, 12);
    expect(presencePenalty).toBeCloseTo(0.2, 12);
  });
});
