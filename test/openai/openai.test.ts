/** The handler in OpenAI's shape, driven by OpenAI's own package over a model in this process. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import OpenAI, { APIError, APIUserAbortError } from 'openai';
import { createFetch, type ServedModel } from '../../src/openai/index.ts';
import type { OctavoModel } from '../../src/public.ts';
import { encodePng } from '../../src/vision/index.ts';
import { onReference, testFace } from '../support/engine.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

let model: OctavoModel;
let client: OpenAI;
const clientOf = (handler: ReturnType<typeof createFetch>): OpenAI =>
  new OpenAI({ apiKey: 'none', fetch: handler, maxRetries: 0 });
beforeAll(async () => {
  model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
  client = clientOf(createFetch(model));
});
afterAll(() => model.destroy());

const HELLO = { model: 'any', messages: [{ role: 'user', content: 'Hello' }], temperature: 0, max_tokens: 12 } as const;

/** What a session says to the same conversation. */
async function truth(maxTokens: number, options: object = { temperature: 0 }): Promise<string> {
  const session = await model.createSession();
  const text = await session.prompt('Hello', { maxTokens, ...options });
  session.destroy();
  return text;
}

describe('chat.completions', () => {
  test('an answer, why it ended and what it cost', async () => {
    const answer = await client.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] });
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: model.name,
      choices: [
        {
          index: 0,
          finish_reason: 'length',
          logprobs: null,
          message: { role: 'assistant', content: await truth(12), refusal: null },
        },
      ],
    });
    expect(answer.id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(10);
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage!;
    expect([completion_tokens, total_tokens]).toEqual([12, prompt_tokens + 12]);
    expect(prompt_tokens).toBeGreaterThan(10);
  });

  test('streamed: the same in pieces, usage at the end where it is asked for', async () => {
    const stream = await client.chat.completions.create({
      ...HELLO,
      messages: [...HELLO.messages],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]!.choices[0]!.delta).toMatchObject({ role: 'assistant', content: '' });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(await truth(12));
    expect(chunks.at(-2)!.choices[0]).toMatchObject({ delta: {}, finish_reason: 'length' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    const helper = client.chat.completions.stream({ ...HELLO, messages: [...HELLO.messages] });
    expect(await helper.finalContent()).toBe(await truth(12));
  });

  test('several choices with one seed: they differ, and come again', async () => {
    const ask = async (): Promise<(string | null)[]> => {
      const { choices, usage } = await client.chat.completions.create({
        ...HELLO,
        messages: [...HELLO.messages],
        temperature: 1.5,
        seed: -3,
        n: 3,
      });
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
      expect(usage!.completion_tokens).toBe(36);
      return choices.map(({ message }) => message.content);
    };
    const texts = await ask();
    expect(new Set(texts).size).toBe(3);
    expect(await ask()).toEqual(texts);
    expect(texts[1]).toBe(await truth(12, { temperature: 1.5, seed: 2 ** 32 - 2 }));
    const stream = await client.chat.completions.create({
      ...HELLO,
      messages: [...HELLO.messages],
      temperature: 1.5,
      seed: -3,
      n: 2,
      stream: true,
    });
    const streamed = ['', ''];
    for await (const { choices } of stream) streamed[choices[0]!.index] += choices[0]!.delta.content ?? '';
    expect(streamed).toEqual(texts.slice(0, 2));
  });

  test('log-probabilities, whole and streamed, without those of a stop string', async () => {
    const said = await truth(12);
    const stop = said.slice(6, 8);
    const asked = { ...HELLO, messages: [...HELLO.messages], logprobs: true, top_logprobs: 3, stop: [stop, 'never'] };
    const { choices } = await client.chat.completions.create(asked);
    const { message, finish_reason, logprobs } = choices[0]!;
    expect([message.content, finish_reason]).toEqual([said.slice(0, said.indexOf(stop)), 'stop']);
    expect(logprobs!.content!.map(({ token }) => token).join('')).toBe(message.content);
    for (const { top_logprobs, ...token } of logprobs!.content!) {
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]).toEqual(token);
      expect(Buffer.from(token.bytes!).toString()).toBe(token.token);
      expect(token.logprob).toBeLessThan(0);
    }
    const streamed = [];
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      const { delta, logprobs: found } = chunk.choices[0]!;
      expect(found?.content?.map(({ token }) => token).join('') ?? '').toBe(delta.content ?? '');
      streamed.push(...(found?.content ?? []));
    }
    expect(streamed).toEqual(logprobs!.content);
  });

  test('a conversation with roles of all kinds; what was read before is cached', async () => {
    const messages = [
      { role: 'developer', content: 'Be brief. '.repeat(20) },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hel' },
          { type: 'text', text: 'lo' },
        ],
      },
      { role: 'assistant', content: 'Hi.' },
    ] satisfies OpenAI.ChatCompletionMessageParam[];
    const ask = (text: string): Promise<OpenAI.ChatCompletion> =>
      client.chat.completions.create({ ...HELLO, messages: [...messages, { role: 'user', content: text }] });
    const first = await ask('One');
    const second = await ask('Two');
    expect(second.usage!.prompt_tokens_details!.cached_tokens).toBeGreaterThan(150);
    expect(second.usage!.prompt_tokens).toBe(first.usage!.prompt_tokens);
    const session = await model.createSession({
      initialPrompts: [
        { role: 'system', content: 'Be brief. '.repeat(20) },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi.' },
      ],
    });
    expect(second.choices[0]!.message.content).toBe(await session.prompt('Two', { temperature: 0, maxTokens: 12 }));
    session.destroy();
  });

  test('requests at once are answered one after the other; an aborted one ends, and the next is answered', async () => {
    const together = await Promise.all(
      Array.from({ length: 4 }, () => client.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] })),
    );
    expect(new Set(together.map(({ choices }) => choices[0]!.message.content))).toEqual(new Set([await truth(12)]));
    const long = { ...HELLO, messages: [...HELLO.messages], max_tokens: 400, repetition_penalty: 1.3 };
    const stream = await client.chat.completions.create({ ...long, stream: true });
    let pieces = 0;
    for await (const _ of stream) if (++pieces === 4) break;
    const controller = new AbortController();
    const waiting = client.chat.completions.create(long, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(waiting).rejects.toBeInstanceOf(APIUserAbortError);
    const after = await client.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] });
    expect(after.choices[0]!.message.content).toBe(await truth(12));
    expect((await model.memory()).pages).toBe(0);
  });

  test('contexts are kept as the server says', async () => {
    const created = jest.spyOn(model, 'createSession');
    const kept = clientOf(createFetch(model, { context: 'balanced' }));
    await kept.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] });
    const session = await created.mock.results[0]!.value;
    expect((session as Awaited<ReturnType<OctavoModel['createSession']>>).context?.preset).toBe('balanced');
    created.mockRestore();
  });

  test('too many that wait are refused with 429', async () => {
    const narrow = clientOf(createFetch(model, { maxWaiting: 2 }));
    const all = await Promise.allSettled(
      Array.from({ length: 4 }, () => narrow.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] })),
    );
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect((all[3] as PromiseRejectedResult).reason).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
  });
});

