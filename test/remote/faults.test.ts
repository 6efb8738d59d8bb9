/** Models on servers that stall, break off, refuse and send nonsense: every call settles with an error that says what happened. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ConnectOptions, OctavoModel, OctavoSession } from '../../src/public.ts';
import { testFace } from '../support/engine.ts';
import { begun, events, faultServer, json, stream, type FaultServer } from '../support/fault-server.ts';

const Octavo = testFace();
let server: FaultServer;
let model: OctavoModel;
let session: OctavoSession;

const connect = (more: Partial<ConnectOptions> = {}): Promise<OctavoModel> =>
  Octavo.connect({ baseURL: server.baseURL, apiKey: 'very-secret', timeout: 300, retries: 1, ...more });

beforeAll(async () => {
  server = await faultServer();
  model = await connect();
});
beforeEach(async () => {
  session = await model.createSession();
});
afterAll(async () => {
  await model.destroy();
  await server.close();
});

const failure = (call: Promise<unknown>): Promise<Error & { facts?: Record<string, unknown> }> =>
  call.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as Error,
  );
const broken = { name: 'StorageError', code: 'network' };
const said = ['Hel', 'lo ', 'wörld 🌍', '!'];

describe('an answer arrives', () => {
  test('however the network cuts it, with either end of lines, comments, and data on several lines', async () => {
    for (const end of ['\n\n', '\r\n\r\n', '\r\r']) {
      const bytes = Buffer.from(
        `: hello${end}event: message${end}${events(said, 'length', end)}`.replace(
          'data: {"choices":[{"index":0,"delta":{"content":"lo "}',
          `data: {"choices":${end.slice(0, end.length / 2)}data: [{"index":0,"delta":{"content":"lo "}`,
        ),
      );
      for (const size of [1, 2, 7, bytes.length]) {
        server.answer(async (response) => {
          stream(response);
          for (let at = 0; at < bytes.length; at += size) {
            response.write(bytes.subarray(at, at + size));
            if (at % (size * 16) === 0) await new Promise(setImmediate);
          }
          response.end();
        });
        const answer = session.promptStreaming('Hello');
        let text = '';
        for await (const piece of answer) text += piece;
        expect(text).toBe(said.join(''));
        expect(await answer.finished).toMatchObject({
          finishReason: 'length',
          tokens: { prompt: 7, cached: 2, generated: 4 },
        });
      }
    }
  });

  test('without the mark of the end, without a last empty line, and from a server that does not stream', async () => {
    const whole = events(said);
    server.answer((response) => stream(response).end(whole.slice(0, whole.indexOf('data: [DONE]'))));
    expect(await session.prompt('Hello')).toBe(said.join(''));
    server.answer((response) => stream(response).end(whole.trimEnd()));
    expect(await session.prompt('Hello')).toBe(said.join(''));
    const message = { role: 'assistant', content: 'All at once' };
    server.answer((response) => json(response, 200, { choices: [{ message, finish_reason: 'stop' }] }));
    expect(await session.prompt('Hello')).toBe('All at once');
  });

  test('the key and the headers are sent, and the conversation grows', async () => {
    server.asked.length = 0;
    server.answer((response) => stream(response).end(events(said)));
    const other = await connect({ headers: { 'x-team': 'a' } });
    const talk = await other.createSession({
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
      temperature: 0.5,
    });
    await talk.prompt('One', { seed: 3, stop: 'x', maxTokens: 9, topK: 4, samplingMode: undefined });
    await talk.prompt('Two');
    expect(server.asked[0]!.headers).toMatchObject({ authorization: 'Bearer very-secret', 'x-team': 'a' });
    expect(server.asked[0]!.body).toEqual({
      model: 'tiny',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'One' },
      ],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.5,
      top_k: 4,
      seed: 3,
      stop: ['x'],
      max_tokens: 9,
    });
    expect(server.asked[1]!.body['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'One' },
      { role: 'assistant', content: said.join('') },
      { role: 'user', content: 'Two' },
    ]);
    expect(talk.contextUsage).toBe(11);
    expect(talk.usage).toMatchObject({ answers: 2, tokens: { generated: 8 } });
    expect(other.contextWindow).toBe(4096);
    await other.destroy();
  });
});

describe('a server that fails', () => {
  test('says nothing, or stops in the middle: the time limit ends it', async () => {
    server.answer(() => undefined);
    expect(await failure(session.prompt('Hello'))).toMatchObject({ ...broken, facts: { timeout: 300 } });
    server.answer((response) => stream(response));
    expect(await failure(session.prompt('Hello'))).toMatchObject({ ...broken, facts: { timeout: 300 } });
    server.answer((response) => stream(response, begun('Hel')));
    const answer = session.promptStreaming('Hello');
    let text = '';
    const read = async (): Promise<void> => {
      for await (const piece of answer) text += piece;
    };
    expect(await failure(read())).toMatchObject({ ...broken, facts: { timeout: 300 } });
    expect(text).toBe('Hel');
  });

  test('breaks off: by its end, and by its connection', async () => {
    const half = events(said).slice(0, 200);
    server.answer((response) => stream(response).end(half.slice(0, half.lastIndexOf('data:'))));
    expect((await failure(session.prompt('Hello'))).message).toContain('ended before its end');
    server.answer((response) => {
      stream(response, half);
      setTimeout(() => response.destroy(), 20);
    });
    expect(await failure(session.prompt('Hello'))).toMatchObject(broken);
    // The conversation is as it was.
    server.asked.length = 0;
    server.answer((response) => stream(response).end(events(said)));
    await session.prompt('Again');
    expect(server.asked[0]!.body['messages']).toEqual([{ role: 'user', content: 'Again' }]);
  });

  test('asks to wait: asked again in time, or told where that is long', async () => {
    const busy = (after: string) => (response: Parameters<typeof json>[0]) =>
      json(response, 429, { error: { message: 'too many' } }, { 'retry-after': after });
    server.asked.length = 0;
    server.answer(busy('0'), (response) => stream(response).end(events(said)));
    expect(await session.prompt('Hello')).toBe(said.join(''));
    server.answer(busy(new Date(Date.now() + 1000).toUTCString()), (response) => stream(response).end(events(said)));
    expect(await session.prompt('Hello')).toBe(said.join(''));
    expect(server.asked).toHaveLength(4);
    server.answer(busy('0'));
    expect(await failure(session.prompt('Hello'))).toMatchObject({
      ...broken,
      facts: { status: 429, retryAfter: '0' },
    });
    expect(server.asked).toHaveLength(6);
    server.answer(busy('3600'));
    const error = await failure(session.prompt('Hello'));
    expect(error).toMatchObject({ ...broken, facts: { status: 429, retryAfter: '3600' } });
    expect(error.message).toContain('3600');
    expect(server.asked).toHaveLength(7);
    const controller = new AbortController();
    server.answer(busy('20'));
    const waiting = session.prompt('Hello', { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(waiting).rejects.toThrow('enough');
  });

  test('is out of order for a moment, or for longer', async () => {
    server.answer(
      (response) => json(response, 503, {}),
      (response) => stream(response).end(events(said)),
    );
    expect(await session.prompt('Hello')).toBe(said.join(''));
    server.asked.length = 0;
    server.answer((response) => json(response, 500, { error: { message: 'CUDA error' } }));
    const error = await failure(session.prompt('Hello'));
    expect(error).toMatchObject({ ...broken, facts: { status: 500 } });
    expect(error.message).toContain('CUDA error');
    expect(server.asked).toHaveLength(1);
    await expect(Octavo.connect({ baseURL: 'http://127.0.0.1:1/v1', retries: 0 })).rejects.toMatchObject(broken);
  });

  test('refuses: by what it says, whatever its shape, and without the key in the message', async () => {
    const refused = async (status: number, body: unknown): Promise<Error & { facts?: Record<string, unknown> }> => {
      server.answer((response) => json(response, status, body));
      return failure(session.prompt('Hello'));
    };
    expect(await refused(400, { error: { message: 'top_k is too low' } })).toMatchObject({
      name: 'InputError',
      code: 'argument',
    });
    expect((await refused(422, { detail: [{ msg: 'field required' }] })).message).toContain('field required');
    expect((await refused(400, 'plain')).message).toContain('plain');
    for (const status of [401, 403, 404, 418]) {
      const error = await refused(status, { error: 'no' });
      expect(error).toMatchObject({ ...broken, facts: { status } });
      expect(JSON.stringify([error.message, error.facts])).not.toContain('very-secret');
    }
    server.answer((response) =>
      stream(response).end(`data: ${JSON.stringify({ error: { message: 'worker died', code: 500 } })}\n\n`),
    );
    expect((await failure(session.prompt('Hello'))).message).toContain('worker died');
  });

  test.each([
    ['no JSON', 'data: {"choices": [\n\n'],
    ['no object', 'data: 7\n\n'],
    [
      'a piece of a call that never began',
      `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 5 }] } }] })}\n\n`,
    ],
    [
      'arguments that are no JSON',
      `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{' } }] }, finish_reason: 'tool_calls' }] })}\n\ndata: [DONE]\n\n`,
    ],
    ['nothing', ''],
    [
      'other types everywhere',
      `data: ${JSON.stringify({ choices: 3, usage: [] })}\n\ndata: ${JSON.stringify({ choices: [{ delta: 'x', logprobs: 1 }] })}\n\n`,
    ],
    ['an event without an end', `data: ${'x'.repeat((1 << 22) + 1)}`],
  ])('sends nonsense: %s', async (_, text) => {
    server.answer((response) => stream(response).end(text));
    expect(await failure(session.prompt('Hello'))).toMatchObject(broken);
  });

  test('takes no notice of a schema', async () => {
    server.answer((response) => stream(response).end(events(['Sure: ', '{"a":1}'])));
    const error = await failure(session.prompt('Hello', { responseConstraint: { type: 'object' } }));
    expect(error).toMatchObject(broken);
    expect(error.message).toContain('response_format');
    expect(server.asked.at(-1)!.body['response_format']).toEqual({
      type: 'json_schema',
      json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
    });
    server.answer((response) => stream(response).end(events(['{"a"', ':1}'])));
    expect(await session.prompt('Hello', { responseConstraint: { type: 'object' } })).toBe('{"a":1}');
  });

  test('answers with a web page', async () => {
    server.answer((response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    expect((await failure(session.prompt('Hello'))).message).toContain('web page');
    await expect(
      connect({ fetch: async () => new Response('<html>', { headers: { 'content-type': 'text/html' } }) }),
    ).rejects.toMatchObject(broken);
  });
});

describe('vectors and order of texts', () => {
  const reply = (body: unknown): void => server.answer((response) => json(response, 200, body));

  test('are read where they are such', async () => {
    reply({ data: [{ embedding: [3, 4] }], usage: { prompt_tokens: 5 } });
    const found = await model.embed(['x']);
    expect([[...found[0]!], found.tokens]).toEqual([[...Float32Array.of(0.6, 0.8)], 5]);
    reply({
      data: [
        { index: 1, embedding: [0, 2] },
        { index: 0, embedding: [2, 0] },
      ],
    });
    expect((await model.embed(['x', 'y'])).map((row) => [...row])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    reply({
      results: [
        { index: 0, relevance_score: 0.1 },
        { index: 1, relevance_score: 0.9 },
      ],
    });
    expect([...(await model.rerank('q', ['a', 'b']))]).toEqual([
      { index: 1, score: 0.9 },
      { index: 0, score: 0.1 },
    ]);
    expect(server.asked.at(-1)).toMatchObject({ path: '/v1/rerank', body: { query: 'q', documents: ['a', 'b'] } });
  });

  test.each([
    [{}],
    [null],
    [{ data: [] }],
    [{ data: [{ embedding: 'AAAA' }] }],
    [{ data: [{ embedding: [1, null] }] }],
    [{ data: [{ embedding: [] }] }],
  ])('nonsense is refused: %j', async (body) => {
    reply(body);
    expect(await failure(model.embed(['x']))).toMatchObject(broken);
  });

  test('vectors that are not one for each text are refused', async () => {
    const one = { index: 0, embedding: [1] };
    reply({ data: [one, { ...one }] });
    expect(await failure(model.embed(['x', 'y']))).toMatchObject(broken);
  });

  test.each([[{}], [{ results: [{ index: 7, relevance_score: 1 }] }], [{ results: [null] }]])(
    'nonsense is refused: %j',
    async (body) => {
      reply(body);
      expect(await failure(model.rerank('q', ['a']))).toMatchObject(broken);
    },
  );
});

describe('what the page does', () => {
  test('an abort closes the connection, and leaves the conversation as it was, or keeps what came', async () => {
    const slow = (response: Parameters<typeof stream>[0]): void => void stream(response, begun('Hel'));
    server.answer(slow);
    const before = server.left();
    const controller = new AbortController();
    const read = async (options = {}): Promise<void> => {
      for await (const _ of session.promptStreaming('Hello', { signal: controller.signal, ...options }))
        controller.abort(new Error('enough'));
    };
    await expect(read()).rejects.toThrow('enough');
    for (let wait = 0; server.left() === before && wait < 100; wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(server.left()).toBe(before + 1);
    const own = new AbortController();
    const kept = session.promptStreaming('Kept?', { signal: own.signal, aborted: 'keep' });
    const readKept = async (): Promise<void> => {
      for await (const _ of kept) own.abort();
    };
    await expect(readKept()).rejects.toMatchObject({ name: 'AbortError' });
    server.asked.length = 0;
    server.answer((response) => stream(response).end(events(said)));
    await session.prompt('Next');
    expect(server.asked[0]!.body['messages']).toMatchObject([
      { role: 'user', content: 'Kept?' },
      { role: 'assistant', content: 'Hel' },
      { role: 'user', content: 'Next' },
    ]);
  });

  test('a context that is full loses its oldest exchanges', async () => {
    const talk = await model.createSession({ initialPrompts: [{ role: 'system', content: 'S' }] });
    let overflows = 0;
    talk.oncontextoverflow = () => overflows++;
    const full = (response: Parameters<typeof json>[0]): void =>
      json(response, 400, {
        error: { message: "This model's maximum context length is 8 tokens", type: 'BadRequestError' },
      });
    const fine = (response: Parameters<typeof stream>[0]): unknown => stream(response).end(events(['ok']));
    server.answer(fine);
    await talk.prompt('One');
    await talk.prompt('Two');
    server.asked.length = 0;
    server.answer(full, fine);
    await talk.prompt('Three');
    expect(overflows).toBe(1);
    expect((server.asked[1]!.body['messages'] as { content: string }[]).map(({ content }) => content)).toEqual([
      'S',
      'Two',
      'ok',
      'Three',
    ]);
    server.answer(full);
    await expect(talk.prompt('Four')).rejects.toMatchObject({ name: 'InputError', code: 'too-long' });
  });

  test('tools of the page are run, and the answer goes on with their results', async () => {
    const call = (index: number, more: object): object => ({
      choices: [{ delta: { tool_calls: [{ index, ...more }] } }],
    });
    const calls = [
      { choices: [{ delta: { reasoning_content: 'Two cities.' } }] },
      call(0, { id: 'a', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }),
      call(0, { function: { arguments: '"Bern"}' } }),
      call(1, { id: 'b', function: { name: 'weather', arguments: '{"city":"Rome"}' } }),
      { choices: [{ delta: {}, finish_reason: 'tool_calls' }] },
    ];
    server.asked.length = 0;
    server.answer(
      (response) => stream(response).end(calls.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('')),
      (response) => stream(response).end(events(['Cold ', 'and warm.'])),
    );
    const tool = {
      name: 'weather',
      description: 'The weather.',
      inputSchema: { type: 'object', properties: { city: { type: 'string' } } },
      execute: ({ city }: Record<string, unknown>) => ({ t: city === 'Bern' ? 3 : 20 }),
    };
    const parts = [];
    const answer = session.promptParts('Weather?', { tools: [tool], toolChoice: 'auto', thinking: true });
    for await (const part of answer) parts.push(part.type);
    expect(new Set(parts)).toEqual(
      new Set(['thinking', 'tool-call-start', 'tool-call-delta', 'tool-call', 'tool-result', 'text']),
    );
    expect(await answer.finished).toMatchObject({ finishReason: 'stop', thinking: 'Two cities.' });
    const [first, second] = server.asked.map(({ body }) => body);
    expect(first).toMatchObject({
      tools: [{ type: 'function', function: { name: 'weather', parameters: tool.inputSchema } }],
      tool_choice: 'auto',
      chat_template_kwargs: { enable_thinking: true },
    });
    expect((second!['messages'] as object[]).slice(1)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } },
          { id: 'b', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', name: 'weather', content: '{"t":3}' },
      { role: 'tool', tool_call_id: 'b', name: 'weather', content: '{"t":20}' },
    ]);
  });

  test('what cannot be asked of a server is refused by name', async () => {
    await expect(Octavo.connect({ baseURL: 'localhost' })).rejects.toMatchObject({ facts: { name: 'baseURL' } });
    await expect(Octavo.connect({} as ConnectOptions)).rejects.toMatchObject({ facts: { name: 'baseURL' } });
    await expect(Octavo.connect({ baseURL: 'http://a:b@localhost/v1' })).rejects.toThrow('password');
    await expect(Octavo.connect({ baseUrl: 'x' } as never)).rejects.toThrow('baseURL');
    await expect(model.tokenize('x')).rejects.toThrow('load the model on the device');
    await expect(model.score('x')).rejects.toThrow('score');
    await expect(model.paint({ prompt: 'x' })).rejects.toThrow('paint');
    await expect(session.save('x')).rejects.toThrow('save');
    await expect(session.measureContextUsage('x')).rejects.toThrow('measureContextUsage');
    await expect(session.prompt('')).rejects.toMatchObject({ code: 'empty' });
    await expect(session.prompt([{ role: 'assistant', content: 'So', prefix: true }])).rejects.toThrow('prefix');
    await expect(session.prompt('x', { contrast: true })).rejects.toThrow('contrast');
  });
});
