/** Ids with their places in the text: through normalisers, added tokens and bytes, on every tokenizer that is here. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { align, byteMap, sourceOf } from '../../src/text/alignment.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { byteLetters } from '../support/byte-letters.ts';
import { ggufFile, ggufValues, huggingFace, openTokenizer, sharedFile } from '../support/tokenizers.ts';

const TEXTS = [
  '',
  'a',
  ' ',
  "Hello, world! It's  12345 o'clock.",
  '  two  spaces\n\n\ttabs \r\n end  ',
  'naïve café — Ünïcödé e\u0301 \u1100\u1161\u11a8 ﬁ ﷺ',
  '日本語のテキスト と 中文, 한국어',
  '👩‍👩‍👧 🏳️‍🌈 emoji 😀!',
  'x\u0000y \ufeff z \ud83d lone',
  'The quick brown fox jumps over the lazy dog. '.repeat(30),
  '<s> </s> <unk> <|endoftext|> [CLS] <|im_start|>user\nhi<|im_end|>',
];

/** Checks what holds for every tokenizer, and gives the spans. */
function spansOf(tokenizer: Tokenizer, text: string, special = true): { id: number; start: number; end: number }[] {
  const { ids, offsets } = tokenizer.encode(text, { offsets: true, special });
  expect([...ids]).toEqual([...tokenizer.encode(text, { special })]);
  expect(offsets).toHaveLength(2 * ids.length);
  let before = 0;
  return Array.from(ids, (id, i) => {
    const start = offsets[2 * i]!;
    const end = offsets[2 * i + 1]!;
    expect(start).toBeGreaterThanOrEqual(before);
    expect(end).toBeGreaterThanOrEqual(start);
    expect(end).toBeLessThanOrEqual(text.length);
    before = start;
    return { id, start, end };
  });
}

/** Each character that is no white space, and that the tokenizer does not drop, belongs to a token. */
function uncovered(text: string, spans: readonly { start: number; end: number }[]): string {
  const covered = new Uint8Array(text.length);
  for (const { start, end } of spans) covered.fill(1, start, end);
  return [...covered.keys()]
    .filter((at) => covered[at] === 0)
    .map((at) => text[at])
    .join('');
}

const files: [string, string, (slice: string, printed: string) => boolean][] = [
  // A token that is not a part of a character prints exactly what it stands for.
  ['gpt-2', 'tokenizers/gguf-vocab/ggml-vocab-gpt-2.gguf', (slice, printed) => slice.toWellFormed() === printed],
  ['qwen2', 'tokenizers/gguf-vocab/ggml-vocab-qwen2.gguf', (slice, printed) => slice.toWellFormed() === printed],
  [
    'llama-spm',
    'tokenizers/gguf-vocab/ggml-vocab-llama-spm.gguf',
    (slice, printed) => [printed, printed.replace(/^ /, '')].includes(slice.toWellFormed()),
  ],
  [
    'bert',
    'tokenizers/gguf-vocab/ggml-vocab-bert-bge.gguf',
    (slice, printed) => plain(slice).includes(plain(printed)) || printed === '[UNK]',
  ],
  ['gpt2 json', 'tokenizers/gpt2/tokenizer.json', (slice, printed) => slice.toWellFormed() === printed],
  [
    'smollm2 json',
    'tokenizers/smollm2/tokenizer.json',
    (slice, printed) =>
      slice.toWellFormed() === printed || [printed, printed.replace(/^ /, '')].includes(slice.toWellFormed()),
  ],
  [
    'llama2 json',
    'tokenizers/llama2/tokenizer.json',
    (slice, printed) => [printed, printed.replace(/^ /, '')].includes(slice.toWellFormed()),
  ],
  [
    't5 json',
    'tokenizers/t5/tokenizer.json',
    (slice, printed) => plain(slice).includes(plain(printed)) || printed === '<unk>',
  ],
];

function plain(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}|\s|\0|\u200d|\ufeff|\ufffd|^##/gu, '')
    .toLowerCase();
}

describe.each(files)('%s', (_name, path, agrees) => {
  test('each id stands where it prints', async () => {
    const file = sharedFile(path);
    if (file === undefined) return;
    const tokenizer = await openTokenizer(
      path.endsWith('.gguf') ? await ggufFile(file) : huggingFace(JSON.parse(readFileSync(file, 'utf8')) as unknown),
    );
    for (const text of TEXTS) {
      const spans = spansOf(tokenizer, text);
      for (const { id, start, end } of spans) {
        const printed = tokenizer.decode([id], { special: true, start: false });
        // A part of a character stands for all of it.
        if (printed.includes('\ufffd')) expect(end - start).toBeGreaterThan(0);
        else if (start < end)
          expect([text.slice(start, end), printed, agrees(text.slice(start, end), printed)]).toEqual([
            text.slice(start, end),
            printed,
            true,
          ]);
      }
      expect(uncovered(text, spans).replace(/\s|\p{M}|\p{Cs}|\0|\ufeff|\u200d/gu, '')).toBe('');
    }
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.boolean(),
        (text, special) => void spansOf(tokenizer, text, special),
      ),
      { seed: 4, numRuns: 100 },
    );
    tokenizer.free();
  });
});