test('a model that was lost is loaded again by the next request', async () => {
  const { name, fingerprint, contextWindow, capabilities } = model;
  let loads = 0;
  let lose: (error: Error) => void = () => undefined;
  const source = (): ServedModel => {
    loads++;
    return {
      ...{ name, fingerprint, contextWindow, capabilities },
      createSession: (options) => model.createSession(options),
      completeStreaming: (input, options) => model.completeStreaming(input, options),
      embed: (texts, options) => model.embed(texts, options),
      paint: model.paint.bind(model),
      lost: new Promise((resolve) => (lose = resolve)),
    };
  };
  const own = clientOf(createFetch(source));
  const ask = () => own.completions.create({ model: 'm', prompt: 'Hello', max_tokens: 1 });
  await ask();
  await ask();
  expect(loads).toBe(1);
  lose(new Error('the worker ended'));
  await ask();
  expect(loads).toBe(2);
});

describe('response_format', () => {
  const ask = (format: OpenAI.ChatCompletionCreateParams['response_format']) => ({
    ...HELLO,
    messages: [...HELLO.messages],
    max_tokens: 200,
    response_format: format!,
  });
  const schema = {
    type: 'object',
    properties: { mood: { enum: ['good', 'bad'] }, marks: { type: 'array', items: { type: 'integer' }, maxItems: 3 } },
    required: ['mood', 'marks'],
    additionalProperties: false,
  };

  test('an answer that must fit a schema does, whole and streamed', async () => {
    const asked = ask({ type: 'json_schema', json_schema: { name: 'mood', schema, strict: true } });
    const { choices } = await client.chat.completions.create(asked);
    const found = JSON.parse(choices[0]!.message.content!) as { mood: string; marks: number[] };
    expect(Object.keys(found).sort()).toEqual(['marks', 'mood']);
    expect(['good', 'bad']).toContain(found.mood);
    expect(found.marks.every(Number.isInteger) && found.marks.length <= 3).toBe(true);
    expect(choices[0]!.finish_reason).toBe('stop');
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true }))
      text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(choices[0]!.message.content);
    const free = await client.chat.completions.create(ask({ type: 'text' }));
    expect(free.choices[0]!.message.content).toBe(await truth(200));
  });

  test('json_object is any object; what is no schema, or not supported, is named', async () => {
    const { choices } = await client.chat.completions.create(ask({ type: 'json_object' }));
    const text = choices[0]!.message.content!;
    expect(text.trimStart().startsWith('{')).toBe(true);
    for (const format of [
      { type: 'json_schema' },
      { type: 'json_schema', json_schema: { name: 'x', schema: 7 } },
      { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', unevaluatedProperties: false } } },
      { type: 'xml' },
    ]) {
      const problem = await client.chat.completions.create(ask(format as never)).catch((error: unknown) => error);
      expect(problem).toMatchObject({ status: 400 });
      expect(String((problem as { param: unknown }).param)).toContain('response_format');
    }
  });
});

