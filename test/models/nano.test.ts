/** The bundled model: tokenizer, template, greedy answers about documents and pictures, and what it paints from injected noise are those of the PyTorch that trained it, on every backend. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { Scenes, decode } from '../../eval/scenes.mjs';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { openModel } from '../../src/load/index.ts';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import type { Sources } from '../../src/paint/noise.ts';
import { Painter } from '../../src/paint/painter.ts';
import { readHeader } from '../../src/vision/header.ts';
import { toPixels } from '../../src/vision/square.ts';
import { renderChat } from '../../src/chat/template.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { testBackends } from '../support/backends.ts';
import { see } from '../support/see.ts';
import { greedy } from '../support/language.ts';
import { nmse } from '../support/tolerance.ts';
import { openWasm } from '../support/wasm.ts';

interface Case {
  readonly document: string;
  readonly question: string;
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
}

interface Looking {
  /** A file beside the model's, of 128 x 128 pixels. */
  readonly picture: string;
  readonly question: string;
  readonly expected: string;
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
}

interface PaintingCase {
  readonly text: string;
  /** What is edited, in eval/scenes.mjs's code. */
  readonly scene: string | null;
  readonly iterations: number;
  readonly steps: number;
  readonly guidance: number;
  readonly order: readonly number[];
  /** In the order in which it is used: for each round the first x of its tokens, then a set a step but the last. */
  readonly noise: readonly number[];
  /** [64 * 32] */
  readonly tokens: readonly number[];
  readonly found: string;
}

const FOLDER = new URL('../../models/nano/', import.meta.url);
/** The f64 loops, WASM without SIMD and the software GPU are slow: they take the shortest prompt only. */
const SLOW = /reference|webgpu|scalar/;

const bytes = new Uint8Array(await readFile(new URL('nano.gguf', FOLDER)));
const { cases, looking, painting } = JSON.parse(await readFile(new URL('parity.json', FOLDER), 'utf8')) as {
  cases: readonly Case[];
  looking: readonly Looking[];
  painting: readonly PaintingCase[];
};
const scenes = new Scenes(
  (JSON.parse(await readFile(new URL('../../eval/nano.json', import.meta.url), 'utf8')) as { world: unknown }).world,
);
const pixels = (code: string): Float32Array => toPixels(scenes.render(decode(code), SCALE), SIZE, 'pad');
/** A picture beside the model, as it is seen. */
async function beside(name: string): Promise<{ pixels: Float32Array; size: number }> {
  const file = await readFile(new URL(name, FOLDER));
  const image = await createNodeDecoder().decode(file, readHeader(file, name), name);
  return { pixels: toPixels(image, image.width, 'pad'), size: image.width };
}
/** Of a picture that is painted, and of the small world's in it. */
const SIZE = 64;
const SCALE = 2;
/** Of a token. */
const CHANNELS = 32;
/** Of painted tokens, on average over a picture: WASM multiplies in int8, and each step's error goes into the next. */
const LATENTS = { f32: 1e-8, int8: 2e-3 } as const;
const shortest = cases.reduce((a, b) => (b.promptIds.length < a.promptIds.length ? b : a));

// Whoever draws another collage has to run training/nano/parity.py again.
test('the cases of looking are the questions about the collage of the demo', async () => {
  const { collage } = JSON.parse(await readFile(new URL('demo.json', FOLDER), 'utf8')) as {
    collage: { file: string; questions: { question: string; answer: string }[] };
  };
  expect(looking.map(({ picture, question, expected }) => ({ picture, question, expected }))).toEqual(
    collage.questions.map(({ question, answer }) => ({ picture: collage.file, question, expected: answer })),
  );
});

