/** Tiny random checkpoints of every architecture against upstream PyTorch: logits, greedy ids, and prefill against cached steps, on every backend. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LanguageModel } from '../../src/models/model.ts';
import { testBackends } from '../support/backends.ts';
import { fixtures, toGguf, type Expected } from '../support/fixtures.ts';
import { greedy, logitsOf } from '../support/language.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const backends = await testBackends();
const all = await fixtures();

/** The rows of [tokens, vocabulary] that the fixture has. */
function picked(logits: Float32Array, { positions, prompt }: Expected): Float32Array {
  const width = logits.length / prompt.length;
  const out = new Float32Array(positions.length * width);
  positions.forEach((position, i) => out.set(logits.subarray(position * width, (position + 1) * width), i * width));
  return out;
}

test('the fixtures are of one upstream version', () => {
  expect(all.map(({ name }) => name)).toEqual([
    'gemma3',
    'gemma4',
    'gemma4-dense',
    'granite',
    'lfm2',
    'llama',
    'llama-linear',
    'llama-llama3',
    'llama-yarn',
    'ministral3',
    'mistral',
    'phi3',
    'phi3-long',
    'qwen2',
    'qwen3',
    'qwen3-yarn',
    'qwen3_5',
    'smollm3',
  ]);
  for (const { expected } of all) expect(expected.upstream).toEqual({ transformers: '5.24.0', torch: '2.13.0' });
});

describe.each(backends)('$name', ({ name: device, create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => {
    backend.destroy();
  });

  describe.each(all)('$name', (it) => {
    const { expected, files, name } = it;
    const { prompt } = expected;

    async function withModel(
      input: Parameters<typeof openModel>[0],
      body: (model: LanguageModel) => Promise<void>,
    ): Promise<void> {
      const file = await openModel(input);
      const model = (await loadModel(file, backend)).language;
      await file.close();
      try {
        await body(model);
      } finally {
        model.free();
      }
    }

    test("Hugging Face folder: logits and greedy ids are upstream's", async () => {
      const before = backend.memory().weights;
      await withModel({ ...files }, async (model) => {
        const whole = await logitsOf(model, prompt, [prompt.length]);
        expectNmse(
          picked(whole, expected),
          expected.logits,
          TOLERANCE.reduction,
          `${name} on ${device}: logits at once`,
        );
        expectNmse(
          await logitsOf(model, prompt, []),
          whole,
          TOLERANCE.reduction,
          `${name} on ${device}: one token at a time against at once`,
        );
        expectNmse(
          await logitsOf(model, prompt, [7, 24, 1, 3]),
          whole,
          TOLERANCE.reduction,
          `${name} on ${device}: in chunks against at once`,
        );
        expectNmse(
          await logitsOf(model, prompt, [33], 'f16'),
          whole,
          TOLERANCE.half,
          `${name} on ${device}: f16 pages`,
        );
        expect(await greedy(model, prompt, expected.greedy.length)).toEqual(expected.greedy);
      });
      expect(backend.memory().weights).toBe(before);
    });

    test('the same as GGUF', async () => {
      await withModel(toGguf(it), async (model) => {
        const whole = await logitsOf(model, prompt, [prompt.length]);
        expectNmse(
          picked(whole, expected),
          expected.logits,
          TOLERANCE.reduction,
          `${name}.gguf on ${device}: logits at once`,
        );
        expect(await greedy(model, prompt, expected.greedy.length)).toEqual(expected.greedy);
      });
    });
  });
});
