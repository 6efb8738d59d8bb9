/**
 * Tools with real weights: Qwen2.5-Coder-0.5B calls a tool for the weather and answers from its result. So small a model calls again what it knows; it
 * answers when it is asked without tools, which a prompt does by itself. It writes its calls without the tags that its template asks for.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import { testFace } from '../support/engine.ts';
import { realModel } from '../support/models.ts';

const PATIENCE = 300_000;
const path = realModel('qwen');
if (path === undefined) test.skip('its file is not here', () => undefined);
else {
  let model: OctavoModel;
  beforeAll(async () => {
    model = await testFace().load(path, { device: 'wasm', threads: 1 });
  }, PATIENCE);
  afterAll(() => model.destroy());

  const inputSchema = {
    type: 'object',
    properties: { city: { type: 'string', description: 'Name of the city' } },
    required: ['city'],
  };
  const description = 'Gives the current weather of a city.';

  test(
    'a call is made and executed, and the answer uses the result',
    async () => {
      const asked: unknown[] = [];
      const session = await model.createSession({
        temperature: 0,
        maxTokens: 60,
        tools: [
          {
            name: 'get_weather',
            description,
            inputSchema,
            execute: (input) => {
              asked.push(input);
              return 'It is 17 degrees and it rains.';
            },
          },
        ],
      });
      const answer = await session.prompt('What is the weather in Paris?');
      expect(asked[0]).toMatchObject({ city: 'Paris' });
      expect(answer).toContain('17');
      expect(answer).not.toContain('get_weather');
      session.destroy();
    },
    PATIENCE,
  );

  test(
    'a question without need for it is answered without a call, and a call that must be made fits the schema',
    async () => {
      const session = await model.createSession({
        temperature: 0,
        maxTokens: 40,
        tools: [{ name: 'get_weather', description, inputSchema: { ...inputSchema, additionalProperties: false } }],
      });
      const free = session.promptStreaming('Write a haiku about rain.');
      let text = '';
      for await (const piece of free) text += piece;
      expect((await free.finished).toolCalls).toBeUndefined();
      expect(text.toLowerCase()).toContain('rain');
      const must = session.promptStreaming('And in Oslo?', { toolChoice: { name: 'get_weather' } });
      for await (const _ of must);
      const { finishReason, toolCalls = [] } = await must.finished;
      expect(finishReason).toBe('tool-calls');
      expect(toolCalls).toMatchObject([{ name: 'get_weather', arguments: { city: expect.stringContaining('Oslo') } }]);
      session.destroy();
    },
    PATIENCE,
  );
}