describe.each(await testBackends())('nano on $name', ({ name, create }) => {
  let backend: Backend;
  let model: Model;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const file = await openModel(bytes);
    tokenizer = await createTokenizer(await openWasm('scalar'), file.metadata);
    backend = await create();
    model = await loadModel(file, backend);
  });
  afterAll(() => {
    model.free();
    tokenizer.free();
    backend.destroy();
  });

  test.each(SLOW.test(name) ? [shortest] : cases)('$question', async ({ document, question, promptIds, greedyIds }) => {
    const template = tokenizer.facts.chatTemplate;
    const text = renderChat(template!, [{ role: 'user', content: `${document}\n\n${question}` }], {
      addGenerationPrompt: true,
      bosToken: '',
      eosToken: '<|im_end|>',
    });
    expect([...tokenizer.encode(text)]).toEqual(promptIds);
    expect(await greedy(model.language, [...promptIds], greedyIds.length)).toEqual(greedyIds);
  });

  /** The greedy ids that follow the prompt with the picture at its placeholders, all at once: each beside the expected one before it. */
  async function seen(image: Float32Array, size: number, { promptIds, greedyIds }: Looking): Promise<number[]> {
    const { language } = model;
    const { layers, kvHeads, headDim, vocabulary } = language.config;
    const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
    const ids = [...promptIds, ...greedyIds];
    const sequence = new Sequence(new PageAllocator(pool), ids.length);
    const ring = backend.ids(ids.length);
    backend.writeIds(ring, 0, Int32Array.from(ids));
    sequence.ensure(ids.length);
    const at = ids.indexOf(model.vision!.placeholder);
    const logits = backend.scope(() => {
      const visual = see(model, image, size);
      const end = at + visual.shape[0]!;
      const rows = backend.stack([language.embed(ring, 0, at), visual, language.embed(ring, end, ids.length - end)]);
      const hidden = language.forward(rows, {
        kv: sequence,
        position: 0,
        ranges: denseCausal(ids.length, ids.length),
      });
      return language.logits(backend.rows(hidden, promptIds.length - 1, greedyIds.length));
    });
    const values = await backend.download(logits);
    pool.free();
    for (const tensor of [logits, ring]) backend.free(tensor);
    return greedyIds.map((_, i) => {
      const row = values.subarray(i * vocabulary, (i + 1) * vocabulary);
      return row.indexOf(Math.max(...row));
    });
  }

  // 256 tokens through the tower take the slow ones half a minute and more; its layers are compared on all of them with other weights.
  if (!SLOW.test(name))
    test.each(looking)('sees: $question', async (expected) => {
      const { pixels: collage, size } = await beside(expected.picture);
      expect(await seen(collage, size, expected)).toEqual(expected.greedyIds);
    });

  test.each(SLOW.test(name) ? painting.slice(0, 1) : painting)(
    'paints: $text',
    async ({ text, scene, iterations, steps, guidance, order, noise, tokens, found }) => {
      const { pictures } = model.paint!;
      const decodeTokens = pictures.decode.bind(pictures);
      let last: Float32Array | undefined;
      Reflect.set(
        pictures,
        'decode',
        (...args: Parameters<typeof decodeTokens>) => ((last = args[0].slice()), decodeTokens(...args)),
      );
      // A round has the first x of its tokens and a set for each step but the last; rows in the order of uncovering, where the painter's are in the picture's.
      const beginnings = new Map<string, number>();
      let used = 0;
      const sources: Sources = {
        order: () => Int32Array.from(order),
        noise: (step, positions) => {
          const each = positions.length * CHANNELS;
          const round = positions.join();
          const first = beginnings.get(round) ?? used;
          if (!beginnings.has(round)) {
            beginnings.set(round, first);
            used += steps * each;
          }
          const rows = positions.toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
          return Float32Array.from(
            [...positions].flatMap((position) => {
              const at = first + (step === 'initial' ? 0 : step + 1) * each + rows.indexOf(position) * CHANNELS;
              return noise.slice(at, at + CHANNELS);
            }),
          );
        },
      };
      const painter = new Painter(model, tokenizer);
      try {
        const request = {
          prompt: text,
          size: SIZE,
          seed: 0,
          iterations,
          diffusionSteps: steps,
          guidance,
          ...(scene !== null && { source: { pixels: pixels(scene), size: SIZE } }),
        };
        const [picture] = await painter.paint(request, sources);
        expect(nmse(last ?? [], Float32Array.from(tokens))).toBeLessThan(
          name.startsWith('wasm') ? LATENTS.int8 : LATENTS.f32,
        );
        expect(scenes.read({ data: picture!.data, width: SIZE })).toEqual(decode(found));
        expect(used).toBe(noise.length);
      } finally {
        painter.free();
        Reflect.deleteProperty(pictures, 'decode');
      }
    },
  );
});
