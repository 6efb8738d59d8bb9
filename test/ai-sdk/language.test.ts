/** The provider, driven by the AI SDK itself over a model in this process. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { generateText, jsonSchema, Output, streamText } from 'ai';
import { octavo, type ChatModel } from '../../src/ai-sdk/index.ts';
import { ModelSource } from '../../src/ai-sdk/source.ts';
import type { AnswerPart, AnswerReport, Message, OctavoModel, PromptInput, PromptOptions } from '../../src/public.ts';
import { AnswerStream } from '../../src/face/stream.ts';
import { encodePng } from '../../src/vision/index.ts';
import { onReference, testFace } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

// The SDK would print what the tests provoke.
(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;

let model: OctavoModel;
beforeAll(async () => {
  model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

/** What a session says to the same conversation. */
async function truth(prompt: string, maxTokens: number): Promise<string> {
  const session = await model.createSession({ temperature: 0 });
  const text = await session.prompt(prompt, { maxTokens });
  session.destroy();
  return text;
}

describe('octavo/ai-sdk', () => {
  test('generateText: text, usage, finish reason', async () => {
    const result = await generateText({ model: octavo(model), prompt: 'Hello', temperature: 0, maxOutputTokens: 12 });
    expect(result.text).toBe(await truth('Hello', 12));
    expect(result.finishReason).toBe('length');
    expect(result.usage).toMatchObject({ outputTokens: 12 });
    expect(result.usage.inputTokens).toBeGreaterThan(10);
    expect(result.warnings ?? []).toEqual([]);
  });

  test('streamText: the same text in pieces', async () => {
    const { textStream, finishReason, usage } = streamText({
      model: octavo(model),
      prompt: 'Hello',
      temperature: 0,
      maxOutputTokens: 12,
    });
    const pieces: string[] = [];
    for await (const piece of textStream) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(await truth('Hello', 12));
    expect(await finishReason).toBe('length');
    expect((await usage).outputTokens).toBe(12);
  });

  test('a conversation with a system message, and stop sequences', async () => {
    const whole = await generateText({
      model: octavo(model, { session: { temperature: 0 } }),
      system: 'Be brief.',
      messages: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: [{ type: 'text', text: 'Hi.' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'And ' },
            { type: 'text', text: 'you?' },
          ],
        },
      ],
      maxOutputTokens: 10,
    });
    const session = await model.createSession({
      temperature: 0,
      initialPrompts: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi.' },
      ],
    });
    expect(whole.text).toBe(await session.prompt('And you?', { maxTokens: 10 }));
    session.destroy();
    const stop = whole.text.slice(4, 6);
    const cut = await generateText({
      model: octavo(model),
      prompt: 'Hello',
      temperature: 0,
      stopSequences: [(await truth('Hello', 10)).slice(4, 6)],
      maxOutputTokens: 10,
    });
    expect(cut.finishReason).toBe('stop');
    expect(stop).toHaveLength(2);
  });

  test('a conversation that goes on reads only its new turn; another one starts anew', async () => {
    const provider = octavo(model, { session: { temperature: 0 } });
    const first = await generateText({
      model: provider,
      messages: [{ role: 'user', content: 'Hello' }],
      maxOutputTokens: 8,
    });
    const messages = [
      { role: 'user' as const, content: 'Hello' },
      { role: 'assistant' as const, content: first.text },
      { role: 'user' as const, content: 'And you?' },
    ];
    const second = await generateText({
      model: octavo(model, { session: { temperature: 0 } }),
      messages,
      maxOutputTokens: 8,
    });
    const fresh = await generateText({ model: provider, messages, maxOutputTokens: 8 });
    expect(second.usage.inputTokenDetails.cacheReadTokens).toBeGreaterThan(20);
    expect(fresh.usage.inputTokenDetails.cacheReadTokens).toBe(0);
    expect(second.text).toBe(fresh.text);
    expect(second.usage.inputTokens).toBe(fresh.usage.inputTokens);
  });

  test('the context is kept as the settings say', async () => {
    const created = jest.spyOn(model, 'createSession');
    await generateText({
      model: octavo(model, { session: { context: 'balanced' } }),
      prompt: 'Hello, by a preset',
      maxOutputTokens: 2,
    });
    const session = (await created.mock.results[0]!.value) as Awaited<ReturnType<OctavoModel['createSession']>>;
    expect(session.context).toMatchObject({ preset: 'balanced', options: { kvBits: 8 } });
    created.mockRestore();
  });

  test('what is not supported is told', async () => {
    const { warnings } = await generateText({
      model: octavo(model),
      prompt: 'Hello',
      temperature: 0,
      maxOutputTokens: 2,
      frequencyPenalty: 1,
    });
    expect(warnings).toEqual([expect.objectContaining({ type: 'unsupported', feature: 'frequencyPenalty' })]);
  });

  /** What a session sees of the messages of one call. */
  async function seenBy(
    messages: NonNullable<Parameters<typeof generateText>[0]['messages']>,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<{ history: readonly Message[]; last: PromptInput; options: PromptOptions; warnings: readonly unknown[] }> {
    let history: readonly Message[] = [];
    let last: PromptInput = '';
    let options: PromptOptions = {};
    const watched: ChatModel = {
      name: 'watched',
      createSession: async (given) => {
        history = given?.initialPrompts ?? [];
        const session = await model.createSession(given);
        const streaming = session.promptParts.bind(session);
        session.promptParts = (input, given) => {
          [last, options] = [input, given ?? {}];
          return streaming(input, given);
        };
        return session;
      },
    };
    const { warnings } = await generateText({
      model: octavo(watched),
      messages,
      maxOutputTokens: 2,
      allowSystemInMessages: true,
      ...more,
    } as Parameters<typeof generateText>[0]);
    return { history, last, options, warnings: warnings ?? [] };
  }

  test('Output.object: the answer fits the schema, which the model is shown', async () => {
    const asked: PromptOptions[] = [];
    const seen: ChatModel = {
      name: 'seen',
      createSession: async (options) => {
        const session = await model.createSession(options);
        const { promptParts } = session;
        session.promptParts = (input, given) => {
          asked.push(given ?? {});
          return promptParts.call(session, input, given);
        };
        return session;
      },
    };
    const schema = {
      type: 'object',
      properties: { city: { enum: ['Rome', 'Oslo'] }, sunny: { type: 'boolean' } },
      required: ['city', 'sunny'],
      additionalProperties: false,
    } as const;
    const question = { model: octavo(seen), prompt: 'Where?', seed: 4, maxOutputTokens: 200 };
    const { output, finishReason, warnings } = await generateText({
      ...question,
      output: Output.object({ schema: jsonSchema<{ city: string; sunny: boolean }>(schema) }),
    });
    expect(Object.keys(output).sort()).toEqual(['city', 'sunny']);
    expect(['Rome', 'Oslo']).toContain(output.city);
    expect(typeof output.sunny).toBe('boolean');
    expect(finishReason).toBe('stop');
    expect(warnings ?? []).toEqual([]);
    expect(asked[0]!.responseConstraint).toMatchObject(schema);
    expect(asked[0]!.omitResponseConstraintInput).toBeUndefined();
    const { output: city } = await generateText({ ...question, output: Output.choice({ options: ['Rome', 'Oslo'] }) });
    expect(['Rome', 'Oslo']).toContain(city);
  });

  test('system messages: several, in between, last', async () => {
    const { history, last } = await seenBy([
      { role: 'system', content: 'a' },
      { role: 'system', content: 'b' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      { role: 'system', content: 'c' },
      { role: 'user', content: 'And?' },
      { role: 'system', content: 'd' },
    ]);
    expect(history.map(({ role }) => role)).toEqual(['system', 'system', 'user', 'assistant']);
    expect((last as Message[]).map(({ role }) => role)).toEqual(['system', 'user', 'system']);
  });

  test('a history that ends with the result of a tool: the call and the result are there', async () => {
    const { history, last } = await seenBy([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: [{ type: 'tool-call', toolCallId: '1', toolName: 'weather', input: { city: 'Bern' } }],
      },
      {
        role: 'tool',
        content: [
          { type: 'tool-result', toolCallId: '1', toolName: 'weather', output: { type: 'json', value: { t: 3 } } },
        ],
      },
    ]);
    expect(history).toEqual([
      { role: 'user', content: [{ type: 'text', value: 'Weather?' }] },
      { role: 'assistant', content: [], toolCalls: [{ id: '1', name: 'weather', arguments: { city: 'Bern' } }] },
    ]);
    expect(last).toEqual([{ role: 'tool', name: 'weather', toolCallId: '1', content: '{"t":3}' }]);
  });

  test('a text file is read, a file of another kind is refused', async () => {
    const file = (mediaType: string): Parameters<typeof seenBy>[0] => [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'file', mediaType, filename: 'a.txt', data: new TextEncoder().encode('né') },
        ],
      },
    ];
    const { last } = await seenBy(file('text/plain'));
    expect(last).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', value: 'What is this?' },
          { type: 'text', value: 'File a.txt:\nné' },
        ],
      },
    ]);
    await expect(seenBy(file('application/pdf'))).rejects.toThrow('no model here reads application/pdf');
  });

  test('topP 0, the clock as a seed, and options of our own', async () => {
    const { options, warnings } = await seenBy([{ role: 'user', content: 'Hello' }], {
      topP: 0,
      seed: Date.now(),
      providerOptions: { octavo: { minP: 0.1, loops: 'allow', mispelt: 1 } },
    });
    expect(options).toMatchObject({ topP: 0, minP: 0.1, loops: 'allow' });
    expect(options).not.toHaveProperty('mispelt');
    expect(warnings).toEqual([expect.objectContaining({ feature: 'providerOptions.octavo.mispelt' })]);
    await seenBy([{ role: 'user', content: 'Hello' }], { seed: -7 });
  });

  test('pictures are seen, and a conversation about them goes on', async () => {
    const seeing = await testFace(onReference).load(tinyUniPic());
    const picture = async (seed: number): Promise<Uint8Array> => {
      const { integer } = random(seed);
      return encodePng({
        data: Uint8ClampedArray.from({ length: 4 * 16 * 16 }, () => integer(0, 256)),
        width: 16,
        height: 16,
      });
    };
    const ask = (image: Uint8Array | string) => ({
      role: 'user' as const,
      content: [
        { type: 'image' as const, image },
        { type: 'text' as const, text: 'What?' },
      ],
    });
    const settings = { maxRetries: 0, temperature: 0, maxOutputTokens: 3 };
    const image = await picture(1);
    const first = await generateText({ ...settings, model: octavo(seeing), messages: [ask(image)] });
    expect(first.usage.inputTokens).toBeGreaterThan(19);
    const more = (shown: Uint8Array) => [
      ask(shown),
      { role: 'assistant' as const, content: first.text },
      { role: 'user' as const, content: 'Sure?' },
    ];
    const second = await generateText({ ...settings, model: octavo(seeing), messages: more(image) });
    expect(second.usage.inputTokenDetails.cacheReadTokens).toBeGreaterThan(19);
    const other = await generateText({ ...settings, model: octavo(seeing), messages: more(await picture(2)) });
    expect(other.usage.inputTokenDetails.cacheReadTokens).toBe(0);
    const base64 = await generateText({
      ...settings,
      model: octavo(seeing),
      messages: [ask(Buffer.from(image).toString('base64'))],
    });
    expect(base64.text).toBe(first.text);
    await seeing.destroy();
  });

  test('pictures are refused with the way out', async () => {
    const image = { type: 'image' as const, image: new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]) };
    await expect(
      generateText({ model: octavo(model), maxRetries: 0, messages: [{ role: 'user', content: [image] }] }),
    ).rejects.toThrow('reads text only');
  });

  test('aborts end the call and leave the model usable', async () => {
    const controller = new AbortController();
    const parts: string[] = [];
    const { fullStream } = streamText({
      model: octavo(model),
      prompt: 'Hello',
      temperature: 0,
      maxOutputTokens: 400,
      abortSignal: controller.signal,
    });
    for await (const part of fullStream) {
      parts.push(part.type);
      if (part.type === 'text-delta') controller.abort();
    }
    expect(parts).toContain('abort');
    expect(await truth('Hello', 4)).toHaveLength(4);
  });
});