describe('normalisers', () => {
  const tokenizer = (
    normalizer: unknown,
    preTokenizer: unknown = null,
    vocab: Record<string, number> = {},
  ): Promise<Tokenizer> =>
    openTokenizer(
      huggingFace({
        added_tokens: [
          { id: 0, content: '<unk>', special: true },
          { id: 1, content: '[Ab]', special: false, normalized: true },
        ],
        normalizer,
        pre_tokenizer: preTokenizer,
        model: {
          type: 'BPE',
          vocab: { '<unk>': 0, '[Ab]': 1, a: 2, b: 3, c: 4, '▁': 5, x: 6, é: 7, ...vocab },
          merges: [],
          unk_token: '<unk>',
        },
      }),
    );
  const places = async (made: Promise<Tokenizer>, text: string): Promise<unknown> => {
    const ready = await made;
    const spans = spansOf(ready, text);
    ready.free();
    return spans.map(({ start, end }) => [start, end]);
  };

  test('what they put before, take away, replace, compose and make of several characters', async () => {
    expect(await places(tokenizer({ type: 'Prepend', prepend: '▁' }), 'ab')).toEqual([
      [0, 0],
      [0, 1],
      [1, 2],
    ]);
    expect(await places(tokenizer({ type: 'Strip' }), '  ab  ')).toEqual([
      [2, 3],
      [3, 4],
    ]);
    expect(await places(tokenizer({ type: 'Replace', pattern: { String: 'bc' }, content: 'x' }), 'abca')).toEqual([
      [0, 1],
      [1, 3],
      [3, 4],
    ]);
    expect(await places(tokenizer({ type: 'NFC' }), 'ae\u0301b')).toEqual([
      [0, 1],
      [1, 3],
      [3, 4],
    ]);
    expect(await places(tokenizer({ type: 'NFKC' }), 'a\u00bcb')).toBeDefined();
    expect(await places(tokenizer({ type: 'Replace', pattern: { String: 'x' }, content: 'abc' }), 'bxb')).toEqual([
      [0, 1],
      [1, 2],
      [1, 2],
      [1, 2],
      [2, 3],
    ]);
    expect(
      await places(
        tokenizer({
          type: 'Sequence',
          normalizers: [
            { type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          ],
        }),
        'a b',
      ),
    ).toEqual([
      [0, 0],
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
  });

  test('an added token in normalised text, and cutters that change the text', async () => {
    expect(await places(tokenizer({ type: 'Lowercase' }), 'a[AB]c')).toEqual([
      [0, 1],
      [1, 5],
      [5, 6],
    ]);
    expect(
      await places(tokenizer(null, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }), 'a b'),
    ).toEqual([
      [0, 0],
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
  });
});

describe('offsets', () => {
  test('BOS and EOS stand for nothing', async () => {
    const tokens = [...byteLetters(), '<s>', '</s>'];
    const tokenizer = await openTokenizer(
      ggufValues({
        model: 'gpt2',
        pre: 'gpt-2',
        tokens,
        token_type: Int32Array.from(tokens, (_, i) => (i < 256 ? 1 : 3)),
        merges: [],
        bos_token_id: 256,
        eos_token_id: 257,
        add_bos_token: true,
        add_eos_token: true,
      }),
    );
    const { ids, offsets } = tokenizer.encode('é', { bos: true, offsets: true });
    expect([...ids].length).toBe(4);
    expect([...offsets]).toEqual([0, 0, 0, 1, 0, 1, 1, 1]);
    tokenizer.free();
  });

  test('bytes of a text lead to its characters', () => {
    const { starts, ends } = byteMap('aé😀\ud83d');
    expect([...starts]).toEqual([0, 1, 1, 2, 2, 2, 2, 4, 4, 4, 5]);
    expect([...ends].slice(1)).toEqual([1, 2, 2, 4, 4, 4, 4, 5, 5, 5]);
  });

  test('an alignment is right for changes that are local, wherever they are', () => {
    const change = (text: string, first: boolean): string =>
      (first ? '^' : '') + text.replaceAll('ab', 'X').replaceAll('c', '').replaceAll('d', 'DD');
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', 'e'), maxLength: 200 }), (text) => {
        const changed = change(text, true);
        const aligned = align(text, changed, change, true);
        [...changed].forEach((character, i) => {
          const [start, end] = sourceOf(aligned, i, i + 1);
          const want = { '^': '', X: 'ab', D: 'd' }[character] ?? character;
          expect(text.slice(start, end)).toBe(want);
        });
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
