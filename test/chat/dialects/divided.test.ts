/** Answers in every dialect, well and badly written, in pieces of any size. */
import { describe, expect, test } from '@jest/globals';
import type { Dialect } from '../../../src/chat/dialects/dialect.ts';
import { DividedAnswer } from '../../../src/chat/dialects/divided.ts';
import { functionGemma, gemma, gemma4 } from '../../../src/chat/dialects/gemma.ts';
import { hermes, tags } from '../../../src/chat/dialects/hermes.ts';
import { lfm2 } from '../../../src/chat/dialects/lfm2.ts';
import { granite, llama } from '../../../src/chat/dialects/listed.ts';
import { mistral } from '../../../src/chat/dialects/mistral.ts';
import type { DividedPart } from '../../../src/chat/divider.ts';
import { MessageText } from '../../../src/see/images.ts';

const TOOLS = [
  {
    name: 'get_weather',
    inputSchema: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' }, where: { type: 'object' } },
    },
  },
  { name: 'now' },
];
const THOUGHTS = ['<think>', '</think>'] as const;

interface Divided {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly (readonly [name: string, input: unknown])[];
}

/** The answer in pieces of `size` characters. Checks that parts are in order and that pieces of arguments make up the whole. */
function divide(dialect: Dialect | undefined, answer: string, size: number, within?: 'thoughts' | 'text'): Divided {
  const divided = new DividedAnswer({
    dialect,
    tools: TOOLS,
    thoughts: THOUGHTS,
    within,
    id: (call) => `call0000${call}`,
  });
  const parts: DividedPart[] = [];
  for (let at = 0; at < answer.length && !divided.done; at += size)
    parts.push(...divided.push(answer.slice(at, at + size), false));
  parts.push(...divided.end());
  const open = new Map<string, string>();
  for (const part of parts) {
    if (part.type === 'tool-call-start') open.set(part.id, '');
    if (part.type === 'tool-call-delta') open.set(part.id, open.get(part.id)! + part.delta);
    if (part.type === 'tool-call') expect(JSON.parse(open.get(part.id)!)).toEqual(part.arguments);
  }
  const joined = (type: 'text' | 'thinking'): string =>
    parts.flatMap((part) => (part.type === type ? [part.text] : [])).join('');
  expect(joined('thinking')).toBe(divided.thinking);
  return {
    text: joined('text'),
    thinking: joined('thinking'),
    calls: divided.calls.map((call) => [call.name, call.arguments] as const),
  };
}

