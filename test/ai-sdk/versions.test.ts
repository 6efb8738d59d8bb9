/** Tools, structured output, embeddings, ranking, painting and chat by the AI SDK itself, in both of its versions, on models in this process. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as ai7 from 'ai';
import * as ai6 from 'ai6';
import { octavo, OctavoChatTransport } from '../../src/ai-sdk/index.ts';
import { octavo as octavoV3, OctavoChatTransport as TransportV3 } from '../../src/ai-sdk/v3.ts';
import type { OctavoModel } from '../../src/public.ts';
import { testFace } from '../support/engine.ts';
import { scriptedModel } from '../support/scripted-model.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;

const WASM = { device: 'wasm', threads: 1 } as const;
/** As Qwen's, with thoughts; a prompt ends with Q, or with R where results were given. */
const TEMPLATE =
  "{% if tools %}<|im_start|>system\nTools: {% for t in tools %}{{ t | tojson }}{% endfor %} Call as {{ '<tool_call>' }}<|im_end|>\n{% endif %}" +
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}' +
  '{% for c in m.tool_calls %}\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}' +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{{ 'R' if messages[-1].role == 'tool' else 'Q' }}{% endif %}";
const SCRIPTS = {
  Q: [
    '<think>',
    'Where?',
    '</think>',
    'Let me look.',
    '\n<tool_call>\n{"name": "weather",',
    ' "arguments": {"city": "Bern"',
    '}}\n</tool_call>',
  ],
  R: ['It is 17', ' degrees.'],
};
const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 8 }, warm: { type: 'boolean' } },
  required: ['city', 'warm'],
  additionalProperties: false,
} as const;

let talker: OctavoModel;
let tiny: OctavoModel;
beforeAll(async () => {
  const template = TEMPLATE.replace('{{ m.content }}', '{{ m.content }}{# enable_thinking <think> </think> #}');
  talker = await testFace().load(scriptedModel(SCRIPTS, { template }), WASM);
  tiny = await testFace().load(tinyModel({ window: 1024 }), WASM);
});
afterAll(() => Promise.all([talker.destroy(), tiny.destroy()]));

const VERSIONS = [
  { name: 'ai 7, specification V4', ai: ai7, provider: octavo },
  // What differs between the two packages' types is nothing that these tests use.
  { name: 'ai 6, specification V3', ai: ai6 as unknown as typeof ai7, provider: octavoV3 as unknown as typeof octavo },
] as const;

