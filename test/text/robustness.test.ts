/** Long, odd and hostile input: every build, no hang, no overflow, typed errors. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import type { JsonObject, ModelMetadata } from '../../src/load/model-file.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { WASM_BUILDS } from '../../src/wasm.ts';
import { mergeReference } from '../reference/tokenize.ts';
import { byteLetters } from '../support/byte-letters.ts';
import { random } from '../support/random.ts';
import {
  ggufValues,
  huggingFace,
  mixedText,
  openTokenizer,
  smallByteLevel,
  tokenizerWasm,
} from '../support/tokenizers.ts';

const { tokens, merges, types } = smallByteLevel(random(5), 200);
const byteLevel = {
  model: 'gpt2',
  tokens: [...tokens, 'aa', 'aaaa'],
  merges: [...merges, ...(tokens.includes('aa') ? [] : ['a a']), 'aa aa'],
  token_type: Int32Array.from([...types, 1, 1]),
};
const distinct = { ...byteLevel, tokens: byteLevel.tokens.filter((token, i) => byteLevel.tokens.indexOf(token) === i) };
const values = {
  ...distinct,
  token_type:
    types.length === distinct.tokens.length ? types : Int32Array.from(distinct.tokens, (_, i) => types[i] ?? 1),
};

const pieces = ['▁', 'a', 'b', '▁a', 'aa', 'aaaa', '▁▁', '▁▁▁▁'];
const spm = {
  model: 'llama',
  tokens: [
    '<unk>',
    '<s>',
    '</s>',
    ...pieces,
    ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  ],
};
const spmValues = {
  ...spm,
  scores: Float32Array.from(spm.tokens, (_, i) => -i),
  token_type: Int32Array.from(spm.tokens, (_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 3 + pieces.length ? 1 : 6)),
};
const unigram = {
  model: 't5',
  tokens: ['<pad>', '</s>', '<unk>', ...pieces],
  scores: Float32Array.from({ length: 3 + pieces.length }, (_, i) => -i),
  token_type: Int32Array.from({ length: 3 + pieces.length }, (_, i) => (i === 2 ? 2 : i < 2 ? 3 : 1)),
};
const bert = {
  model: 'bert',
  tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '▁a', 'a', 'aa', '▁b'],
  token_type: Int32Array.of(3, 3, 3, 3, 1, 1, 1, 1),
  unknown_token_id: 1,
  cls_token_id: 2,
  seperator_token_id: 3,
};

const KINDS: readonly (readonly [string, ModelMetadata, boolean])[] = [
  ['gpt-2', ggufValues({ ...values, pre: 'gpt-2' }), true],
  ['qwen2', ggufValues({ ...values, pre: 'qwen2' }), true],
  ['llama-bpe', ggufValues({ ...values, pre: 'llama-bpe' }), true],
  ['smollm', ggufValues({ ...values, pre: 'smollm' }), true],
  ['deepseek-llm', ggufValues({ ...values, pre: 'deepseek-llm' }), true],
  ['deepseek-v3', ggufValues({ ...values, pre: 'deepseek-v3' }), true],
  ['falcon', ggufValues({ ...values, pre: 'falcon' }), true],
  ['gpt-4o', ggufValues({ ...values, pre: 'gpt-4o' }), true],
  ['SentencePiece', ggufValues(spmValues), true],
  ['Unigram', ggufValues(unigram), false],
  ['WordPiece', ggufValues(bert), false],
];

describe('pathological text', () => {
  const MEGABYTE = 1 << 20;
  test.each(KINDS)(
    '%s: a megabyte of one thing',
    async (_, metadata, exact) => {
      const tokenizer = await openTokenizer(metadata);
      for (const text of [
        'a'.repeat(MEGABYTE),
        ' '.repeat(MEGABYTE),
        `${' '.repeat(MEGABYTE)}x`,
        '\n'.repeat(MEGABYTE),
        '7'.repeat(MEGABYTE / 4),
        'é'.repeat(MEGABYTE / 4),
        ' \n'.repeat(MEGABYTE / 4),
      ]) {
        const ids = tokenizer.encode(text);
        if (exact) expect(tokenizer.decode(ids) === text).toBe(true);
      }
      tokenizer.free();
    },
    120_000,
  );

  test.each(KINDS)('%s: NUL, lone surrogates, noncharacters, a byte order mark', async (_, metadata, exact) => {
    const tokenizer = await openTokenizer(metadata);
    for (const text of [
      '\0',
      'a\0b',
      '\ud800',
      'a\udc00b',
      '\ud800\ud800\udc00',
      '\uffff\ufffe',
      '\ufeffa',
      '\u{10ffff}',
      'x'.repeat(65535) + '😀',
      `${'x'.repeat(32767)}\ud83d`,
    ]) {
      const ids = tokenizer.encode(text);
      if (exact) expect(tokenizer.decode(ids)).toBe(text.toWellFormed());
    }
    tokenizer.free();
  });

  test('text is cut into chunks without a trace', async () => {
    const whole = mixedText(random(6), 150_000, ['a'.repeat(1000), ' '.repeat(500)]);
    for (const [name, metadata] of KINDS.filter(([kind]) => kind !== 'Unigram' && kind !== 'WordPiece')) {
      const tokenizer = await openTokenizer(metadata);
      const ids = tokenizer.encode(whole, { special: false });
      expect([name, tokenizer.decode(ids) === (name === 'SentencePiece' ? whole.replaceAll('▁', ' ') : whole)]).toEqual(
        [name, true],
      );
      // The same text from another place meets the chunks' ends elsewhere.
      const lead = `\n${'b'.repeat(9_999)}\n`;
      const head = tokenizer.encode(lead, { special: false }).length;
      const shifted = tokenizer.encode(lead + whole, { special: false });
      const tail = (list: Int32Array): string => list.slice(-100).join();
      expect([name, tail(shifted)]).toEqual([name, tail(ids)]);
      expect(Math.abs(shifted.length - ids.length - head)).toBeLessThan(4);
      tokenizer.free();
    }
  });
});

describe('every build', () => {
  // Node 20 has no relaxed SIMD.
  const builds = WASM_BUILDS.filter((build) =>
    WebAssembly.validate(readFileSync(new URL(`../../build/wasm/octavo.${build}.wasm`, import.meta.url))),
  );
  if (builds.length < WASM_BUILDS.length)
    console.log(`skipped: ${WASM_BUILDS.length - builds.length} builds that this engine cannot run`);
  test.each(builds)('%s gives the reference merges and frees all its memory', async (build) => {
    const wasm = await tokenizerWasm(build);
    const before = wasm.exports.allocated();
    const tokenizer = await createTokenizer(wasm, ggufValues({ ...values, pre: 'laguna' }));
    const ranks = new Map(values.merges.map((merge, rank) => [merge, rank]));
    const letters = byteLetters();
    const r = random(8);
    for (let i = 0; i < 60; i++) {
      const word = Array.from({ length: r.integer(1, 120) }, () => r.pick([...'abeths'])).join('');
      const want = mergeReference(
        [...word].map((c) => letters[c.charCodeAt(0)]!),
        (left, right) => ranks.get(`${left} ${right}`),
      ).map((token) => values.tokens.indexOf(token));
      expect([...tokenizer.encode(word)]).toEqual(want);
    }
    const unigramTokenizer = await createTokenizer(wasm, ggufValues(unigram));
    expect([...unigramTokenizer.encode('aaaa b ü')]).toEqual([
      ...(await openTokenizer(ggufValues(unigram))).encode('aaaa b ü'),
    ]);
    tokenizer.free();
    unigramTokenizer.free();
    expect(wasm.exports.allocated()).toBe(before);
  });
});

describe('streaming', () => {
  test('pushes add up to the whole, in whole characters, however the bytes are cut', async () => {
    const tokenizer = await openTokenizer(
      ggufValues({
        ...values,
        pre: 'gpt-2',
        merges: [],
        tokens: byteLetters(),
        token_type: new Int32Array(256).fill(1),
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const wanted = text.toWellFormed();
        const stream = tokenizer.stream();
        const parts = Array.from(tokenizer.encode(text), (id) => stream.push(id));
        parts.push(stream.flush());
        expect(parts.join('')).toBe(wanted);
        for (const part of parts) expect(part.isWellFormed()).toBe(true);
        if (!wanted.includes('\ufffd')) expect(parts.join('')).not.toContain('\ufffd');
      }),
      { seed: 9, numRuns: 300 },
    );
    tokenizer.free();
  });

  test('broken bytes become U+FFFD once it is sure that they are broken', async () => {
    const tokenizer = await openTokenizer(
      ggufValues({
        ...values,
        pre: 'gpt-2',
        merges: [],
        tokens: byteLetters(),
        token_type: new Int32Array(256).fill(1),
      }),
    );
    const byte = (value: number): number => tokenizer.idOf(byteLetters()[value]!)!;
    const stream = tokenizer.stream();
    expect([0xe2, 0x82, 0x41, 0xff, 0xe2].map((b) => stream.push(byte(b)))).toEqual(['', '', '\ufffdA', '\ufffd', '']);
    expect(stream.flush()).toBe('\ufffd');
    tokenizer.free();
  });
});

/** The tokenizer, or undefined when it was refused; any other failure is the test's. */
async function attempt(metadata: ModelMetadata): Promise<Tokenizer | undefined> {
  try {
    return await openTokenizer(metadata);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'tokenizer' });
    return undefined;
  }
}