test('a model that was lost is loaded again by the next call, and freed', async () => {
  const made: { readonly lose: () => void; freed: boolean }[] = [];
  jest.unstable_mockModule('octavo', () => ({
    Octavo: {
      load: async () => {
        let lose = (): void => undefined;
        const lost = new Promise<Error>((resolve) => (lose = () => resolve(new Error('the worker ended'))));
        const one = { lose, freed: false };
        made.push(one);
        return { name: `model ${made.length}`, lost, destroy: async () => void (one.freed = true) };
      },
    },
  }));
  const source = new ModelSource<ChatModel>('model.gguf', 'createSession');
  const [first, same] = [await source.open(), await source.open()];
  expect(same).toBe(first);
  made[0]?.lose();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await source.open()).name).toBe('model 2');
  expect(made.map(({ freed }) => freed)).toEqual([true, false]);
});

test('a stream that is cancelled before its first word ends the answer', async () => {
  let reading = (): void => undefined;
  const begun = new Promise<void>((resolve) => (reading = resolve));
  const slow: ChatModel = {
    name: 'slow',
    // As one that reads a long prompt: nothing comes before it is aborted.
    createSession: async () => {
      const session = await model.createSession();
      session.promptParts = (_, options) => {
        reading();
        return new AnswerStream<AnswerPart, AnswerReport>(({ signal: linked }) => {
          const result = new Promise<never>((_, reject) =>
            linked.addEventListener('abort', () => reject(linked.reason as Error)),
          );
          return { result, take: () => undefined };
        }, options?.signal);
      };
      return session;
    },
  };
  const { stream } = await octavo(slow).doStream({
    prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  });
  const reader = stream.getReader();
  const all = (async () => {
    while (!(await reader.read()).done);
  })();
  await begun;
  await reader.cancel();
  await all;
});
