/** How answers end: within characters, by control tokens, by themselves when they repeat, and where nobody says when. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEFAULT_ANSWER } from '../../src/generate/options.ts';
import type { OctavoModel } from '../../src/public.ts';
import { testFace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

let model: OctavoModel;
beforeAll(async () => {
  model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

describe('an answer', () => {
  test('that repeats itself ends by itself, unless it may go on', async () => {
    // A reward for what was said already makes any model say nothing else.
    const settings = { temperature: 0, presencePenalty: -1000, maxTokens: 200 } as const;
    const stopped = await model.complete('a', settings);
    const whole = await model.complete('a', { ...settings, loops: 'allow' });
    expect([stopped.finishReason, whole.finishReason]).toEqual(['loop', 'length']);
    expect(whole.tokens.generated).toBe(200);
    expect(stopped.tokens.generated).toBeLessThan(200);
    expect(whole.ids.slice(0, stopped.ids.length)).toEqual(stopped.ids);
    await expect(model.complete('Hello', { loops: 'go' as 'stop' })).rejects.toThrow('loops');
  });

  test('has an end where the caller names none', async () => {
    const { finishReason, tokens } = await model.complete('Hello', { temperature: 1.5, seed: 3 });
    expect(tokens.generated).toBeLessThanOrEqual(Math.min(DEFAULT_ANSWER, model.contextWindow));
    expect(['length', 'stop', 'loop']).toContain(finishReason);
  });

  test('never ends within a character, and continues where its ids do', async () => {
    const prompt = await model.tokenize('Hello');
    const settings = { temperature: 2, seed: 5, loops: 'allow' } as const;
    const { ids } = await model.complete(prompt, { ...settings, maxTokens: 60 });
    let cut = 0;
    for (let length = 1; length <= ids.length; length++) {
      const { text } = await model.complete(prompt, { ...settings, maxTokens: length });
      const all = await model.detokenize(ids.slice(0, length));
      // The bytes of an unfinished character are no text; broken ones within are.
      expect(all.startsWith(text)).toBe(true);
      expect(all.slice(text.length)).toMatch(/^\ufffd?$/);
      if (all !== text) cut++;
    }
    expect(cut).toBeGreaterThan(0);
  });
});
