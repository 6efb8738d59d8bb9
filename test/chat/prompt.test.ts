/** Text with marks to ids with pictures among them. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { pictureMark, splitAtMarks, type SeenPicture } from '../../src/see/pictures.ts';
import { commonPrefix, encodeContext, followOn, NOTHING, type Prompt, type Words } from '../../src/chat/prompt.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
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
  words = { tokenizer, sight: { placeholder: IMAGE } };
});

function picture(name: string, tokens: number): SeenPicture {
  return {
    mark: pictureMark(name),
    size: 1,
    route: undefined,
    tokens,
    image: { data: new Uint8ClampedArray(4), width: 1, height: 1 },
  };
}
const one = picture('1', 3);
const two = picture('2', 2);
const ids = (text: string): number[] => [...tokenizer.encode(text)];
const show = (prompt: Prompt): unknown => ({
  ids: [...prompt.ids],
  pictures: prompt.pictures.map(({ at, picture: { mark } }) => [at, mark]),
});

describe('encoding', () => {
  test('a picture becomes as many placeholders as it has tokens, with the text around it as it was', () => {
    const text = `<|start|>ab${one.mark}\ncd${two.mark}${one.mark}`;
    expect(show(encodeContext(words, { text, pictures: [one, two] }))).toEqual({
      ids: [START, ...ids('ab'), IMAGE, IMAGE, IMAGE, ...ids('\ncd'), IMAGE, IMAGE, IMAGE, IMAGE, IMAGE],
      pictures: [
        [3, one.mark],
        [9, two.mark],
        [11, one.mark],
      ],
    });
  });

  test('what spells out the placeholder is text, wherever it stands', () => {
    for (const text of [
      '<image>',
      'a<image>b',
      '<image><image>',
      `<image>${one.mark}<image>`,
      '<im<image>age>',
      '<|start|><image>',
    ]) {
      const prompt = encodeContext(words, { text, pictures: [one] });
      const pictures = text.includes(one.mark) ? 1 : 0;
      expect(prompt.pictures).toHaveLength(pictures);
      expect([...prompt.ids].filter((id) => id === IMAGE)).toHaveLength(3 * pictures);
      expect(tokenizer.decode(prompt.ids, { special: true })).toBe(text.replace(one.mark, '<image>'.repeat(3)));
    }
  });

  test('what only looks like a mark is text, and hides none', () => {
    const strange = ['\uFFF9', '\uFFF9picture 1', '\uFFF9picture 9\uFFFB', '\uFFFB', '\uFFF9picture '];
    for (const before of strange) {
      const parts = splitAtMarks(`${before}${one.mark}${before}`, [one]);
      expect(parts).toEqual([before, one, before]);
    }
    expect(splitAtMarks(one.mark, [])).toEqual([one.mark]);
  });

  test('a model that sees nothing has no placeholders', () => {
    const prompt = encodeContext({ tokenizer, sight: { placeholder: undefined } }, { text: 'a<image>b', pictures: [] });
    expect([...prompt.ids]).toEqual([...ids('a'), IMAGE, ...ids('b')]);
  });

  test('a text that goes on keeps the ids before it, pictures included', () => {
    const before = `<|start|>${one.mark}\n`;
    const drawn = [...encodeContext(words, { text: before, pictures: [one] }).ids, 300];
    const transcript = { ids: Int32Array.from(drawn), pictures: [{ at: 1, picture: one }], text: `${before}answer` };
    const prompt = followOn(words, transcript, { text: `${before}answer<|end|>${two.mark}!`, pictures: [one, two] });
    expect(show(prompt)).toEqual({
      ids: [...drawn, 257, IMAGE, IMAGE, ...ids('!')],
      pictures: [
        [1, one.mark],
        [drawn.length + 1, two.mark],
      ],
    });
    expect(followOn(words, NOTHING, { text: before, pictures: [one] }).ids).toHaveLength(5);
  });
});

describe('what two prompts have in common', () => {
  const prompt = (text: string): Prompt => encodeContext(words, { text, pictures: [one, two, other] });
  const other = picture('3', 3);

  test('ids, up to the first picture that is another', () => {
    expect(commonPrefix(prompt(`ab${one.mark}cd`), prompt(`ab${one.mark}ce`))).toBe(6);
    expect(commonPrefix(prompt(`ab${one.mark}cd`), prompt(`ab${other.mark}cd`))).toBe(2);
    expect(commonPrefix(prompt(`ab${one.mark}`), prompt(`ab${two.mark}`))).toBe(2);
    expect(commonPrefix(prompt(`${one.mark}${one.mark}`), prompt(`${one.mark}${other.mark}`))).toBe(3);
    expect(commonPrefix({ ids: Int32Array.of(IMAGE, IMAGE), pictures: [] }, prompt(two.mark))).toBe(0);
  });
});
