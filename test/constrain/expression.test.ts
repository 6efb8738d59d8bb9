/** Expressions against the engine's own: what matches as a whole, and what contains a match; and what is refused, by name. */
import { describe, expect, test } from '@jest/globals';
import { compileExpression } from '../../src/constrain/compile-expression.ts';
import { parseExpression } from '../../src/constrain/expression.ts';
import { contains } from '../../src/constrain/language.ts';
import { random, type Random } from '../support/random.ts';

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'abc',
  'aab',
  'ABC',
  'Abc',
  'a1',
  '12',
  '2024',
  ' ',
  'a b',
  '\n',
  'a\n',
  '-',
  'a-b',
  '_',
  '.',
  'a.b',
  'é',
  'É',
  'ß',
  'ſ',
  'K',
  'k',
  'ü',
  '日本',
  '🙂',
  '🙂🙂',
  'a🙂',
  '𝒳',
  '\u{10ffff}',
  '"',
  '\\',
  ']',
  '[',
  '^',
  '$',
  '{',
  '}',
  '{2}',
  'a{2}',
  'aa',
  'aaa',
  '\0',
  '\x1f',
  '\u2028',
  'xyz',
  'foo',
  'foobar',
  'bar',
];

function agree(source: string, flags: string, texts: readonly string[] = TEXTS): void {
  const parsed = parseExpression(source, flags, 'test');
  const plain = flags.replace(/[gy]/g, '');
  const whole = compileExpression(parsed, false);
  const search = compileExpression(parsed, true);
  for (const text of texts) {
    expect([source, flags, text, contains(whole, text)]).toEqual([
      source,
      flags,
      text,
      new RegExp(`^(?:${source})$`, plain).test(text),
    ]);
    // What begins within a character is no match of a text of whole characters.
    if (plain !== '' || !/[\ud800-\udfff]/.test(text))
      expect([source, flags, text, 'found', contains(search, text)]).toEqual([
        source,
        flags,
        text,
        'found',
        new RegExp(source, plain).test(text),
      ]);
  }
}

describe('the same texts match as in this engine', () => {
  test.each([
    ['a', ''],
    ['a|b|ab', ''],
    ['a*b+c?', ''],
    ['(ab|c){2,3}', ''],
    ['a{2}', ''],
    ['a{2', ''],
    ['a{,2}', ''],
    ['x{0}', ''],
    ['(?:)', ''],
    ['|a', ''],
    ['', ''],
    ['.', ''],
    ['.', 's'],
    ['.', 'u'],
    ['..', ''],
    ['.*', 'u'],
    ['[^]', ''],
    ['[]', ''],
    ['[^a]', ''],
    ['[^a]', 'u'],
    ['[a-c]+', 'i'],
    ['[^a-c]', 'i'],
    ['k', 'i'],
    ['k', 'iu'],
    ['[k-s]', 'iu'],
    ['\\w', 'i'],
    ['\\w', 'iu'],
    ['\\W', ''],
    ['\\d+|\\s', ''],
    ['\\S', ''],
    ['[\\d\\-a]', ''],
    ['[a\\]\\\\^-]', ''],
    [']', ''],
    ['}', ''],
    ['\\p{L}+', 'u'],
    ['\\P{L}', 'u'],
    ['[\\p{Lu}\\d]', 'u'],
    ['\\p{Script=Han}+', 'u'],
    ['\\p{L}', ''],
    ['[\\p{L}--[a-z]]', 'v'],
    ['[[a-z]&&[aeiou]]+', 'v'],
    ['\\u{1F642}', 'u'],
    ['\\ud83d\\ude42', ''],
    ['\\ud83d\\ude42', 'u'],
    ['🙂', ''],
    ['🙂+', 'u'],
    ['[🙂]', 'u'],
    ['[🙂é]', 'iu'],
    ['\\x41', ''],
    ['\\cJ', ''],
    ['\\0', ''],
    ['\\.', ''],
    ['\\/', ''],
    ['\\$', 'u'],
    ['^a', ''],
    ['a$', ''],
    ['^a$|^b$', ''],
    ['^', ''],
    ['$', ''],
    ['a^b', ''],
    ['(^a|b)c?', ''],
    ['(?<x>a)b', ''],
    ['a+?b*?', ''],
    ['\\u2028', ''],
    ['^(?!a)[a-c]+', ''],
    ['^(?=.*b)a', ''],
    ['^(?!.*🙂$)(?=.)', 'u'],
  ])('/%s/%s', (source, flags) => {
    agree(source, flags);
  });

  test('random expressions', () => {
    const r = random(11);
    for (let i = 0; i < 150; i++)
      agree(expression(r, 3), r.pick(['', 'u', 'i', 's', 'iu']), r.shuffle(TEXTS).slice(0, 12));
  });
});

function expression(r: Random, depth: number): string {
  const inner = (): string => expression(r, depth - 1);
  switch (depth === 0 ? r.integer(0, 2) : r.integer(0, 7)) {
    case 0:
      return r.pick(['a', 'b', 'c', 'é', '\\d', '\\w', '\\s', '.', '-']);
    case 1:
      return r.pick(['[a-c]', '[^b]', '[\\d_]', '[^\\w]', '[A-Zé]']);
    case 2:
      return `(?:${inner()}|${inner()})`;
    case 3:
      return `(${inner()})${r.pick(['*', '+', '?', '{1,2}', '{2}', '{0,}', '*?'])}`;
    case 4:
      return `${r.pick(['^', ''])}${inner()}${r.pick(['$', ''])}`;
    default:
      return inner() + inner();
  }
}

test.each([
  ['(?=a)b', '', 'lookahead'],
  ['a(?!b)', '', 'lookahead'],
  ['(?<=a)b', '', 'lookbehind'],
  ['^(?=a)b|c', '', 'lookahead in one of several branches'],
  ['(a)\\1', '', 'a backreference'],
  ['(?<x>a)\\k<x>', '', 'a backreference'],
  ['\\bfoo', '', 'a word boundary'],
  ['^a', 'm', '^ or $ of a line'],
  ['\\07', '', 'an octal escape'],
  ['[\\q{ab}]', 'v', 'a class of more than one character'],
  ['\\p{RGI_Emoji}', 'v', 'a property of more than one character'],
  ['(', '', 'is no regular expression'],
  ['a'.repeat(20_000), '', 'at most 16384'],
])('/%.20s/%s is refused: %s', (source, flags, what) => {
  expect(() => parseExpression(source, flags, 'responseConstraint')).toThrow(what);
});

test.each([
  ['((?:a?){1000}){1000}', 'places'],
  ['(?:){1000000000}', 'steps'],
  ['(a|b)*a(a|b){20}', 'states'],
])('%s is too large', (source, what) => {
  expect(() => compileExpression(parseExpression(source, '', 'test'), false)).toThrow(what);
});
