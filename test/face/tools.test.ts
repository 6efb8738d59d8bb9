/** Tools and thoughts as a page has them, on models that say what a script has. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { AnswerPart } from '../../src/chat/tools.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import type { OctavoSession, PromptOptions } from '../../src/face/session.ts';
import { runTools, type Tool } from '../../src/face/tools.ts';
import { testFace } from '../support/engine.ts';
import { scriptedModel, type ScriptOptions } from '../support/scripted-model.ts';

/** As Qwen's; a prompt ends with Q, or with R where results were given. */
const TEMPLATE =
  "{% if tools %}<|im_start|>system\nTools: {% for t in tools %}{{ t | tojson }}{% endfor %} Call as {{ '<tool_call>' }}<|im_end|>\n{% endif %}" +
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content and not loop.last and messages[loop.index].role == 'tool' %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}" +
  '{% for c in m.tool_calls %}\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}' +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{{ 'R' if messages[-1].role == 'tool' else 'Q' }}{% endif %}";

const call = (name: string, input: string): string =>
  `\n<tool_call>\n{"name": "${name}", "arguments": ${input}}\n</tool_call>`;
const WEATHER = [
  'Let me look.',
  '\n<tool_call>\n{"name": "get_weather",',
  ' "arguments": {"city": "Pa',
  'ris"}}\n</tool_call>',
];
const SAID = ['It is 17', ' degrees.'];
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const weather = (execute?: Tool['execute']): Tool => ({
  name: 'get_weather',
  description: 'The weather of a city.',
  inputSchema: SCHEMA,
  ...(execute && { execute }),
});

const Octavo = testFace();
const models: OctavoModel[] = [];
afterEach(() => Promise.all(models.splice(0).map((model) => model.destroy())));

async function begin(
  scripts: Readonly<Record<string, readonly string[]>>,
  tools: readonly Tool[],
  options: ScriptOptions & { readonly session?: PromptOptions } = {},
): Promise<OctavoSession> {
  const model = await Octavo.load(scriptedModel(scripts, { template: TEMPLATE, ...options }), {
    device: 'wasm',
    threads: 1,
  });
  models.push(model);
  return model.createSession({ temperature: 0, ...(tools.length > 0 && { tools }), ...options.session });
}

/** All parts of an answer, neighbours of one kind joined. */
async function parts(session: OctavoSession, options: PromptOptions = {}): Promise<AnswerPart[]> {
  const out: AnswerPart[] = [];
  for await (const part of session.promptParts('How is the weather in Paris?', options)) {
    const last = out.at(-1);
    if ((part.type === 'text' || part.type === 'thinking') && last?.type === part.type)
      out[out.length - 1] = { type: part.type, text: last.text + part.text };
    else out.push(part);
  }
  return out;
}

test('what is held back as the beginning of a stop string is shown when the answer ends without it', async () => {
  const session = await begin({ Q: ['It is 17', ' deg', 'rees.'] }, []);
  // The name of the token that ends the answer is the end of a stop string here, or of none.
  expect(await session.prompt('Hot?', { stop: 'rees.!' })).toBe('It is 17 degrees.');
  expect(await session.prompt('Hot?', { stop: ['rees.!', '<|im_end|>'] })).toBe('It is 17 degrees.');
  expect(await session.prompt('Hot?', { stop: 'rees.<|im_end|>' })).toBe('It is 17 deg');
});

