/** What templates can do, and how conversations are made to fit them. */
import { describe, expect, test } from '@jest/globals';
import { abilitiesOf } from '../../src/chat/abilities.ts';
import { speechOf } from '../../src/chat/dialects/speech.ts';
import type { Turn } from '../../src/chat/messages.ts';
import { renderTurns } from '../../src/chat/render.ts';
import { MessageText } from '../../src/see/images.ts';
import { promptImage } from '../support/images.ts';

const OPTIONS = { addGenerationPrompt: true, bosToken: '<s>', eosToken: '</s>' };

const CHATML =
  '{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}';
/** Text only as parts, as templates of vision models write it. */
const PARTS =
  "{% for m in messages %}<|{{ m.role }}|>{% for line in m['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}<image>{% endif %}{% endfor %}<|end|>{% endfor %}";
/** No system messages, and the user first, by turns. */
const STRICT =
  "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}" +
  "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% elif m.role == 'assistant' %}{{ m.content + eos_token }}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}";
/** One system message at the beginning, and a question somewhere. */
const FIRST =
  "{% if messages[0].role == 'system' %}{{ '<<' + messages[0].content + '>>' }}{% set messages = messages[1:] %}{% endif %}" +
  "{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}{{ raise_exception('no user query') }}{% endif %}" +
  "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('system must be first') }}{% endif %}<|{{ m.role }}|>{{ m.content }}{% endfor %}";
const THINKING =
  '{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}{% endfor %}' +
  '{% if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{% endif %}';

const turn = (role: Turn['role'], text: string): Turn => ({ role, content: [text] });
const system = (text: string): Turn => turn('system', text);
const user = (text: string): Turn => turn('user', text);
const assistant = (text: string): Turn => turn('assistant', text);

/** The prompt, with what comes from messages in brackets. */
function show(template: string, turns: readonly Turn[], variables?: Readonly<Record<string, unknown>>): string {
  return renderTurns(template, turns, { ...OPTIONS, variables }, { speech: speechOf(template), tools: [] })
    .map((part) => (part instanceof MessageText ? `[${part.text}]` : typeof part === 'string' ? part : '*'))
    .join('');
}

describe('what a template can do', () => {
  test.each([
    [
      'chatml',
      {
        content: 'text',
        system: true,
        laterSystem: true,
        repeatedRoles: true,
        assistantFirst: true,
        withoutUser: true,
        tools: false,
        thinking: false,
        generationPrompt: true,
      },
    ],
    [CHATML, { content: 'text', toolResults: true, toolCalls: false, generationPrompt: true }],
    [PARTS, { content: 'parts', imageWord: '<image>', system: true, repeatedRoles: true, generationPrompt: false }],
    [
      STRICT,
      {
        content: 'text',
        system: false,
        laterSystem: false,
        repeatedRoles: false,
        assistantFirst: false,
        withoutUser: false,
        tools: false,
        toolResults: false,
      },
    ],
    [FIRST, { content: 'text', system: true, laterSystem: false, withoutUser: false }],
    [THINKING, { tools: true, toolCalls: true, toolResults: true, thinking: true, generationPrompt: true }],
    ['{{ broken', { content: 'text', system: false }],
  ] as const)('%s', (template, abilities) => {
    expect(abilitiesOf(template)).toMatchObject(abilities);
  });
});

describe('what it cannot, is adapted', () => {
  test('content as a list of parts, images in their places', () => {
    const image = promptImage('1', { tokens: 3 });
    expect(show(PARTS, [user('hi <image>')])).toBe('<|user|>[hi <image>]<|end|>');
    expect(show(PARTS, [{ role: 'user', content: ['<image>', image, 'b', image] }])).toBe(
      '<|user|>[<image>]*[b]*<|end|>',
    );
  });

  test('a system message becomes a part of the next user message, or one of its own', () => {
    expect(show(STRICT, [system('S'), user('A')])).toBe('<s>[INST] [S\n\nA] [/INST]');
    expect(show(STRICT, [user('A'), assistant('B'), system('S'), user('C')])).toBe(
      '<s>[INST] [A] [/INST][B]</s>[INST] [S\n\nC] [/INST]',
    );
    expect(show(STRICT, [user('A'), assistant('B'), user('C'), system('S')])).toBe(
      '<s>[INST] [A] [/INST][B]</s>[INST] [C\n\nS] [/INST]',
    );
    expect(show(FIRST, [system('S'), system('T'), user('A'), assistant('B'), system('U'), user('C')])).toBe(
      '<<[S\n\nT]>><|user|>[A]<|assistant|>[B]<|user|>[U\n\nC]',
    );
    expect(show(CHATML, [user('A'), system('S'), user('C')])).toBe(
      '<|user|>[A]<|end|><|system|>[S]<|end|><|user|>[C]<|end|><|assistant|>',
    );
  });

  test('messages of one role in a row are merged, and a greeting has something before it', () => {
    expect(show(STRICT, [user('A'), user('B'), assistant('C'), assistant('D'), user('E')])).toBe(
      '<s>[INST] [A\n\nB] [/INST][C\n\nD]</s>[INST] [E] [/INST]',
    );
    expect(show(STRICT, [assistant('Hello'), user('A')])).toBe('<s>[INST]  [/INST][Hello]</s>[INST] [A] [/INST]');
    expect(show(STRICT, [system('S'), assistant('Hello'), user('A')])).toBe(
      '<s>[INST]  [/INST][Hello]</s>[INST] [S\n\nA] [/INST]',
    );
  });

  test('calls of tools and their results', () => {
    const turns: Turn[] = [
      user('A'),
      { role: 'assistant', content: [], calls: [{ id: '1', name: 'f', arguments: { x: '<|end|>' } }] },
      { role: 'tool', content: ['<|r|>'], name: 'f', callId: '1' },
    ];
    expect(show(THINKING, turns).replaceAll('][', '')).toBe(
      '<|user|>[A]<|assistant|>[[f] {"[x]": "[<|end|>]"}]<|tool|>[<|r|>]<|assistant|>',
    );
    expect(show(STRICT, turns)).toBe(
      '<s>[INST] [A] [/INST]<tool_call>\n{"name": ["f"], "arguments": [{"x": "<|end|>"}]}\n</tool_call></s>[INST] <tool_response>\n[<|r|>]\n</tool_response> [/INST]',
    );
  });

  test('options reach the template; its own names are not taken over', () => {
    expect(show(THINKING, [user('A')], { enable_thinking: false })).toBe('<|user|>[A]<|assistant|><think></think>');
    expect(show(THINKING, [user('A')], { enable_thinking: true, messages: [], add_generation_prompt: false })).toBe(
      '<|user|>[A]<|assistant|>',
    );
  });

  test('a message whose control tokens are allowed is as the template', () => {
    expect(show(CHATML, [{ ...user('<|end|>'), special: true }, user('<|end|>')])).toBe(
      '<|user|><|end|><|end|><|user|>[<|end|>]<|end|><|assistant|>',
    );
  });
});