describe('completions', () => {
  test('text goes on: texts, ids, echo and the old shape of log-probabilities', async () => {
    const wanted = await model.complete('Once upon', { temperature: 0, maxTokens: 16 });
    const asked = { model: 'any', prompt: 'Once upon', temperature: 0 };
    const found = await client.completions.create({ ...asked, logprobs: 2 });
    expect(found.choices[0]).toMatchObject({ text: wanted.text, finish_reason: 'length' });
    const { tokens, token_logprobs, top_logprobs, text_offset } = found.choices[0]!.logprobs!;
    expect(tokens!.join('')).toBe(wanted.text);
    expect(token_logprobs!.every((value, i) => top_logprobs![i]![tokens![i]!] === value)).toBe(true);
    expect(text_offset!.slice(0, 3)).toEqual([0, 1, 2]);
    const ids = [...(await model.tokenize('Once upon'))];
    const two = await client.completions.create({ ...asked, prompt: [ids, ids], n: 1 });
    expect(two.choices.map(({ text }) => text)).toEqual([wanted.text, wanted.text]);
    const stream = await client.completions.create({ ...asked, echo: true, stream: true });
    let text = '';
    for await (const { choices } of stream) text += choices[0]!.text;
    expect(text).toBe(`Once upon${wanted.text}`);
  });
});