describe.each(VERSIONS)('$name', ({ ai, provider }) => {
  const weather = (asked: unknown[]): ai7.ToolSet => ({
    weather: ai.tool({
      description: 'The weather of a city.',
      inputSchema: ai.jsonSchema<{ city: string }>({
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
      }),
      execute: async (input) => {
        asked.push(input);
        return { degrees: 17 };
      },
    }),
  });

  test('a tool is called, its result is read, and the answer follows', async () => {
    const asked: unknown[] = [];
    const { text, steps } = await ai.generateText({
      model: provider(talker),
      prompt: 'How is the weather?',
      temperature: 0,
      tools: weather(asked),
      stopWhen: ai.stepCountIs(3),
    });
    expect(asked).toEqual([{ city: 'Bern' }]);
    expect(text).toBe('It is 17 degrees.');
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
    expect(steps[0]).toMatchObject({ text: 'Let me look.', reasoningText: 'Where?' });
    // The second step goes on in the session of the first.
    expect(steps[1]?.usage.inputTokenDetails.cacheReadTokens).toBeGreaterThan(20);
  });

  test('the same as a stream: thoughts, text, pieces of the call, the result', async () => {
    const result = ai.streamText({
      model: provider(talker),
      prompt: 'How is the weather?',
      temperature: 0,
      tools: weather([]),
      stopWhen: ai.stepCountIs(3),
    });
    const kinds: string[] = [];
    for await (const { type } of result.fullStream) if (kinds.at(-1) !== type) kinds.push(type);
    expect(kinds.filter((kind) => !/^(start|finish|raw)/.test(kind))).toEqual([
      'reasoning-start',
      'reasoning-delta',
      'reasoning-end',
      'text-start',
      'text-delta',
      'text-end',
      'tool-input-start',
      'tool-input-delta',
      'tool-input-end',
      'tool-call',
      'tool-result',
      'text-start',
      'text-delta',
      'text-end',
    ]);
  });

  test('an object by a schema, from a model that knows nothing', async () => {
    const { output } = await ai.generateText({
      model: provider(tiny),
      prompt: 'Where?',
      temperature: 1.5,
      seed: 3,
      maxOutputTokens: 200,
      output: ai.Output.object({
        schema: ai.jsonSchema<{ city: string; warm: boolean }>({ ...SCHEMA, required: [...SCHEMA.required] }),
      }),
    });
    expect(typeof output.city).toBe('string');
    expect(typeof output.warm).toBe('boolean');
    expect(Object.keys(output)).toHaveLength(2);
  });

  test('embeddings', async () => {
    const { embeddings, usage } = await ai.embedMany({ model: provider.embedding(tiny), values: ['one', 'another'] });
    expect(embeddings).toHaveLength(2);
    for (const vector of embeddings) expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    expect(usage.tokens).toBeGreaterThan(2);
    const [first] = await tiny.embed(['one']);
    expect(embeddings[0]?.[0]).toBeCloseTo(first![0]!, 5);
  });

  test('ranking', async () => {
    const ranker = {
      name: 'ranker',
      rerank: async (query: string, passages: readonly string[]) =>
        Object.assign(
          passages
            .map((passage, index) => ({ index, score: passage.split(query).length }))
            .sort((a, b) => b.score - a.score),
          { tokens: 1, truncated: [] },
        ),
    };
    const { ranking } = await ai.rerank({
      model: provider.reranking(ranker as unknown as OctavoModel),
      documents: ['a b', 'a a', 'b'],
      query: 'a',
      topN: 2,
    });
    expect(ranking.map(({ originalIndex }) => originalIndex)).toEqual([1, 0]);
  });

  test('painting, and what it cannot', async () => {
    const painter = await testFace().load(tinyUniPic(), WASM);
    const options = { model: provider.image(painter), prompt: 'a cat', seed: -3, n: 2 };
    const { images } = await ai.generateImage({
      ...options,
      providerOptions: { octavo: { steps: 2, diffusionSteps: 2 } },
    });
    expect(images.map(({ mediaType }) => mediaType)).toEqual(['image/png', 'image/png']);
    await expect(ai.generateImage({ ...options, maxRetries: 0, size: '64x32' })).rejects.toThrow('squares');
    await painter.destroy();
  });
});

test('the transport answers with a model for ai 6, too, which tells its progress as the other does', async () => {
  const model = octavoV3(tiny);
  expect(await model.availability()).toBe('available');
  const shares: number[] = [];
  expect(await model.createSessionWithProgress((share) => shares.push(share))).toBe(model);
  expect(shares).toEqual([1]);
  const stream = await new TransportV3(model, { temperature: 0, maxOutputTokens: 4 }).sendMessages({
    trigger: 'submit-message',
    chatId: '1',
    messageId: undefined,
    messages: [{ id: 'a', role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
    abortSignal: undefined,
  });
  let text = '';
  for await (const chunk of stream as unknown as AsyncIterable<ai7.UIMessageChunk>)
    if (chunk.type === 'text-delta') text += chunk.delta;
  expect(text).toHaveLength(4);
});

test("a model that is not loaded yet tells its progress, and useChat's transport shows it", async () => {
  let loads = 0;
  const provider = octavo(tiny);
  let there = false;
  const late: ReturnType<typeof octavo> = {
    ...provider,
    availability: async () => (there ? 'available' : 'downloadable'),
    createSessionWithProgress: async (onProgress) => {
      loads++;
      onProgress?.(0.5);
      there = true;
      onProgress?.(1);
      return late;
    },
  };
  const transport = new OctavoChatTransport(late, { temperature: 0, maxOutputTokens: 4 });
  const chunks: ai7.UIMessageChunk[] = [];
  const ask = async (): Promise<void> => {
    const stream = await transport.sendMessages({
      trigger: 'submit-message',
      chatId: '1',
      messageId: undefined,
      messages: [{ id: 'a', role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
      abortSignal: undefined,
    });
    for await (const chunk of stream as unknown as AsyncIterable<ai7.UIMessageChunk>) chunks.push(chunk);
  };
  await ask();
  const progress = chunks.filter(({ type }) => type === 'data-modelDownloadProgress');
  expect(progress.map((chunk) => 'data' in chunk && (chunk.data as { progress: number }).progress)).toEqual([
    50, 100, 100,
  ]);
  const text = chunks.flatMap((chunk) => (chunk.type === 'text-delta' ? [chunk.delta] : [])).join('');
  expect(text).toHaveLength(4);
  await ask();
  expect(loads).toBe(1);
  expect(await transport.reconnectToStream()).toBeNull();
});
