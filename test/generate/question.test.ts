/** Which tokens of a prompt are its question. */
import { describe, expect, test } from '@jest/globals';
import { questionSpan } from '../../src/generate/question.ts';
import { MessageText, type Content } from '../../src/see/images.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';

/** A token a word, and one for each control token and blank line. */
const words = (text: string): string[] => text.match(/<[^>]+>|\n+|[^\s<]+/g) ?? [];
const tokenizer = { encode: (text: string): Int32Array => Int32Array.from(words(text), (_, i) => i) } as Pick<
  Tokenizer,
  'encode'
>;
const textOf = (content: Content): string =>
  content.map((part) => (typeof part === 'string' ? part : part instanceof MessageText ? part.text : '')).join('');

function asked(...content: Content): string[] | undefined {
  const all = words(textOf(content));
  const span = questionSpan(tokenizer, { ids: new Int32Array(all.length) }, content);
  return span && all.slice(...span);
}

describe('the question', () => {
  const END = '<end>\n<start>assistant\n';

  test('is the last message, without the words of the template', () => {
    expect(asked('<start>user\n', new MessageText('Who was it?'), END)).toEqual(['Who', 'was', 'it?']);
    expect(
      asked('<start>user\n', new MessageText('A long story.'), '<end>\n<start>user\n', new MessageText('Who?'), END),
    ).toEqual(['Who?']);
  });

  test('is the last paragraph of a message that brings its document', () => {
    expect(asked('<start>user\n', new MessageText('Once there was.\n\nAnd then.\n\nWho was it?\n'), END)).toEqual([
      'Who',
      'was',
      'it?',
    ]);
  });

  test('is not the beginning of the answer, nor an empty message', () => {
    expect(asked('<start>user\n', new MessageText('Who?'), END, new MessageText('It was'))).toEqual(['Who?']);
    expect(asked(new MessageText('Who?'), '\n', new MessageText(' '))).toEqual(['Who?']);
  });

  test('without a template it is the message itself; without a message there is none', () => {
    expect(asked(new MessageText('Who was it?'))).toEqual(['Who', 'was', 'it?']);
    expect(asked('Once upon a time')).toBeUndefined();
    expect(asked()).toBeUndefined();
  });

  test('of a long paragraph the last 512 tokens', () => {
    expect(asked('<start>user\n', new MessageText('word '.repeat(600)), END)).toHaveLength(512);
  });
});