test('a freed tokenizer says so', async () => {
  const tokenizer = await openTokenizer(ggufValues(bert));
  tokenizer.free();
  tokenizer.free();
  expect(() => tokenizer.encode('a')).toThrow(expect.objectContaining({ name: 'InputError', code: 'destroyed' }));
});

describe('hostile metadata', () => {
  const deep = (depth: number): object =>
    depth === 0 ? { type: 'NFC' } : { type: 'Sequence', normalizers: [deep(depth - 1)] };
  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] };
  const json = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model };
  const gguf = { model: 'gpt2', pre: 'gpt-2', tokens: ['a', 'b', 'ab'], merges: ['a b'] };
  const REFUSED: readonly (readonly [string, ModelMetadata, RegExp])[] = [
    ['a merge of a missing token', ggufValues({ ...gguf, merges: ['a b', 'a c'] }), /merge 1 .*"c", which is no token/],
    ['a merge without a space', ggufValues({ ...gguf, merges: ['ab'] }), /merge 0/],
    [
      'a merge whose result is missing',
      huggingFace({ ...json, model: { ...model, merges: ['b a'] } }),
      /"ba", which is no token/,
    ],
    ['duplicate tokens', ggufValues({ ...gguf, tokens: ['a', 'b', 'a'] }), /"a" has two ids, 0 and 2/],
    ['no tokens', ggufValues({ ...gguf, tokens: [] }), /a vocabulary of 0 tokens/],
    ['tokens missing', ggufValues({ model: 'gpt2' }), /tokens is missing/],
    ['tokens that are numbers', ggufValues({ ...gguf, tokens: Int32Array.of(1) }), /tokens is no list of strings/],
    ['too few scores', ggufValues({ ...spmValues, scores: Float32Array.of(1) }), /scores has 1 entries for 267 tokens/],
    ['scores that are no numbers', ggufValues({ ...spmValues, scores: ['a'] }), /scores is no list of numbers/],
    [
      'an infinite score',
      ggufValues({ ...unigram, scores: Float32Array.from(unigram.scores, (s, i) => (i === 4 ? Number.NaN : s)) }),
      /score of token 4 is NaN/,
    ],
    [
      'an unknown pretokeniser',
      ggufValues({ ...gguf, pre: 'nonsense' }),
      /"nonsense" .* is not known; known are .*deepseek-coder.*gpt-2/,
    ],
    ['an unknown model', ggufValues({ ...gguf, model: 'rwkv' }), /"rwkv"; supported are/],
    ['an endless token', ggufValues({ ...gguf, tokens: ['a'.repeat(1e6)] }), /1000000 characters/],
    ['a vocabulary of 10^9', huggingFace({ ...json, model: { ...model, vocab: { a: 1e9 } } }), /token id 1000000000/],
    ['fractional ids', huggingFace({ ...json, model: { ...model, vocab: { a: 0.5 } } }), /token id 0.5/],
    [
      'an added token beyond',
      huggingFace({ ...json, added_tokens: [{ id: 1e12, content: 'x' }] }),
      /token id 1000000000000/,
    ],
    ['dropout', huggingFace({ ...json, model: { ...model, dropout: 0.1 } }), /dropout/],
    [
      'a bad expression',
      huggingFace({ ...json, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
      /not closed/,
    ],
    ['sequences in sequences', huggingFace({ ...json, normalizer: deep(5000) }), /more than 8 deep/],
    ['an unknown normalizer', huggingFace({ ...json, normalizer: { type: 'Nonsense' } }), /"Nonsense" is not known/],
    [
      'a charsmap that is none',
      huggingFace({ ...json, normalizer: { type: 'Precompiled', precompiled_charsmap: '////' } }),
      /precompiled_charsmap/,
    ],
    [
      'a charsmap that is no base64',
      huggingFace({ ...json, normalizer: { type: 'Precompiled', precompiled_charsmap: '!' } }),
      /base64/,
    ],
    ['no tokenizer.json', { kind: 'huggingface', config: {} }, /no tokenizer.json/],
    ['a tokenizer.json without a model', huggingFace({}), /model is no object/],
  ];
  test.each(REFUSED)('%s', async (_, metadata, message) => {
    await expect(openTokenizer(metadata)).rejects.toThrow(
      expect.objectContaining({ name: 'ModelError', code: 'tokenizer', message: expect.stringMatching(message) }),
    );
  });

  test('a refused tokenizer leaves no memory behind', async () => {
    const wasm = await tokenizerWasm();
    const before = wasm.exports.allocated();
    for (const [, metadata] of REFUSED) await expect(createTokenizer(wasm, metadata)).rejects.toThrow();
    expect(wasm.exports.allocated()).toBe(before);
  });

  test('changed GGUF metadata is refused or works', async () => {
    const sources = [{ ...values, pre: 'qwen2' }, spmValues, unigram, bert] as const;
    const junk = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(undefined),
      fc.array(fc.string({ maxLength: 5 }), { maxLength: 20 }),
      fc.int32Array({ maxLength: 20 }),
      fc.float32Array({ maxLength: 300 }),
      fc.bigInt(),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sources),
        fc.nat(),
        junk,
        fc.string({ unit: 'binary' }),
        async (source, which, value, text) => {
          const keys = Object.keys(source);
          const changed = { ...source, [keys[which % keys.length]!]: value };
          const tokenizer = await attempt(ggufValues(changed as never));
          if (tokenizer === undefined) return;
          tokenizer.decode(tokenizer.encode(text, { bos: true }));
          tokenizer.free();
        },
      ),
      { seed: 10, numRuns: 150 },
    );
  }, 120_000);

  test('changed tokenizer.json is refused or works', async () => {
    const source: JsonObject = JSON.parse(
      JSON.stringify({
        ...json,
        added_tokens: [{ id: 3, content: '<s>', special: true }],
        normalizer: {
          type: 'Sequence',
          normalizers: [
            { type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { Regex: ' +' }, content: '▁' },
          ],
        },
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: String.raw`\s+|a+b?` }, behavior: 'MergedWithNext', invert: false },
            { type: 'Metaspace', prepend_scheme: 'first', split: true },
          ],
        },
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
          special_tokens: { '<s>': { ids: [3] } },
        },
        decoder: {
          type: 'Sequence',
          decoders: [
            { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
            { type: 'ByteFallback' },
            { type: 'Fuse' },
            { type: 'Strip', content: ' ', start: 1, stop: 0 },
          ],
        },
      }),
    ) as JsonObject;
    const change = (value: unknown, path: readonly number[], to: unknown): unknown => {
      if (path.length === 0 || typeof value !== 'object' || value === null) return to;
      const keys = Object.keys(value);
      if (keys.length === 0) return to;
      const key = keys[path[0]! % keys.length]!;
      const inner = change((value as Record<string, unknown>)[key], path.slice(1), to);
      return Array.isArray(value)
        ? value.map((item, i) => (String(i) === key ? inner : (item as unknown)))
        : { ...value, [key]: inner };
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
        fc.jsonValue({ maxDepth: 2 }),
        fc.string({ unit: 'binary' }),
        async (path, to, text) => {
          const tokenizer = await attempt(huggingFace(change(source, path, to)));
          if (tokenizer === undefined) return;
          tokenizer.decode(tokenizer.encode(text, { bos: true }));
          tokenizer.free();
        },
      ),
      { seed: 11, numRuns: 150 },
    );
  }, 120_000);
});
