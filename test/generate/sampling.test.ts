import { describe, expect, test } from '@jest/globals';
import { InputError } from '../../src/errors.ts';
import { answerSampling, recommendedSampling, sampleSpec, type SamplingOptions } from '../../src/generate/sampling.ts';
import { huggingFace } from '../support/tokenizers.ts';

describe('sampling options', () => {
  test('greedy unless told otherwise, with a seed of its own', () => {
    const { seed, ...rest } = sampleSpec({});
    expect(rest).toEqual({ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0 });
    expect(Number.isInteger(seed)).toBe(true);
  });

  test('the caller before the file before greedy', () => {
    const spec = sampleSpec({ topK: 3, seed: 7 }, { temperature: 0.6, topK: 20 });
    expect(spec).toMatchObject({ temperature: 0.6, topK: 3, topP: 1, seed: 7 });
  });

  test('named modes, not together with numbers', () => {
    expect(sampleSpec({ samplingMode: 'most-predictable' }, { temperature: 1 }).temperature).toBe(0);
    expect(sampleSpec({ samplingMode: 'balanced' }).temperature).toBeGreaterThan(0);
    expect(() => sampleSpec({ samplingMode: 'balanced', topK: 4 })).toThrow('samplingMode');
    expect(() => sampleSpec({ samplingMode: 'wild' as 'balanced' })).toThrow("'wild' is unknown");
  });

  test.each([
    ['temperature', -1],
    ['temperature', Number.NaN],
    ['topK', 1.5],
    ['topP', -0.1],
    ['topP', 1.1],
    ['minP', -0.1],
    ['repetitionPenalty', 0],
    ['seed', -1],
    ['seed', 2 ** 53],
    ['seed', 1.5],
  ])('%s: %s is refused by name', (name, value) => {
    expect(() => sampleSpec({ [name]: value })).toThrow(InputError);
    expect(() => sampleSpec({ [name]: value })).toThrow(name);
  });

  test('what other libraries accept: no probability mass, and the clock as a seed', () => {
    expect(sampleSpec({ topP: 0, temperature: 0.7 })).toMatchObject({ topK: 1, topP: 1, temperature: 0.7 });
    expect(sampleSpec({ seed: 2 ** 32 + 5 }).seed).toBe(5);
    expect(sampleSpec({ seed: Date.now() }).seed).toBeLessThan(2 ** 32);
  });

  test('a chat is penalised mildly for repeating itself where nobody names a penalty, and never where the likeliest token is asked for', () => {
    const chat = (options: SamplingOptions, defaults = {}): unknown => {
      const { spec, overContext } = answerSampling(options, defaults, true);
      return [spec.repetitionPenalty, overContext];
    };
    expect(chat({})).toEqual([1.05, false]);
    expect(chat({ temperature: 0.8 })).toEqual([1.05, false]);
    expect(chat({}, { temperature: 0.7, topP: 0.8 })).toEqual([1.05, false]);
    expect(chat({}, { repetitionPenalty: 1.1 })).toEqual([1.1, true]);
    expect(chat({ repetitionPenalty: 1 })).toEqual([1, true]);
    for (const exact of [{ temperature: 0 }, { topK: 1 }, { topP: 0 }, { samplingMode: 'most-predictable' as const }])
      expect(chat(exact)).toEqual([1, true]);
    expect(answerSampling({}, {}, false).spec.repetitionPenalty).toBe(1);
  });

  test("the publisher's penalty counts where it says to take the likeliest token", () => {
    const metadata = huggingFace(
      {},
      { generationConfig: { do_sample: false, temperature: 0.7, repetition_penalty: 1.1 } },
    );
    expect(recommendedSampling(metadata)).toEqual({ repetitionPenalty: 1.1 });
  });

  test("the publisher's recommendation is read and its nonsense is not", () => {
    const values = new Map<string, number>([
      ['general.sampling.temp', 0.7],
      ['general.sampling.top_k', -5],
      ['general.sampling.top_p', 0.8],
    ]);
    expect(recommendedSampling({ kind: 'gguf', values })).toEqual({ temperature: 0.7, topP: 0.8 });
    expect(
      recommendedSampling({
        kind: 'huggingface',
        config: {},
        generationConfig: { do_sample: true, temperature: 0.5, top_k: 20 },
      }),
    ).toEqual({ temperature: 0.5, topK: 20 });
    expect(
      recommendedSampling({
        kind: 'huggingface',
        config: {},
        generationConfig: { do_sample: false, temperature: 0.5 },
      }),
    ).toEqual({});
  });
});
