import { describe, expect, test } from '@jest/globals';
import { readInput, type Message } from '../../src/generate/messages.ts';

const all = { system: true, prefix: true };

describe('prompts', () => {
  test('a string is one question', () => {
    expect(readInput('Hi', all)).toEqual({ turns: [{ role: 'user', content: 'Hi' }], prefix: '' });
  });

  test('text parts are joined', () => {
    const input: Message[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', value: 'a' }, { type: 'text', value: 'b' }] },
    ];
    expect(readInput(input, all).turns).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'ab' },
    ]);
  });

  test('an answer can be begun', () => {
    const input: Message[] = [{ role: 'user', content: 'Count.' }, { role: 'assistant', content: '1, 2,', prefix: true }];
    expect(readInput(input, all)).toEqual({ turns: [{ role: 'user', content: 'Count.' }], prefix: '1, 2,' });
    expect(() => readInput(input, { system: true, prefix: false })).toThrow('prefix');
    expect(() => readInput([input[1]!, input[0]!], all)).toThrow('prefix');
  });

  test.each([
    ['', 'empty'],
    [[], 'empty'],
    [[{ role: 'user', content: '' }], 'empty'],
    [[{ role: 'tool', content: 'x' }], 'role'],
    [[{ role: 'user', content: 'x' }, { role: 'system', content: 'y' }], 'first'],
    [[{ role: 'user', content: [{ type: 'image', value: new Uint8Array(1) }] }], "reads text only, not 'image'"],
    [[{ role: 'user', content: [{ type: 'text', value: 5 }] }], 'must be a string'],
    [[{ role: 'user', content: 5 }], 'content'],
    [5, 'string or an array'],
  ])('%j is refused', (input, problem) => {
    expect(() => readInput(input as Message[], all)).toThrow(problem);
  });
});
