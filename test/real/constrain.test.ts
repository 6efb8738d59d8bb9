/** Structured output of real files: a small model that is shown a schema fills it in with what it was asked. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import { testFace } from '../support/engine.ts';
import { realModel } from '../support/models.ts';

const schema = {
  type: 'object',
  properties: {
    city: { type: 'string', minLength: 1, maxLength: 40 },
    country: { type: 'string', minLength: 1, maxLength: 40 },
    continent: { enum: ['Africa', 'America', 'Asia', 'Europe', 'Oceania'] },
    capital: { type: 'boolean' },
  },
  required: ['city', 'country', 'continent', 'capital'],
  additionalProperties: false,
} as const;

const PATIENCE = 300_000;

describe.each([
  ['qwen', 'Qwen2.5-Coder-0.5B'],
  ['smollm2', 'SmolLM2-135M'],
])('%s', (name, title) => {
  const path = realModel(name);
  if (path === undefined) {
    test.skip(`${title}: its file is not here`, () => undefined);
    return;
  }
  let model: OctavoModel;
  beforeAll(async () => {
    model = await testFace().load(path, { device: 'wasm' });
  }, PATIENCE);
  afterAll(() => model.destroy());

  test(
    'an object by its schema',
    async () => {
      const session = await model.createSession({ temperature: 0, maxTokens: 120 });
      const answer = await session.prompt('Describe the city of Paris, the capital of France.', {
        responseConstraint: schema,
      });
      const value = JSON.parse(answer) as Record<string, unknown>;
      expect(Object.keys(value).sort()).toEqual(['capital', 'city', 'continent', 'country']);
      expect(schema.properties.continent.enum).toContain(value['continent']);
      expect(typeof value['capital']).toBe('boolean');
      if (name === 'qwen') expect(value).toMatchObject({ city: 'Paris', country: 'France', continent: 'Europe' });
      session.destroy();
    },
    PATIENCE,
  );

  test(
    'one of two words, whatever the model would say',
    async () => {
      const session = await model.createSession({ temperature: 1, seed: 7 });
      expect(await session.prompt('Is the sea blue?', { responseConstraint: /yes|no/ })).toMatch(/^(?:yes|no)$/);
      session.destroy();
    },
    PATIENCE,
  );
});
