import { describe, expect, test } from '@jest/globals';
import { readInput, type ContentPart, type Message, type ReadOptions } from '../../src/chat/messages.ts';
import { textOnly } from '../../src/see/images.ts';
import { promptImage } from '../support/images.ts';

const processor = textOnly(['llama has no parts for pictures']);
const register: ReadOptions['register'] = (value, name) => processor.register(value, name);
const all = { prefix: true, register };
const one = promptImage('1', { tokens: 2 });
const two = promptImage('2', { tokens: 2 });
/** Takes numbers for images. */
const seeing: ReadOptions = { ...all, register: (value) => (value === 1 ? one : two) };

describe('prompts', () => {
  test('a string is one question', () => {
    expect(readInput('Hi', all)).toEqual({ turns: [{ role: 'user', content: ['Hi'] }], prefix: '' });
  });

  test('text parts are joined', () => {
    const input: Message[] = [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', value: 'a' },
          { type: 'text', value: 'b' },
        ],
      },
    ];
    expect(readInput(input, all).turns).toEqual([
      { role: 'system', content: ['Be brief.'] },
      { role: 'user', content: ['ab'] },
    ]);
  });

  test('an image stands where the message has it', () => {
    const content: ContentPart[] = [
      { type: 'text', value: 'This: ' },
      { type: 'image', value: 1 },
      { type: 'image', value: 2 },
      { type: 'text', value: 'or that?' },
    ];
    const { turns } = readInput([{ role: 'user', content }], seeing);
    expect(turns).toEqual([{ role: 'user', content: ['This: ', one, two, 'or that?'] }]);
    expect(readInput([{ role: 'user', content: [{ type: 'image', value: 3 }] }], seeing).turns).toHaveLength(1);
    expect(() => readInput([{ role: 'assistant', content }], seeing)).toThrow('an answer is text');
  });

  test('an answer can be begun', () => {
    const input: Message[] = [
      { role: 'user', content: 'Count.' },
      { role: 'assistant', content: '1, 2,', prefix: true },
    ];
    expect(readInput(input, all)).toEqual({ turns: [{ role: 'user', content: ['Count.'] }], prefix: '1, 2,' });
    expect(() => readInput(input, { ...all, prefix: false })).toThrow('prefix');
    expect(() => readInput([input[1]!, input[0]!], all)).toThrow('prefix');
  });

  test.each([
    ['', 'empty'],
    [[], 'empty'],
    [[{ role: 'user', content: '' }], 'empty'],
    [[{ role: 'robot', content: 'x' }], 'role'],
    [[{ role: 'user', content: 'x', toolCalls: [{ name: 'f', arguments: {} }] }], 'toolCalls'],
    [[{ role: 'assistant', content: 'x', toolCalls: [{ arguments: {} }] }], 'has no name'],
    [
      [{ role: 'user', content: [{ type: 'image', value: new Uint8Array(1) }] }],
      'part 0: this model reads text only (llama has no parts',
    ],
    [[{ role: 'user', content: [{ type: 'audio', value: new Uint8Array(1) }] }], "reads 'audio'"],
    [[{ role: 'user', content: [null] }], "reads 'undefined'"],
    [[{ role: 'user', content: [{ type: 'text', value: 5 }] }], 'must be a string'],
    [[{ role: 'user', content: 5 }], 'content'],
    [5, 'string or an array'],
  ])('%j is refused', (input, problem) => {
    expect(() => readInput(input as Message[], all)).toThrow(problem);
  });

  test('system messages stand anywhere; calls, results and permitted control tokens are kept', () => {
    const { turns } = readInput(
      [
        { role: 'system', content: 'a' },
        { role: 'user', content: '<|x|>', allowSpecialTokens: true },
        { role: 'assistant', content: '', toolCalls: [{ id: '1', name: 'f', arguments: { a: 1 } }] },
        { role: 'tool', name: 'f', toolCallId: '1', content: 'r' },
        { role: 'system', content: 'b' },
      ],
      all,
    );
    expect(turns).toEqual([
      { role: 'system', content: ['a'] },
      { role: 'user', content: ['<|x|>'], special: true },
      { role: 'assistant', content: [], calls: [{ id: '1', name: 'f', arguments: { a: 1 } }] },
      { role: 'tool', content: ['r'], name: 'f', callId: '1' },
      { role: 'system', content: ['b'] },
    ]);
  });
});