const PARIS = [['get_weather', { city: 'Paris' }]] as const;
const CASES: readonly (readonly [string, Dialect, string, Partial<Divided>])[] = [
  ['text alone', hermes, 'A <b>bold</b> < 1 claim. \n', { text: 'A <b>bold</b> < 1 claim. \n', calls: [] }],
  [
    'hermes',
    hermes,
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    { calls: PARIS, text: '' },
  ],
  [
    'text before',
    hermes,
    'Let me see.\n\n<tool_call>{"name": "now", "arguments": {}}</tool_call>',
    { text: 'Let me see.', calls: [['now', {}]] },
  ],
  [
    'two',
    hermes,
    '<tool_call>{"name": "now"}</tool_call>\n<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>',
    { calls: [['now', {}], ...PARIS] },
  ],
  [
    'two in one',
    hermes,
    '<tool_call>{"name": "now"}\n{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>',
    { calls: [['now', {}], ...PARIS] },
  ],
  [
    'a result of its own invention behind it',
    hermes,
    '<tool_call>{"name": "now"}</tool_call>\n<tool_response>12</tool_response> It is 12.',
    { calls: [['now', {}]], text: '' },
  ],
  [
    'braces and tags in strings',
    hermes,
    '<tool_call>{"name": "get_weather", "arguments": {"city": "}}</tool_call>\\" {", "where": {"a": [1, {"b": "]"}]}}}</tool_call>',
    { calls: [['get_weather', { city: '}}</tool_call>" {', where: { a: [1, { b: ']' }] } }]] },
  ],
  ['no end', hermes, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}', { calls: PARIS }],
  [
    'cut short',
    hermes,
    'Hm. <tool_call>\n{"name": "get_weather", "arguments": {"city": "Pa',
    { calls: [], text: 'Hm.' },
  ],
  ['cut before the name', hermes, '<tool_call>\n{"na', { calls: [], text: '<tool_call>\n{"na' }],
  ['no call at all', hermes, '<tool_call>none</tool_call>', { calls: [], text: '<tool_call>none</tool_call>' }],
  [
    'doubled braces',
    hermes,
    '<tool_call>{{"name": "get_weather", "arguments": {"city": "Paris"}}}</tool_call>',
    { calls: PARIS },
  ],
  [
    'one brace too many',
    hermes,
    '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}}</tool_call>',
    { calls: PARIS, text: '' },
  ],
  [
    'arguments as a string',
    hermes,
    '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>',
    { calls: PARIS },
  ],
  [
    'arguments first',
    hermes,
    '<tool_call>{"arguments": {"city": "Paris"}, "name": "get_weather"}</tool_call>',
    { calls: PARIS },
  ],
  [
    'a function within',
    hermes,
    '<tool_call>{"type": "function", "function": {"name": "get_weather", "parameters": {"city": "Paris"}}}</tool_call>',
    { calls: PARIS },
  ],
  [
    "Python's literals",
    hermes,
    "<tool_call>{'name': 'get_weather', 'arguments': {'city': 'L\\'Isle \"x\"', 'days': None, 'where': {'a': True,},},}</tool_call>",
    { calls: [['get_weather', { city: 'L\'Isle "x"', days: null, where: { a: true } }]] },
  ],
  [
    'escapes and breaks',
    hermes,
    '<tool_call>{"name": "get_weather", "arguments": {"city": "a\nb\\n\\u00e9\\\\", "days": -1.5e2}}</tool_call>',
    { calls: [['get_weather', { city: 'a\nb\né\\', days: -150 }]] },
  ],
  [
    'other tags',
    hermes,
    '<tools>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tools>',
    { calls: PARIS, text: '' },
  ],
  [
    'a block of code',
    hermes,
    '```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```',
    { calls: PARIS, text: '' },
  ],
  ['bare', hermes, '{"name": "get_weather", "arguments": {"city": "Paris"}}', { calls: PARIS, text: '' }],
  ['JSON that was asked for', hermes, '{"name": "Anna", "age": 3}', { calls: [], text: '{"name": "Anna", "age": 3}' }],
  ['code that was asked for', hermes, '```json\n{"a": 1}\n```', { calls: [], text: '```json\n{"a": 1}\n```' }],
  ['bare, but later', hermes, 'So: {"name": "now"}', { calls: [], text: 'So: {"name": "now"}' }],
  ['an unknown tool', hermes, '<tool_call>{"name": "fly"}</tool_call>', { calls: [['fly', {}]] }],
  [
    'thoughts',
    hermes,
    '<think>\nA {"name": "now"}?\n</think>\n\nYes.',
    { thinking: 'A {"name": "now"}?', text: 'Yes.', calls: [] },
  ],
  [
    'thoughts and a call',
    hermes,
    '<think>x</think>\n<tool_call>{"name": "now"}</tool_call>',
    { thinking: 'x', text: '', calls: [['now', {}]] },
  ],
  ['thoughts without end', hermes, ' <think>\nA and ', { thinking: 'A and', text: '' }],
  [
    'thoughts in the middle are text',
    hermes,
    'The tag <think> is one',
    { thinking: '', text: 'The tag <think> is one' },
  ],
  [
    'tags',
    tags,
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>',
    { calls: [['get_weather', { city: 'Paris', days: 3 }]], text: '' },
  ],
  [
    'tags, two',
    tags,
    'Ok\n<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n</parameter>\n<parameter=where>\n{"a": "b\nc"}\n</parameter>\n</function>\n</tool_call>',
    {
      text: 'Ok',
      calls: [
        ['now', {}],
        ['get_weather', { city: '12', where: { a: 'b\nc' } }],
      ],
    },
  ],
  ['llama', llama, '{"name": "get_weather", "parameters": {"city": "Paris"}}', { calls: PARIS, text: '' }],
  [
    'llama, two',
    llama,
    '<|python_tag|>{"name": "now", "parameters": {}}; {"name": "get_weather", "parameters": {"city": "Paris"}}',
    { calls: [['now', {}], ...PARIS] },
  ],
  [
    'mistral, a list',
    mistral,
    '[TOOL_CALLS][{"name": "now", "arguments": {}, "id": "abcdefghi"}, {"name": "get_weather", "arguments": {"city": "Paris"}}]',
    { calls: [['now', {}], ...PARIS], text: '' },
  ],
  [
    'mistral, names',
    mistral,
    'I see.[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris"}',
    { text: 'I see.', calls: [['now', {}], ...PARIS] },
  ],
  ['mistral, no call', mistral, '[TOOL_CALLS] I have none.', { calls: [], text: '[TOOL_CALLS] I have none.' }],
  ['granite', granite, '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]', { calls: PARIS }],
  [
    'lfm2',
    lfm2,
    '<|tool_call_start|>[now(), get_weather(city="Paris")]<|tool_call_end|>Looking.',
    { calls: [['now', {}], ...PARIS], text: '' },
  ],
  [
    'lfm2, nested',
    lfm2,
    "<|tool_call_start|>[get_weather(city='a)b, c=\"d\"', days=2, where={'x': [True, None]})]<|tool_call_end|>",
    { calls: [['get_weather', { city: 'a)b, c="d"', days: 2, where: { x: [true, null] } }]] },
  ],
  [
    'lfm2, without names',
    lfm2,
    '<|tool_call_start|>[get_weather("Paris", 3)]<|tool_call_end|>',
    { calls: [['get_weather', { city: 'Paris', days: 3 }]] },
  ],
  [
    'lfm2, JSON',
    lfm2,
    '<|tool_call_start|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|tool_call_end|>',
    { calls: PARIS },
  ],
  [
    'gemma',
    gemma,
    '```tool_code\nprint(get_weather(city="Paris"))\nnow()\n```\nDone.',
    { calls: [...PARIS, ['now', {}]], text: '' },
  ],
  ['gemma, code', gemma, '```python\nx = 1\n```', { calls: [], text: '```python\nx = 1\n```' }],
  [
    'functiongemma',
    functionGemma,
    '<start_function_call>call:get_weather{city:<escape>Pa"ri{s}<escape>,days:2}<end_function_call><start_function_response>',
    { calls: [['get_weather', { city: 'Pa"ri{s}', days: 2 }]], text: '' },
  ],
  [
    'gemma 4',
    gemma4,
    '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,where:{a:[1,<|"|>b<|"|>],c:true}}<tool_call|><|tool_call>call:now{}<tool_call|>',
    {
      calls: [
        ['get_weather', { city: 'Paris', where: { a: [1, 'b'], c: true } }],
        ['now', {}],
      ],
    },
  ],
];