describe('models and pictures', () => {
  test('models by name; a model that is loaded when it is asked for; unknown ones', async () => {
    let loads = 0;
    const several = clientOf(
      createFetch({
        tiny: model,
        'a/b': async () => {
          if (++loads === 1) throw new Error('not yet');
          return model;
        },
      }),
    );
    expect((await several.models.list()).data.map(({ id }) => id)).toEqual(['tiny', 'a/b']);
    expect(await several.models.retrieve('a/b')).toMatchObject({ id: 'a/b', owned_by: 'octavo' });
    expect(await several.models.retrieve('tiny')).toMatchObject({ max_model_len: model.contextWindow });
    const ask = (name: string): Promise<OpenAI.ChatCompletion> =>
      several.chat.completions.create({ ...HELLO, messages: [...HELLO.messages], model: name });
    await expect(ask('a/b')).rejects.toMatchObject({ status: 503, code: 'unavailable' });
    expect(await ask('a/b')).toMatchObject({ model: 'a/b' });
    expect(await ask('a/b')).toMatchObject({ choices: [{ message: { content: await truth(12) } }] });
    expect(loads).toBe(2);
    await expect(ask('gpt')).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    await expect(several.models.retrieve('gpt')).rejects.toMatchObject({ status: 404 });
  });

  test('a picture in a message as a data URL, pictures from words; other addresses are refused', async () => {
    const seeing = await testFace(onReference).load(tinyUniPic());
    const see = clientOf(createFetch(seeing));
    const { integer } = random(1);
    const png = await encodePng({
      data: Uint8ClampedArray.from({ length: 4 * 16 * 16 }, () => integer(0, 256)),
      width: 16,
      height: 16,
    });
    const ask = (url: string, from = see): Promise<OpenAI.ChatCompletion> =>
      from.chat.completions.create({
        model: 'any',
        max_tokens: 3,
        temperature: 0,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url } },
              { type: 'text', text: 'What?' },
            ],
          },
        ],
      });
    const address = `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
    const session = await seeing.createSession({ temperature: 0, maxTokens: 3 });
    const wanted = await session.prompt([
      {
        role: 'user',
        content: [
          { type: 'image', value: png },
          { type: 'text', value: 'What?' },
        ],
      },
    ]);
    expect((await ask(address)).choices[0]!.message.content).toBe(wanted);
    for (const url of ['http://127.0.0.1:1/a.png', 'file:///etc/hostname', '/etc/hostname', 'data:text/html,x'])
      await expect(ask(url)).rejects.toMatchObject({ status: 400, code: 'invalid_image_url' });
    const asked: string[] = [];
    const some = clientOf(
      createFetch(seeing, {
        remoteImages: ({ href }) => {
          asked.push(href);
          return false;
        },
      }),
    );
    await expect(ask('https://example.org/a.png', some)).rejects.toMatchObject({ code: 'invalid_image_url' });
    expect(asked).toEqual(['https://example.org/a.png']);
    await expect(ask('data:image/png;base64,AAAA')).rejects.toMatchObject({ status: 400, code: 'invalid_image' });

    const painted = await see.images.generate({
      prompt: 'a cat',
      size: '16x16' as '256x256',
      n: 2,
      ...({ seed: 3, steps: 2 } as object),
    });
    const again = await seeing.paint({ prompt: 'a cat', size: 16, seed: 4, steps: 2 });
    expect(Buffer.from(painted.data![1]!.b64_json!, 'base64')).toEqual(Buffer.from(await again.toPng()));
    await expect(see.images.generate({ prompt: 'a cat', size: '16x32' as '256x256' })).rejects.toMatchObject({
      param: 'size',
    });
    await expect(see.images.generate({ prompt: 'a cat', size: '24x24' as '256x256' })).rejects.toMatchObject({
      status: 400,
      param: 'size',
    });
    await expect(client.images.generate({ prompt: 'a cat' })).rejects.toMatchObject({ code: 'unsupported_model' });
    session.destroy();
    await seeing.destroy();
  });
});

describe('embeddings', () => {
  test('are those of the model, as numbers and as bytes', async () => {
    const input = ['Hello', 'And you?'];
    const wanted = await model.embed(input);
    // The package asks for Base64 where nothing is said, and decodes it.
    for (const format of [undefined, 'float'] as const) {
      const found = await client.embeddings.create({ model: 'any', input, ...(format && { encoding_format: format }) });
      found.data.forEach(({ index, embedding }) => expect(Float32Array.from(embedding)).toEqual(wanted[index]));
      expect(found.usage.prompt_tokens).toBe(wanted.tokens);
    }
    const short = await client.embeddings.create({
      model: 'any',
      input: 'Hello',
      dimensions: 8,
      encoding_format: 'float',
    });
    expect(Float32Array.from(short.data[0]!.embedding)).toEqual((await model.embed(['Hello'], { dimensions: 8 }))[0]);
    for (const wrong of [[], [[1, 2]], 7])
      await expect(client.embeddings.create({ model: 'any', input: wrong as never })).rejects.toMatchObject({
        status: 400,
        param: 'input',
      });
    await expect(client.embeddings.create({ model: 'any', input, dimensions: 60_000 })).rejects.toMatchObject({
      status: 400,
    });
  });
});

describe('what cannot be served is refused by name', () => {
  test.each([
    [{ frequency_penalty: 1 }, 'frequency_penalty', 'unsupported_parameter'],
    [{ logit_bias: { 5: 1 } }, 'logit_bias', 'unsupported_parameter'],
    [{ functions: [] }, 'functions', 'unsupported_parameter'],
    [{ modalities: ['text', 'audio'] }, 'modalities', 'unsupported_parameter'],
    [{ temperature: 3 }, 'temperature', 'invalid_value'],
    [{ temperature: '1' }, 'temperature', 'invalid_value'],
    [{ n: 0 }, 'n', 'invalid_value'],
    [{ max_completion_tokens: 1.5 }, 'max_completion_tokens', 'invalid_value'],
    [{ stop: [1] }, 'stop', 'invalid_value'],
    [{ top_logprobs: 2 }, 'top_logprobs', 'invalid_value'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'invalid_value'],
    [{ stream_options: { include: true } }, 'stream_options.include', 'unknown_parameter'],
    [{ max_token: 5 }, 'max_token', 'unknown_parameter'],
    [{ messages: [] }, 'messages', 'invalid_value'],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'invalid_value'],
    [
      { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
      'messages[0].content[0].type',
      'invalid_value',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id', 'invalid_value'],
    [{ messages: [{ role: 'user', content: '' }] }, null, null],
  ])('%j', async (wrong, param, code) => {
    for (const stream of [false, true]) {
      const problem = await client.chat.completions
        .create({ ...HELLO, stream, ...wrong } as never)
        .then(() => undefined)
        .catch((error: unknown) => error);
      expect(problem).toBeInstanceOf(APIError);
      expect(problem).toMatchObject({ status: 400, type: 'invalid_request_error', param, code });
    }
  });

  test('a prompt that is longer than the context, and stream options without a stream', async () => {
    const long = { ...HELLO, messages: [{ role: 'user' as const, content: 'word '.repeat(600) }] };
    for (const stream of [false, true])
      await expect(client.chat.completions.create({ ...long, stream })).rejects.toMatchObject({
        status: 400,
        param: 'messages',
        code: 'context_length_exceeded',
      });
    const alone = { ...HELLO, messages: [...HELLO.messages], stream_options: { include_usage: true } };
    await expect(client.chat.completions.create(alone)).rejects.toMatchObject({ param: 'stream_options' });
  });

  test('null is what is not given', async () => {
    const answer = await client.chat.completions.create({
      ...HELLO,
      messages: [...HELLO.messages],
      frequency_penalty: null,
      logit_bias: null,
      stop: null,
      seed: null,
      user: 'me',
      metadata: { a: 'b' },
    });
    expect(answer.choices[0]!.message.content).toBe(await truth(12));
  });

  test('bodies, methods and addresses', async () => {
    const handler = createFetch(model, { maxBody: 1000 });
    const status = async (path: string, init: RequestInit): Promise<[number, unknown]> => {
      const response = await handler(`https://octavo.local${path}`, init);
      return [response.status, ((await response.json()) as { error: { code: unknown } }).error.code];
    };
    const post = (body: string): RequestInit => ({ method: 'POST', body });
    expect(await status('/v1/chat/completions', post('{'))).toEqual([400, 'invalid_json']);
    expect(await status('/v1/chat/completions', post('[]'))).toEqual([400, 'invalid_json']);
    expect(await status('/v1/chat/completions', post(' '.repeat(1001)))).toEqual([413, 'body_too_large']);
    expect(await status('/v1/chat/completions', { method: 'GET' })).toEqual([405, 'method_not_allowed']);
    expect(await status('/v1/models', post('{}'))).toEqual([405, 'method_not_allowed']);
    expect(await status('/v1/models/%E0%A4%A', {})).toEqual([404, 'model_not_found']);
    expect(await status('/v1/chat', post('{}'))).toEqual([404, 'unknown_url']);
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(300)) });
    const init = { method: 'POST', body: endless, duplex: 'half' };
    expect(await status('/v1/chat/completions', init as RequestInit)).toEqual([413, 'body_too_large']);
  });

  test('a model that is destroyed while it answers: an error in the stream, then 503', async () => {
    const other = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
    const its = clientOf(createFetch(other));
    const stream = await its.chat.completions.create({
      ...HELLO,
      messages: [...HELLO.messages],
      max_tokens: 400,
      stream: true,
    });
    const read = async (): Promise<void> => {
      let pieces = 0;
      for await (const _ of stream) if (++pieces === 3) void other.destroy();
    };
    await expect(read()).rejects.toBeInstanceOf(APIError);
    await expect(its.chat.completions.create({ ...HELLO, messages: [...HELLO.messages] })).rejects.toMatchObject({
      status: 503,
    });
  });
});
