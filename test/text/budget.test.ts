/** A tokenizer's file may ask for more than any page can compute: each part of it runs within a budget and ends with a typed error. */
import { describe, expect, test } from '@jest/globals';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { huggingFace, openTokenizer, tokenizerWasm } from '../support/tokenizers.ts';

const model = { type: 'BPE', vocab: { '<unk>': 0, a: 1 }, merges: [], unk_token: '<unk>' };
const added = (contents: readonly string[]): unknown[] =>
  contents.map((content, i) => ({ id: i + 2, content, special: true }));
const double = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

/** Some hundred times what is needed: a test of an end, not of speed. */
const SOON = 60_000;

async function refused(description: unknown, use: (text: string) => string, problem: string): Promise<void> {
  const begun = performance.now();
  const run = async (): Promise<void> => {
    const tokenizer = await createTokenizer(await tokenizerWasm(), huggingFace(description));
    try {
      tokenizer.decode(tokenizer.encode(use('a')));
    } finally {
      tokenizer.free();
    }
  };
  await expect(run()).rejects.toMatchObject({ name: 'ModelError', code: 'tokenizer' });
  await expect(run()).rejects.toThrow(problem);
  expect(performance.now() - begun).toBeLessThan(SOON);
}

describe('budgets', () => {
  test('normalisers that double the text 25 times', () =>
    refused(
      { model, normalizer: { type: 'Sequence', normalizers: times(25, double) } },
      (a) => a,
      'normalising makes',
    ));

  test('normalisers by expressions that double the text', () =>
    refused(
      { model, normalizer: { type: 'Sequence', normalizers: times(40, { ...double, pattern: { Regex: '[a]' } }) } },
      (a) => a,
      'normalising makes',
    ));

  test('decoders that double the text', () =>
    refused({ model, decoder: { type: 'Sequence', decoders: times(40, double) } }, (a) => a, 'normalising makes'));

  test('added tokens that begin with one another', async () => {
    await refused(
      { model, added_tokens: added(Array.from({ length: 1000 }, (_, i) => 'a'.repeat(i + 2) + 'b')) },
      (a) => a.repeat(50_000),
      'added tokens take more than',
    );
    await refused(
      { model, added_tokens: added(Array.from({ length: 3000 }, (_, i) => 'a'.repeat(i + 1))) },
      (a) => a.repeat(1000),
      'added tokens of',
    );
  });

  test('expressions with very many sets of characters, or whose automata are large, however many there are', async () => {
    const split = (source: string): unknown => ({ type: 'Split', pattern: { Regex: source }, behavior: 'Isolated' });
    const sets = Array.from({ length: 300 }, (_, i) => `[\\p{L}${String.fromCharCode(0x4e00 + i)}]`).join('|');
    await refused({ model, pre_tokenizer: split(sets) }, (a) => a, 'sets of characters');
    const large = (i: number): string => `(a|b|c){0,${700 + i}}x(a|c){0,${200 + i}}y`;
    await refused(
      {
        model,
        pre_tokenizer: { type: 'Sequence', pretokenizers: Array.from({ length: 64 }, (_, i) => split(large(i))) },
      },
      (a) => a,
      'tokenizer',
    );
  });

  test('what published tokenizers do is within them', async () => {
    const runs = Array.from({ length: 512 }, (_, i) => ' '.repeat(i + 2));
    const tokenizer = await openTokenizer(
      huggingFace({
        model,
        added_tokens: added(runs).map((token) => ({ ...(token as object), special: false })),
        normalizer: { type: 'NFKC' },
      }),
    );
    expect(tokenizer.encode(' '.repeat(20_000)).length).toBeLessThan(100);
    expect(tokenizer.encode('\ufdfa'.repeat(5000)).length).toBeGreaterThan(10_000);
    tokenizer.free();
  });
});

describe('a stream', () => {
  test('knows when it stands within a character, and goes on from ids that end within one', async () => {
    const letters = await openTokenizer(
      huggingFace({
        model: {
          type: 'BPE',
          vocab: { '<unk>': 0, '<0xF0>': 1, '<0x9F>': 2, '<0x98>': 3, '<0x80>': 4, a: 5 },
          merges: [],
          unk_token: '<unk>',
          byte_fallback: true,
        },
        decoder: { type: 'ByteFallback' },
      }),
    );
    const ids = letters.encode('😀');
    expect([...ids]).toEqual([1, 2, 3, 4]);
    const stream = letters.stream();
    expect([...ids].map((id) => [stream.push(id), stream.incomplete])).toEqual([
      ['', true],
      ['', true],
      ['', true],
      ['😀', false],
    ]);
    const later = letters.stream({ after: [5, 1, 2] });
    expect(later.incomplete).toBe(true);
    expect([3, 4, 5].map((id) => later.push(id))).toEqual(['', '😀', 'a']);
    letters.free();
  });
});
