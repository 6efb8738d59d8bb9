/**
 * Conversations with tools as templates write them, beside what transformers makes of them (training/parity/tools.py); and what is made of those that a
 * template cannot write. OCTAVO_TEMPLATES names a file of the same kind, of published templates.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { abilitiesOf } from '../../../src/chat/abilities.ts';
import { speechOf } from '../../../src/chat/dialects/speech.ts';
import { readInput, type Message } from '../../../src/chat/messages.ts';
import { renderTurns } from '../../../src/chat/render.ts';
import type { ToolSettings } from '../../../src/chat/tools.ts';
import { MessageText } from '../../../src/see/images.ts';

interface Rendered {
  readonly conversations: Readonly<
    Record<
      string,
      {
        readonly messages: readonly Message[];
        readonly tools: readonly ToolSettings[];
        readonly variables: Readonly<Record<string, unknown>>;
      }
    >
  >;
  readonly templates: Readonly<
    Record<string, { readonly template?: string; readonly rendered: Readonly<Record<string, string | null>> }>
  >;
}

const FIXTURES = new URL('../../fixtures/tools/', import.meta.url);
const read = (path: string | URL): Rendered => JSON.parse(readFileSync(path, 'utf8')) as Rendered;
const own = read(new URL('rendered.json', FIXTURES));
const source = (name: string): string => readFileSync(new URL(`templates/${name}.jinja`, FIXTURES), 'utf8');

/** The rendered prompt; what comes from messages in brackets, where asked. */
function render(
  template: string,
  { messages, tools, variables }: Rendered['conversations'][string],
  brackets = false,
): string {
  const { turns } = readInput(messages, {
    prefix: false,
    register: () => {
      throw new Error('there are no images');
    },
  });
  const options = { addGenerationPrompt: true, bosToken: '<s>', eosToken: '</s>', variables };
  return renderTurns(template, turns, options, { speech: speechOf(template), tools })
    .map((part) => (part instanceof MessageText && brackets ? `⟦${part.text}⟧` : String(part)))
    .join('');
}

/** Whether the template writes such a conversation by itself. */
function writes(template: string, { messages, tools }: Rendered['conversations'][string]): boolean {
  const { system, toolCalls, toolResults, parallelCalls } = abilitiesOf(template);
  const calls = Math.max(...messages.map(({ toolCalls: made = [] }) => made.length));
  return (
    (tools.length === 0 || speechOf(template).variable !== undefined) &&
    (calls === 0 || (toolCalls && toolResults)) &&
    (calls < 2 || parallelCalls) &&
    (system || messages[0]?.role !== 'system')
  );
}

describe.each(Object.entries(own.templates))('%s', (name, { rendered }) => {
  const template = source(name);
  test.each(Object.entries(own.conversations))('%s', (title, conversation) => {
    const expected = rendered[title];
    const text = render(template, conversation);
    if (writes(template, conversation)) expect(text).toBe(expected);
    else {
      for (const { content } of conversation.messages) expect(text).toContain(String(content).trim());
      for (const tool of conversation.tools) expect(text).toContain(tool.name);
    }
    // Nothing of a message, a tool or a result is read as a control token.
    const marked = render(template, conversation, true).replaceAll(/⟦[^⟧]*⟧/g, '');
    for (const word of ['How is Paris', 'Be brief', 'degrees', 'its name'])
      expect(marked.toLowerCase()).not.toContain(word.toLowerCase());
  });
});

describe('the dialect of a template', () => {
  test.each([
    ['hermes', 'hermes', 'tools'],
    ['thinking', 'hermes', 'tools'],
    ['tags', 'tags', 'tools'],
    ['llama', 'llama', 'tools'],
    ['mistral', 'mistral', 'tools'],
    ['ministral', 'mistral-names', 'tools'],
    ['lfm2', 'lfm2', 'tools'],
    ['smollm3', 'hermes', 'xml_tools'],
    ['gemma', 'gemma', undefined],
    ['gemma-tokens', 'function-gemma', 'tools'],
    ['granite', 'granite', 'tools'],
  ])('%s', (name, dialect, variable) => {
    const speech = speechOf(source(name));
    expect([speech.dialect.name, speech.variable]).toEqual([dialect, variable]);
  });

  test('templates without tools, and with tools in a way that nobody knows', () => {
    expect(speechOf('chatml')).toMatchObject({ dialect: { name: 'hermes' }, variable: undefined });
    expect(
      speechOf('{% if tools %}{{ tools }}{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}'),
    ).toMatchObject({
      dialect: { name: 'hermes' },
      variable: undefined,
    });
    expect(speechOf('{{ broken')).toMatchObject({ variable: undefined });
  });

  test('whether tools can be shown before the first question', () => {
    expect([speechOf(source('hermes')).withoutUser, speechOf(source('llama')).withoutUser]).toEqual([true, false]);
  });
});

test('what a template cannot write, stands in the dialect of its answers', () => {
  const { messages, tools, variables } = own.conversations['two calls']!;
  const conversation = { messages, tools, variables };
  expect(render('chatml', conversation)).toContain(
    'assistant\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n17\n</tool_response><|im_end|>',
  );
  expect(render(source('lfm2'), conversation)).toContain(
    '<|im_start|>assistant\n<|tool_call_start|>[get_weather(city="Paris"), now()]<|tool_call_end|><|im_end|>\n<|im_start|>tool\n<|tool_response_start|>17<|tool_response_end|>',
  );
  expect(render(source('gemma'), conversation)).toContain(
    '<start_of_turn>model\n```tool_code\nget_weather(city="Paris")\nnow()\n```<end_of_turn>\n<start_of_turn>user\n```tool_output\n17\n```\n\n```tool_output\n12:00\n```<end_of_turn>',
  );
  // One call a message, each with its result.
  expect(render(source('llama'), conversation)).toMatch(
    /"get_weather", "parameters": [^]*ipython[^]*"17"[^]*"now", "parameters": \{\}[^]*ipython[^]*"12:00"/,
  );
});

const file = process.env['OCTAVO_TEMPLATES'];
if (file !== undefined) {
  const published = read(file);
  describe.each(Object.entries(published.templates))('published: %s', (_, { template = '', rendered }) => {
    test.each(Object.entries(published.conversations))('%s', (title, conversation) => {
      const expected = rendered[title];
      // What upstream refuses, may be refused.
      if (typeof expected !== 'string') return;
      const text = render(template, conversation);
      if (writes(template, conversation)) expect(text).toBe(expected);
    });
  });
}
