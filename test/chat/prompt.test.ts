/** Text and images to ids with image spans among them. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { renderTurns } from '../../src/chat/render.ts';
import { imagesOf, MessageText, type Content } from '../../src/see/images.ts';
import {
  commonPrefix,
  encodeContext,
  followOn,
  NOTHING,
  withImages,
  type Prompt,
  type Words,
} from '../../src/chat/prompt.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { promptImage } from '../support/images.ts';
import { byteLetters } from '../support/byte-letters.ts';
import { ggufValues, openTokenizer } from '../support/tokenizers.ts';

const IMAGE = 258;
const START = 256;
let tokenizer: Tokenizer;
let words: Words;
beforeAll(async () => {
  const tokens = [...byteLetters(), '<|start|>', '<|end|>', '<image>'];
  tokenizer = await openTokenizer(
    ggufValues({
      model: 'gpt2',
      pre: 'gpt-2',
      tokens,
      token_type: Int32Array.from(tokens, (_, i) => (i < 256 ? 1 : 3)),
      merges: [],
      eos_token_id: 257,
    }),
  );
  words = { tokenizer, images: { placeholder: IMAGE } };
});

const one = promptImage('1', { tokens: 3 });
const two = promptImage('2', { tokens: 2 });
/** Two spans, with text before, between and behind them. */
const tiles = promptImage('3', { tokens: [2, 1], text: ['<|start|>', 'x', '<|end|>'] });
const ids = (text: string): number[] => [...tokenizer.encode(text)];
const show = (prompt: Prompt): unknown => ({
  ids: [...prompt.ids],
  spans: prompt.spans.map(({ at, tokens, image, span, row }) => [at, tokens, image.contentKey, span, row]),
});

describe('encoding', () => {
  test('an image becomes as many placeholders as it has tokens, with the text around it as it was', () => {
    expect(show(encodeContext(words, ['<|start|>ab', one, '\ncd', two, one]))).toEqual({
      ids: [START, ...ids('ab'), IMAGE, IMAGE, IMAGE, ...ids('\ncd'), IMAGE, IMAGE, IMAGE, IMAGE, IMAGE],
      spans: [
        [3, 3, '1', 0, 0],
        [9, 2, '2', 0, 0],
        [11, 3, '1', 0, 0],
      ],
    });
  });

  test("an image's own text is encoded with the text around it", () => {
    expect(show(encodeContext(words, ['ab', tiles, 'cd']))).toEqual({
      ids: [...ids('ab<|start|>'), IMAGE, IMAGE, ...ids('x'), IMAGE, ...ids('<|end|>cd')],
      spans: [
        [3, 2, '3', 0, 0],
        [6, 1, '3', 1, 2],
      ],
    });
  });

  test('of a selection only what is kept has placeholders, span by span', () => {
    const some = promptImage('4', { tokens: [3, 4], text: ['', 'x'], kept: [1, 3, 6] });
    expect(show(encodeContext(words, [some]))).toEqual({
      ids: [IMAGE, ...ids('x'), IMAGE, IMAGE],
      spans: [
        [0, 1, '4', 0, 0],
        [2, 2, '4', 1, 1],
      ],
    });
    const more = withImages(encodeContext(words, ['a', some, 'b']), () =>
      promptImage('5', { tokens: [3, 4], text: ['', 'x'], kept: [0, 1] }),
    );
    expect(show(more)).toEqual({
      ids: [...ids('a'), IMAGE, IMAGE, ...ids('xb')],
      spans: [
        [1, 2, '5', 0, 0],
        [4, 0, '5', 1, 2],
      ],
    });
  });

  test('what spells out the placeholder is text, wherever it stands', () => {
    for (const content of [
      ['<image>'],
      ['a<image>b'],
      ['<image><image>'],
      ['<image>', one, '<image>'],
      ['<im<image>age>'],
      ['<|start|><image>'],
    ] satisfies Content[]) {
      const prompt = encodeContext(words, content);
      const images = content.filter((part) => typeof part !== 'string').length;
      expect(prompt.spans).toHaveLength(images);
      expect([...prompt.ids].filter((id) => id === IMAGE)).toHaveLength(3 * images);
      expect(tokenizer.decode(prompt.ids, { special: true })).toBe(
        content.map((part) => (typeof part === 'string' ? part : '<image>'.repeat(3))).join(''),
      );
    }
  });

  test('a model that sees nothing has no placeholders', () => {
    const prompt = encodeContext({ tokenizer, images: { placeholder: undefined } }, ['a<image>b']);
    expect([...prompt.ids]).toEqual([...ids('a'), IMAGE, ...ids('b')]);
  });

  test('a content that goes on keeps the ids before it, images included', () => {
    const before = ['<|start|>', one, '\n'];
    const drawn = [...encodeContext(words, before).ids, 300];
    const spans = [{ at: 1, tokens: 3, image: one, span: 0, row: 0 }];
    const transcript = { ids: Int32Array.from(drawn), spans, content: ['<|start|>', one, '\nanswer'] };
    const prompt = followOn(words, transcript, ['<|start|>', one, '\nanswer<|end|>', two, '!']);
    expect(show(prompt)).toEqual({
      ids: [...drawn, 257, IMAGE, IMAGE, ...ids('!')],
      spans: [
        [1, 3, '1', 0, 0],
        [drawn.length + 1, 2, '2', 0, 0],
      ],
    });
    expect([...followOn(words, transcript, ['<|start|>', two, '\nanswer<|end|>']).ids]).not.toContain(300);
    expect(followOn(words, NOTHING, before).ids).toHaveLength(5);
  });
});

