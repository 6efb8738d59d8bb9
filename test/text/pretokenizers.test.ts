import { describe, expect, test } from '@jest/globals';
import { compileAutomaton } from '../../src/text/automaton.ts';
import { digitGroupStage } from '../../src/text/digit-groups.ts';
import { parsePattern } from '../../src/text/pattern.ts';
import { namedPretokenizer, pretokenizerNames } from '../../src/text/pretokenizers.ts';
import { matches } from '../../src/text/replace.ts';
import { random } from '../support/random.ts';
import { mixedText } from '../support/tokenizers.ts';

/** The same expression for JavaScript's own engine, whose \s is not Unicode's White_Space. */
function translate(source: string): RegExp {
  const inClass = (text: string): string =>
    text.replaceAll(String.raw`\s`, String.raw`\p{White_Space}`).replaceAll(/(?<!\\)\[(?=[^\]]*$)/g, String.raw`\[`);
  const out = source
    .replaceAll('\\p{Han}', '\\p{Script=Han}')
    .replaceAll(
      /\[(\^?)((?:\\.|[^\]\\])+)\]/g,
      (_, not: string, inside: string) => `[${not}${inClass(inside).replaceAll(/\\([!"#%&',:;<=>@_`~])/g, '$1')}]`,
    );
  return new RegExp(
    out
      .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
      .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`)
      .replaceAll(/\(\?i:/g, '(?:'),
    'gu',
  );
}

const expressions = new Set(pretokenizerNames().flatMap((name) => [...(namedPretokenizer(name)?.expressions ?? [])]));

describe('the named pretokenisers', () => {
  test.each([...expressions])('%s cuts as JavaScript does', (source) => {
    const automaton = compileAutomaton(parsePattern(source));
    const expression = translate(source);
    const r = random(7);
    for (let i = 0; i < 150; i++) {
      const text = mixedText(r, 60, [
        '<sentinel:12>',
        'IMGIMGABZ',
        ' '.repeat(r.integer(1, 40)),
        '\n \n',
        '你好',
        '한국어',
      ]);
      const want = Array.from(text.matchAll(expression), (match) => [
        match.index,
        match.index + match[0].length,
      ]).filter(([a, b]) => b! > a!);
      expect([text, matches(automaton, text)]).toEqual([text, want]);
    }
  });
});

describe('numbers in groups of three from the right', () => {
  const groups = (text: string, wholeWords: boolean): readonly string[] => {
    const stage = digitGroupStage(wholeWords);
    return stage.kind === 'function' ? stage.split(text, true) : [];
  };
  test.each([
    ['\\d{1,3}(?=(?:\\d{3})*\\b)', true],
    ['\\d{1,3}(?=(?:\\d{3})*(?!\\d))', false],
  ])('as %s cuts ASCII', (source, wholeWords) => {
    const r = random(9);
    for (let i = 0; i < 200; i++) {
      const text = Array.from({ length: r.integer(1, 30) }, () => r.pick([...'0123456789 ab_.,'])).join('');
      const want: string[] = [];
      let done = 0;
      for (const match of text.matchAll(new RegExp(source, 'g'))) {
        if (match.index > done) want.push(text.slice(done, match.index));
        want.push(match[0]);
        done = match.index + match[0].length;
      }
      if (done < text.length) want.push(text.slice(done));
      expect(groups(text, wholeWords)).toEqual(want);
    }
  });
});

describe('expressions of tokenizer.json', () => {
  const cut = (source: string, text: string): string[] =>
    matches(compileAutomaton(parsePattern(source)), text).map(([a, b]) => text.slice(a, b));
  test.each([
    ["(?i:'s|'t)|x", "it'S x 'ſ", ["'S", 'x', "'ſ"]],
    ['a|ab', 'ab', ['a']],
    ['ab|a', 'ab a', ['ab', 'a']],
    ['a{2,3}', 'aaaaaa aa a', ['aaa', 'aaa', 'aa']],
    ['a+?b?', 'aab', ['a', 'ab']],
    ['[[:alpha:]_]+', 'ab_c-d1', ['ab_c', 'd']],
    [String.raw`[^\S\n]+`, 'a \t\n b', [' \t', ' ']],
    [String.raw`\s+$`, '  a  ', ['  ']],
    [String.raw`\d+(?=x)`, '12x 34', ['12']],
    [String.raw`\x41|\u{1F600}|\u0042`, 'AB😀', ['A', 'B', '😀']],
    [String.raw`\p{Han}+`, 'a漢字b', ['漢字']],
    [String.raw`(?:ab)*+c`, 'ababc c', ['ababc', 'c']],
  ])('%s', (source, text, want) => {
    expect(cut(source, text)).toEqual(want);
  });

  test.each([
    '(',
    ')',
    '[',
    'a)',
    '*',
    'a{3,1}',
    'a{9999}',
    '(?<=a)b',
    String.raw`(a)\1`,
    '(?=ab)c',
    String.raw`\p{Nonsense}`,
    String.raw`[\d-\p{Bad}]`,
    '[z-a]',
    '^a',
    '(?P<n>a)',
    '('.repeat(100) + ')'.repeat(100),
    '((((a{1000}){1000}){1000}){1000})',
    'x'.repeat(20000),
    String.raw`\u{999999}`,
    '\\',
  ])('%s is refused with its reason', (source) => {
    expect(() => compileAutomaton(parsePattern(source))).toThrow(
      expect.objectContaining({ name: 'ModelError', code: 'tokenizer' }),
    );
  });

  test('a quadratic search ends with an error, not with a hang', () => {
    const automaton = compileAutomaton(parsePattern('(?:ab)+Z'));
    expect(() => matches(automaton, 'ab'.repeat(200_000))).toThrow(/linear time/);
  });
});
