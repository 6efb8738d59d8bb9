/** Tools, thoughts and likelihoods of answers that have both, in OpenAI's shape: over a model that says what it is told to. */
import { expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { createFetch, type ServedModel } from '../../src/openai/index.ts';
import type { AnswerPart, AnswerReport, Message, PromptInput, PromptOptions, TokenLogProb } from '../../src/public.ts';

const COST = {
  ids: [],
  tokens: { prompt: 10, cached: 4, generated: 5 },
  time: { prefill: 1, decode: 1 },
  rate: { prefill: 1, decode: 1 },
} as const;

interface Said {
  readonly parts: readonly AnswerPart[];
  readonly report?: Partial<AnswerReport>;
  readonly tokens?: readonly string[];
}

/** A model whose answers are those given; `heard` are the calls that it got. */
function scripted({ parts, report = {}, tokens = [] }: Said): {
  readonly client: OpenAI;
  readonly heard: { input: PromptInput; options: PromptOptions }[];
} {
  const heard: { input: PromptInput; options: PromptOptions }[] = [];
  const promptParts = (input: PromptInput, options: PromptOptions): unknown => {
    heard.push({ input, options });
    for (const text of tokens) {
      const bytes = text.startsWith('<|') ? [] : [...Buffer.from(text)];
      options.onToken?.({ id: 1, text, bytes, logprob: -1, top: [] } satisfies TokenLogProb);
    }
    const stream = (async function* () {
      yield* parts;
    })();
    return Object.assign(stream, { finished: Promise.resolve({ finishReason: 'stop', ...COST, ...report }) });
  };
  const model = {
    name: 'scripted',
    fingerprint: '0'.repeat(64),
    capabilities: { chat: true },
    createSession: async () => ({ promptParts, destroy: () => undefined }),
  };
  const fetch = createFetch(model as unknown as ServedModel);
  return { client: new OpenAI({ apiKey: 'none', fetch, maxRetries: 0 }), heard };
}

const WEATHER = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
} as const;
const ASK = { model: 'any', messages: [{ role: 'user' as const, content: 'Weather?' }], tools: [WEATHER] };

const call = (id: string, city: string): AnswerPart[] => [
  { type: 'tool-call-start', id, name: 'weather' },
  { type: 'tool-call-delta', id, delta: '{"city":' },
  { type: 'tool-call-delta', id, delta: `"${city}"}` },
  { type: 'tool-call', id, name: 'weather', arguments: { city } },
];
const TWO: Said = {
  parts: [
    { type: 'thinking', text: 'Two cities.' },
    { type: 'text', text: 'Well. ' },
    ...call('a', 'Bern'),
    ...call('b', 'Rome'),
  ],
  report: {
    finishReason: 'tool-calls',
    thinking: 'Two cities.',
    toolCalls: [
      { id: 'a', name: 'weather', arguments: { city: 'Bern' } },
      { id: 'b', name: 'weather', arguments: { city: 'Rome' } },
    ],
  },
};

test('calls, whole and streamed, as the package puts them together', async () => {
  const { client, heard } = scripted(TWO);
  const { choices } = await client.chat.completions.create({ ...ASK, tool_choice: 'required' });
  const wanted = [
    { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } },
    { id: 'b', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
  ];
  expect(choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: { content: 'Well. ', reasoning_content: 'Two cities.', tool_calls: wanted },
  });
  expect(heard[0]!.options).toMatchObject({
    toolChoice: 'required',
    tools: [{ name: 'weather', description: WEATHER.function.description, inputSchema: WEATHER.function.parameters }],
  });
  const stream = client.chat.completions.stream({
    ...ASK,
    tool_choice: { type: 'function', function: { name: 'weather' } },
  });
  const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0]!;
  expect(finish_reason).toBe('tool_calls');
  expect(message.tool_calls).toMatchObject(wanted);
  expect(heard[1]!.options.toolChoice).toEqual({ name: 'weather' });
  const thoughts: unknown[] = [];
  for await (const chunk of await client.chat.completions.create({ ...ASK, stream: true }))
    thoughts.push((chunk.choices[0]!.delta as { reasoning_content?: string }).reasoning_content ?? []);
  expect(thoughts.flat()).toEqual(['Two cities.']);
});

test('parallel_tool_calls: false tells one call', async () => {
  const { client } = scripted(TWO);
  const one = { ...ASK, parallel_tool_calls: false };
  expect((await client.chat.completions.create(one)).choices[0]!.message.tool_calls).toHaveLength(1);
  const stream = client.chat.completions.stream(one);
  expect((await stream.finalChatCompletion()).choices[0]!.message.tool_calls).toHaveLength(1);
});

test('a call alone has no content; results go back under the name of their tool', async () => {
  const { client, heard } = scripted({
    parts: call('a', 'Bern'),
    report: { ...TWO.report!, toolCalls: [TWO.report!.toolCalls![0]!] },
  });
  const { choices } = await client.chat.completions.create(ASK);
  expect(choices[0]!.message.content).toBeNull();
  const messages = [
    ...ASK.messages,
    choices[0]!.message,
    { role: 'tool' as const, tool_call_id: 'a', content: '{"t":3}' },
  ];
  await client.chat.completions.create({ ...ASK, messages });
  expect((heard[1]!.input as Message[]).slice(1)).toEqual([
    {
      role: 'assistant',
      content: '',
      thinking: 'Two cities.',
      toolCalls: [{ id: 'a', name: 'weather', arguments: { city: 'Bern' } }],
    },
    { role: 'tool', name: 'weather', toolCallId: 'a', content: '{"t":3}' },
  ]);
});

test('likelihoods are those of the text alone, wherever it is cut', async () => {
  const said: Said = {
    parts: [
      { type: 'thinking', text: 'Hm' },
      { type: 'text', text: 'Gr' },
      { type: 'text', text: 'üße!' },
    ],
    tokens: ['<|think|>', 'Hm', '</think>', '\n\n', 'G', 'rü', 'ß', 'e!', ' stop'],
  };
  const { client, heard } = scripted(said);
  const { choices } = await client.chat.completions.create({ ...ASK, logprobs: true, reasoning_effort: 'none' });
  expect(choices[0]!.logprobs!.content!.map(({ token }) => token)).toEqual(['G', 'rü', 'ß', 'e!']);
  expect(heard[0]!.options).toMatchObject({ thinking: false, logprobs: 0 });
});

test('what is wrong with tools is named', async () => {
  const { client } = scripted(TWO);
  const refused = (wrong: object): Promise<unknown> =>
    client.chat.completions.create({ ...ASK, ...wrong } as typeof ASK).catch((error: unknown) => error);
  expect(await refused({ tools: [{ type: 'custom', custom: { name: 'x' } }] })).toMatchObject({
    status: 400,
    param: 'tools[0].type',
  });
  expect(await refused({ tools: [{ type: 'function', function: {} }] })).toMatchObject({
    param: 'tools[0].function.name',
  });
  expect(await refused({ tools: [], tool_choice: 'required' })).toMatchObject({ param: 'tool_choice' });
  expect(await refused({ tool_choice: 'sometimes' })).toMatchObject({ param: 'tool_choice' });
  expect(await refused({ tool_choice: { type: 'function' } })).toMatchObject({ param: 'tool_choice.function' });
});