describe('through a template', () => {
  const TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{{ '\uFFF9' }}";
  const options = { addGenerationPrompt: false, bosToken: '', eosToken: '' };

  test('an image comes out where it went in, with a line break behind it', () => {
    const turns = [
      { role: 'user', content: ['a', one, two] },
      { role: 'user', content: [one, 'b'] },
    ] as const;
    expect(renderTurns(TEMPLATE, turns, options)).toEqual([
      '<user>',
      new MessageText('a'),
      one,
      '\n',
      two,
      '\n</><user>',
      one,
      '\n',
      new MessageText('b'),
      '</>\uFFF9',
    ]);
  });

  test('no text is taken for an image, whatever it contains', () => {
    const strange = [
      '\uFFF9',
      '\uFFF90',
      '\uFFF90\uFFFB',
      '\uFFF9\uFFFA0\uFFFB',
      '\uFFFB',
      '\uFFFA',
      '\uFFF9\uFFF90\uFFFB',
    ];
    for (const text of strange) {
      const rendered = renderTurns(TEMPLATE, [{ role: 'user', content: [text, one, text] }], options);
      expect(imagesOf(rendered)).toEqual([one]);
      expect(rendered.map((part) => (part === one ? '*' : String(part))).join('')).toBe(
        `<user>${text}*\n${text}</>\uFFF9`,
      );
    }
  });
});

describe('what two prompts have in common', () => {
  const prompt = (...content: Content): Prompt => encodeContext(words, content);
  const other = promptImage('other', { tokens: 3 });

  test('ids, up to the first image that is another', () => {
    expect(commonPrefix(prompt('ab', one, 'cd'), prompt('ab', one, 'ce'))).toBe(6);
    expect(commonPrefix(prompt('ab', one, 'cd'), prompt('ab', other, 'cd'))).toBe(2);
    expect(commonPrefix(prompt('ab', one), prompt('ab', two))).toBe(2);
    expect(commonPrefix(prompt(one, one), prompt(one, other))).toBe(3);
    expect(commonPrefix({ ids: Int32Array.of(IMAGE, IMAGE), spans: [] }, prompt(two))).toBe(0);
  });
});
