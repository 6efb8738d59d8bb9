import { describe, expect, test } from '@jest/globals';
import { readInput, type ContentPart, type Message, type ReadOptions } from '../../src/chat/messages.ts';
import { blind, pictureMark, type SeenPicture } from '../../src/see/pictures.ts';

const blindness = blind(['llama has no parts for pictures']);
const look: ReadOptions['look'] = (value, name) => blindness.look(value, name);
const all = { system: true, prefix: true, look };
/** Sees what is given as a number. */
const seeing = {
  ...all,
  look: (value: unknown): SeenPicture => ({
    mark: pictureMark(String(value)),
    size: 1,
    route: undefined,
    tokens: 2,
    image: { data: new Uint8ClampedArray(4), width: 1, height: 1 },
  }),
};

describe('prompts', () => {
  test('a string is one question', () => {
    expect(readInput('Hi', all)).toEqual({ turns: [{ role: 'user', content: 'Hi' }], prefix: '' });
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
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'ab' },
    ]);
  });

  test('a picture stands as its mark and a line break where the message has it', () => {
    const content: ContentPart[] = [
      { type: 'text', value: 'This: ' },
      { type: 'image', value: 1 },
      { type: 'image', value: 2 },
      { type: 'text', value: 'or that?' },
    ];
    const { turns } = readInput([{ role: 'user', content }], seeing);
    expect(turns).toEqual([
      {
        role: 'user',
        content: `This: ${pictureMark('1')}\n${pictureMark('2')}\nor that?`,
        pictures: [
          expect.objectContaining({ mark: pictureMark('1') }),
          expect.objectContaining({ mark: pictureMark('2') }),
        ],
      },
    ]);
    expect(readInput([{ role: 'user', content: [{ type: 'image', value: 3 }] }], seeing).turns).toHaveLength(1);
    expect(() => readInput([{ role: 'assistant', content }], seeing)).toThrow('an answer is text');
  });

  test('an answer can be begun', () => {
    const input: Message[] = [
      { role: 'user', content: 'Count.' },
      { role: 'assistant', content: '1, 2,', prefix: true },
    ];
    expect(readInput(input, all)).toEqual({ turns: [{ role: 'user', content: 'Count.' }], prefix: '1, 2,' });
    expect(() => readInput(input, { ...all, prefix: false })).toThrow('prefix');
    expect(() => readInput([input[1]!, input[0]!], all)).toThrow('prefix');
  });

  test.each([
    ['', 'empty'],
    [[], 'empty'],
    [[{ role: 'user', content: '' }], 'empty'],
    [[{ role: 'tool', content: 'x' }], 'role'],
    [
      [
        { role: 'user', content: 'x' },
        { role: 'system', content: 'y' },
      ],
      'first',
    ],
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
});