describe('an answer', () => {
  test.each(CASES)('%s', (_, dialect, answer, expected) => {
    for (const size of [Infinity, 1, 2, 3, 7]) expect(divide(dialect, answer, size)).toMatchObject(expected);
  });

  test('thoughts that the prompt opened, and an answer that the caller began', () => {
    for (const size of [1, 5, 100]) {
      expect(divide(undefined, 'Well.\n</think>\n\nYes', size, 'thoughts')).toMatchObject({
        thinking: 'Well.',
        text: 'Yes',
      });
      expect(divide(hermes, '<think> is a tag', size, 'text')).toMatchObject({
        thinking: '',
        text: '<think> is a tag',
      });
    }
  });

  test('control tokens are no text, but for marks', () => {
    const divided = new DividedAnswer({
      dialect: lfm2,
      tools: TOOLS,
      thoughts: THOUGHTS,
      within: undefined,
      id: String,
    });
    const pieces = [
      ['<think>', true],
      ['a', false],
      ['</think>', true],
      ['b', false],
      ['<|x|>', true],
      ['<|tool_call_start|>', true],
      ['[now()]', false],
      ['<|tool_call_end|>', true],
    ] as const;
    const parts = pieces.flatMap(([text, control]) => divided.push(text, control));
    expect(
      [...parts, ...divided.end()].map((part) => ('text' in part ? `${part.type} ${part.text}` : part.type)),
    ).toEqual(['thinking a', 'text b', 'control <|x|>', 'tool-call-start', 'tool-call-delta', 'tool-call']);
  });

  test('a call without end is text, and does not take for ever', () => {
    const answer = `<tool_call>{"name": "get_weather", "arguments": {"city": "${'x'.repeat(1 << 19)}`;
    expect(divide(hermes, answer, 1 << 14).calls).toEqual([]);
    const call = (days: number): string =>
      `<tool_call>{"name": "get_weather", "arguments": {"days": ${days}}}</tool_call>`;
    expect(divide(hermes, Array.from({ length: 500 }, (_, days) => call(days)).join(''), 1000).calls).toHaveLength(64);
    // A call that comes again is the last.
    expect(divide(hermes, [1, 2, 1, 3].map(call).join('\n'), 10).calls).toHaveLength(3);
    const bare = '{"name": "now"}\n'.repeat(9);
    expect(divide(hermes, bare, 4).calls).toHaveLength(2);
  });
});

describe('a call is read as it was written', () => {
  const calls = [
    {
      name: 'get_weather',
      arguments: { city: 'a"b\\c\'d\n</tool_call>é', days: -2, where: { a: [true, null, 1.5], 'b c': '' } },
    },
    { name: 'now', arguments: {} },
  ];
  test.each(
    [hermes, tags, granite, lfm2, gemma, functionGemma, gemma4, mistral].map(
      (dialect) => [dialect.name, dialect] as const,
    ),
  )('%s', (name, dialect) => {
    const text = dialect.write(calls).map((part) => (part instanceof MessageText ? part.text : String(part)));
    // Gemma's keys stand without quotes.
    const sent = name.includes('gemma') && name !== 'gemma' ? text.map((one) => one.replace('b c', 'b_c')) : text;
    const expected = JSON.parse(JSON.stringify(calls).replace('b c', sent === text ? 'b c' : 'b_c')) as typeof calls;
    expect(divide(dialect, sent.join(''), 3).calls).toEqual(expected.map((call) => [call.name, call.arguments]));
  });
});