describe('tools that the page runs', () => {
  test('a call is executed, and the answer goes on with its result', async () => {
    const asked: unknown[] = [];
    const session = await begin({ Q: WEATHER, R: SAID }, [
      weather(async (input, { toolCallId, signal }) => {
        asked.push([input, toolCallId, signal.aborted]);
        return { temperature: 17 };
      }),
    ]);
    const stream = session.promptStreaming('How is the weather in Paris?');
    let text = '';
    for await (const piece of stream) text += piece;
    expect(text).toBe('Let me look.\n\nIt is 17 degrees.');
    expect(asked).toEqual([[{ city: 'Paris' }, 'call00000', false]]);
    const report = await stream.finished;
    expect(report).toMatchObject({ finishReason: 'stop', tokens: { generated: 6 } });
    expect(report.toolCalls).toBeUndefined();
    expect(await session.prompt('Again?')).toBe('Let me look.\n\nIt is 17 degrees.');
    expect(asked[1]).toEqual([{ city: 'Paris' }, 'call00001', false]);
  });

  test('parts come in order, arguments in pieces', async () => {
    const session = await begin({ Q: WEATHER, R: SAID }, [weather(() => 'Sunny "and" warm')]);
    expect(await parts(session)).toEqual([
      { type: 'text', text: 'Let me look.' },
      { type: 'tool-call-start', id: 'call00000', name: 'get_weather' },
      { type: 'tool-call-delta', id: 'call00000', delta: '{"city":"Pa' },
      { type: 'tool-call-delta', id: 'call00000', delta: 'ris"}' },
      { type: 'tool-call', id: 'call00000', name: 'get_weather', arguments: { city: 'Paris' } },
      { type: 'tool-result', id: 'call00000', name: 'get_weather', content: 'Sunny "and" warm' },
      { type: 'text', text: '\n\nIt is 17 degrees.' },
    ]);
  });

  test('several calls run at once; results go back in the order of the calls', async () => {
    const running: string[] = [];
    const ended: string[] = [];
    const tools = ['slow', 'fast'].map((name): Tool => ({
      name,
      execute: async () => {
        running.push(name);
        await new Promise((resolve) => setTimeout(resolve, name === 'slow' ? 60 : 5));
        ended.push(`${name} while ${running.join()}`);
        return name;
      },
    }));
    const session = await begin({ Q: [call('slow', '{}'), call('fast', '{}')], R: SAID }, tools);
    const results = (await parts(session)).filter(({ type }) => type === 'tool-result');
    expect(results).toMatchObject([{ name: 'slow' }, { name: 'fast' }]);
    expect(ended).toEqual(['fast while slow,fast', 'slow while slow,fast']);
  });

  test('a tool that throws ends the prompt with its error, and the conversation is as before', async () => {
    const wrong = new Error('no network');
    let fails = true;
    const session = await begin({ Q: WEATHER, R: SAID }, [
      weather(() => {
        if (fails) throw wrong;
        return 'fine';
      }),
    ]);
    const before = session.contextUsage;
    await expect(session.prompt('How is the weather?')).rejects.toBe(wrong);
    expect(session.contextUsage).toBe(before);
    fails = false;
    expect(await session.prompt('How is the weather?')).toContain('17 degrees');
  });

  test('an abort while a tool runs rejects with its reason and reaches the tool', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let heard: unknown;
    const session = await begin({ Q: WEATHER, R: SAID }, [
      weather((_, { signal }) => {
        signal.addEventListener('abort', () => (heard = signal.reason));
        controller.abort(reason);
        return new Promise(() => undefined);
      }),
    ]);
    await expect(session.prompt('How is the weather?', { signal: controller.signal })).rejects.toBe(reason);
    expect(heard).toBe(reason);
    expect(session.contextUsage).toBe(0);
    expect(await session.prompt('?', { tools: [weather(() => 'fine')] })).toContain('17 degrees');
  });

  test('a model that calls on and on is stopped', async () => {
    let count = 0;
    const again = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
    const session = await begin({ Q: WEATHER, R: [again] }, [weather(() => String(++count))]);
    const stream = session.promptStreaming('?', { maxToolRounds: 3 });
    for await (const _ of stream);
    expect(await stream.finished).toMatchObject({ finishReason: 'tool-calls', toolCalls: [{ id: 'call00003' }] });
    expect(count).toBe(3);
  });

  test('a model that calls again what it knows is asked without tools, and has to say something', async () => {
    let count = 0;
    const again = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
    const session = await begin({ Q: ['\n' + again, ' and more'], R: [again, 'So be it.'] }, [
      weather(() => {
        count++;
        return '17';
      }),
    ]);
    const stream = session.promptStreaming('?', { maxTokens: 30, loops: 'allow' });
    let text = '';
    for await (const piece of stream) text += piece;
    const report = await stream.finished;
    expect(report.toolCalls).toBeUndefined();
    expect(count).toBe(2);
    expect(text).toMatch(/^[^\s{<[`]/);
  });

  test('the model is told of a tool that does not exist; values become JSON', async () => {
    const calls = ['f', 'g', 'h'].map((name, i) => ({ id: `call0000${i}`, name, arguments: {} }));
    const tools = [
      { name: 'f', execute: () => undefined },
      { name: 'h', execute: async () => [1, 'a'] },
    ];
    expect(await runTools(calls, tools, new AbortController().signal)).toEqual([
      { id: 'call00000', name: 'f', content: 'done' },
      { id: 'call00001', name: 'g', content: 'There is no tool named g; there are: f, h.' },
      { id: 'call00002', name: 'h', content: '[1,"a"]' },
    ]);
  });

  test('another session computes while a tool runs', async () => {
    const session = await begin({ Q: WEATHER, R: SAID }, [
      weather(async () => {
        const other = await models[0]!.createSession({ temperature: 0 });
        return other.prompt('?');
      }),
    ]);
    const result = (await parts(session)).find((part) => part.type === 'tool-result');
    expect(result).toMatchObject({ content: expect.stringContaining('Let me look.') });
  });

  test('a clone has the tools, too, and other prompts wait for all rounds of one', async () => {
    const order: string[] = [];
    const session = await begin({ Q: WEATHER, R: SAID }, [
      weather(async () => {
        order.push('tool');
        await new Promise((resolve) => setTimeout(resolve, 20));
        return 'fine';
      }),
    ]);
    const copy = await session.clone();
    expect(await copy.prompt('?')).toContain('17 degrees');
    order.length = 0;
    const said = ['first', 'second'].map((name) => session.prompt(name).then(() => order.push(name)));
    await Promise.all(said);
    expect(order).toEqual(['tool', 'first', 'tool', 'second']);
  });
});

describe('tools that the app runs', () => {
  test('calls end the answer; results are given as messages', async () => {
    const session = await begin({ Q: WEATHER, R: SAID }, [weather()]);
    const stream = session.promptStreaming('How is the weather in Paris?');
    for await (const _ of stream);
    const { finishReason, toolCalls = [] } = await stream.finished;
    expect(finishReason).toBe('tool-calls');
    expect(toolCalls).toEqual([{ id: 'call00000', name: 'get_weather', arguments: { city: 'Paris' } }]);
    const results = toolCalls.map(({ id, name }) => ({
      role: 'tool' as const,
      toolCallId: id,
      name,
      content: '<|im_end|>17',
    }));
    expect(await session.prompt(results)).toBe('It is 17 degrees.');
  });

  test('one such tool among the calls leaves all of them to the app', async () => {
    let ran = 0;
    const session = await begin({ Q: [call('own', '{}'), call('get_weather', '{"city": "Rome"}')], R: SAID }, [
      weather(),
      { name: 'own', execute: () => ran++ },
    ]);
    const stream = session.promptStreaming('?');
    for await (const _ of stream);
    expect((await stream.finished).toolCalls).toHaveLength(2);
    expect(ran).toBe(0);
  });

  test('a history with calls and results is taken, arguments as JSON, too', async () => {
    const session = await begin({ Q: ['As I said.'], R: SAID }, [weather()], {
      session: {},
    });
    const history = [
      { role: 'user', content: 'How is Paris?' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'call_with_a_long_id', name: 'get_weather', arguments: '{"city":"Paris"}' }],
      },
      { role: 'tool', toolCallId: 'call_with_a_long_id', content: '17' },
    ] as const;
    expect(await session.prompt(history)).toBe('It is 17 degrees.');
    await expect(
      session.prompt([{ role: 'assistant', content: '', toolCalls: [{ name: 'f', arguments: '[1' }] }]),
    ).rejects.toThrow('arguments of f must be an object');
  });

  test.each([
    [{ tools: [weather(), weather()] }, 'name of another tool'],
    [{ tools: [{ name: 'a b' }] }, "'a b' is no name"],
    [{ tools: [{ name: 'f', inputSchema: { type: 'string' } }] }, 'arguments are an object'],
    [{ tools: [], toolChoice: 'required' }, 'there are no tools'],
    [{ tools: [weather()], toolChoice: { name: 'g' } }, "no tool named 'g'; there are: get_weather"],
  ] as const)('%j is refused', async (options, message) => {
    const session = await begin({ Q: ['Hello'] }, []);
    await expect(session.prompt('?', options as PromptOptions)).rejects.toThrow(message);
  });

  test.each(['required', { name: 'pick' }] as const)(
    'toolChoice %j makes the model call, by the schema',
    async (toolChoice) => {
      const pick = {
        name: 'pick',
        inputSchema: {
          type: 'object',
          properties: { size: { enum: ['small'] }, count: { const: 'two' } },
          required: ['size', 'count'],
          additionalProperties: false,
        },
      };
      const session = await begin({ Q: ['Hello', ' there.'] }, [pick, { ...pick, name: 'pick_too' }]);
      const stream = session.promptStreaming('?', { toolChoice, thinking: false, maxTokens: 600, loops: 'allow' });
      for await (const _ of stream);
      const { toolCalls = [] } = await stream.finished;
      expect(toolCalls[0]).toMatchObject({ arguments: { size: 'small', count: 'two' } });
      if (typeof toolChoice === 'object') expect(toolCalls).toMatchObject([{ name: 'pick' }]);
      expect(await session.prompt('?')).toBe('Hello there.');
    },
  );

  test('a call that does not fit cannot be written: the schema makes the rest of it', async () => {
    const tool = {
      name: 'get',
      inputSchema: { type: 'object', properties: { a: { const: 'x' } }, required: ['a'], additionalProperties: false },
    };
    const session = await begin({ Q: ['Well.', '\n<tool_call>', '{"name": "forget", "arguments": {}}'] }, [tool]);
    const stream = session.promptStreaming('?', { maxTokens: 600, loops: 'allow' });
    for await (const _ of stream);
    expect(await stream.finished).toMatchObject({
      finishReason: 'tool-calls',
      toolCalls: [{ name: 'get', arguments: { a: 'x' } }],
    });
  });

  test('a schema that cannot be kept to exactly is no reason to refuse a tool', async () => {
    const odd = {
      ...weather(),
      inputSchema: { ...SCHEMA, unevaluatedProperties: { not: {} }, contentEncoding: 'base64' },
    };
    const session = await begin({ Q: WEATHER }, [odd]);
    const stream = session.promptStreaming('?');
    for await (const _ of stream);
    expect((await stream.finished).toolCalls).toMatchObject([{ arguments: { city: 'Paris' } }]);
  });

  test('with toolChoice none the model is not told of them, and calls are text', async () => {
    const session = await begin({ Q: WEATHER, R: SAID }, [weather(() => 'x')]);
    expect(await session.prompt('?', { toolChoice: 'none' })).toBe(WEATHER.join(''));
  });

  test('a base model cannot be told of tools', async () => {
    const session = await begin({ Q: ['Hello'] }, [], { template: '' });
    await expect(session.prompt('?', { tools: [weather()] })).rejects.toThrow('no chat template');
  });
});

describe('thoughts', () => {
  const THOUGHTS = ['<think>', '\nThe user asks. ', 'I am sure.\n', '</think>', '\n\nIt rains.'];

  test('are told apart from the answer, and left out of the text', async () => {
    const session = await begin({ Q: THOUGHTS }, []);
    expect(await parts(session)).toEqual([
      { type: 'thinking', text: 'The user asks. I am sure.' },
      { type: 'text', text: 'It rains.' },
    ]);
    const stream = session.promptStreaming('?');
    let text = '';
    for await (const piece of stream) text += piece;
    expect(text).toBe('It rains.');
    expect((await stream.finished).thinking).toBe('The user asks. I am sure.');
  });

  test('marks may be control tokens', async () => {
    const session = await begin({ Q: THOUGHTS }, [], { control: ['<think>', '</think>'] });
    expect(await parts(session)).toMatchObject([{ type: 'thinking' }, { type: 'text', text: 'It rains.' }]);
  });

  test('come before calls, and again after them', async () => {
    const session = await begin(
      { Q: ['<think>', 'Look it up.</think>\n', ...WEATHER.slice(1)], R: ['<think>So 17.', '</think>17 degrees.'] },
      [weather(() => '17')],
    );
    const stream = session.promptStreaming('?');
    let text = '';
    for await (const piece of stream) text += piece;
    expect(text).toBe('17 degrees.');
    expect((await stream.finished).thinking).toBe('Look it up.\n\nSo 17.');
  });

  test('thinking: false begins the answer with none, as the template does it or by itself', async () => {
    const own = TEMPLATE.replace(/\{% if enable_thinking.*?endif %\}/s, '').replace(
      "'Q' }}{% endif %}",
      "'Q' }}{% endif %}{# </think> #}",
    );
    const tokens: number[] = [];
    for (const template of [TEMPLATE, own]) {
      const session = await begin({ Q: ['It rains.'], '\n': ['It does.'] }, [], { template });
      const stream = session.promptStreaming('?', { thinking: false });
      let text = '';
      for await (const piece of stream) text += piece;
      expect(text).toBe(template === own ? 'It does.' : 'It rains.');
      tokens.push((await stream.finished).tokens.prompt);
    }
    expect(tokens[0]).toBe(tokens[1]);
  });

  test('a prompt that opens them', async () => {
    const opened = TEMPLATE.replace("'Q' }}{% endif %}", "'<think>\\n' }}{% endif %}");
    const session = await begin({ '\n': ['Hm. I see', '.</think>', 'Rain.'] }, [], { template: opened });
    expect(await parts(session)).toEqual([
      { type: 'thinking', text: 'Hm. I see.' },
      { type: 'text', text: 'Rain.' },
    ]);
  });
});
