/** GGUF vocabularies: llama.cpp's golden vectors where they are at hand, and small vocabularies of every family against naive references. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mergeReference, unigramReference, wordPieceReference } from '../reference/tokenize.ts';
import { byteLetters } from '../support/byte-letters.ts';
import { random } from '../support/random.ts';
import {
  ggufFile,
  ggufValues,
  mixedText,
  openTokenizer,
  reportMissing,
  sharedFile,
  smallByteLevel,
} from '../support/tokenizers.ts';

afterAll(reportMissing);

describe('golden vectors', () => {
  test.each(['gpt-2', 'qwen2', 'llama-spm', 'bert-bge'])('%s', async (name) => {
    const file = sharedFile(`tokenizers/gguf-vocab/ggml-vocab-${name}.gguf`);
    if (file === undefined) return;
    const tokenizer = await openTokenizer(await ggufFile(file));
    const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
    const lines = readFileSync(`${file}.out`, 'utf8').split('\n');
    texts.forEach((text, i) => {
      const want = lines[i]!.trim()
        .split(/\s+/)
        .filter((id) => id !== '')
        .map(Number);
      expect([text, ...tokenizer.encode(text, { special: false })]).toEqual([text, ...want]);
      // BERT's normalisation loses what it removes.
      if (name !== 'bert-bge') expect(tokenizer.decode(want)).toBe(text);
    });
    tokenizer.free();
  });
});

describe('byte-level BPE', () => {
  const r = random(1);
  const { tokens, merges, types } = smallByteLevel(r, 300);
  const values = {
    model: 'gpt2',
    pre: 'gpt-2',
    tokens,
    merges,
    token_type: types,
    bos_token_id: tokens.length - 3,
    eos_token_id: tokens.length - 2,
  };

  test('merges as the reference', async () => {
    const tokenizer = await openTokenizer(ggufValues({ ...values, pre: 'laguna' }));
    const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
    const letters = byteLetters();
    for (let i = 0; i < 300; i++) {
      // No piece of this pretokeniser has both letters and spaces, so words are pieces.
      const word = Array.from({ length: r.integer(1, i < 250 ? 14 : 200) }, () => r.pick([...'abeths', 'ä'])).join('');
      const symbols = Array.from(new TextEncoder().encode(word), (byte) => letters[byte]!);
      const want = mergeReference(symbols, (left, right) => ranks.get(`${left} ${right}`)).map((token) =>
        tokens.indexOf(token),
      );
      expect([word, ...tokenizer.encode(word)]).toEqual([word, ...want]);
    }
    tokenizer.free();
  });

  test('special tokens: parsed on request, user-defined ones always', async () => {
    const tokenizer = await openTokenizer(ggufValues(values));
    const [bos, eos, user] = [-3, -2, -1].map((i) => tokens.length + i);
    const text = 'a<s>b</s><<user>>';
    expect([...tokenizer.encode(text)]).toEqual([...tokenizer.encode('a'), bos, ...tokenizer.encode('b'), eos, user]);
    const plain = [...tokenizer.encode(text, { special: false })];
    expect(plain).not.toContain(bos);
    expect(plain.at(-1)).toBe(user);
    expect(tokenizer.decode(plain)).toBe(text);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe('ab<<user>>');
    expect(tokenizer.decode(tokenizer.encode(text), { special: true })).toBe(text);
    expect(tokenizer.facts).toMatchObject({ vocabulary: tokens.length, bos, addBos: false, addEos: false });
    expect(tokenizer.facts.eos).toEqual([eos]);
    expect(tokenizer.idOf('<s>')).toBe(bos);
    expect(tokenizer.idOf('no such token')).toBeUndefined();
    tokenizer.free();
  });

  test('BOS and EOS as the file and the pretokeniser ask', async () => {
    const [bos, eos] = [tokens.length - 3, tokens.length - 2];
    for (const [extra, want] of [
      [{}, []],
      [{ add_bos_token: true }, [bos]],
      [{ add_eos_token: true }, [eos]],
      [{ pre: 'llama-bpe' }, [bos]],
      [{ pre: 'llama-bpe', add_bos_token: false }, []],
    ] as const) {
      const tokenizer = await openTokenizer(ggufValues({ ...values, ...extra }));
      expect([...tokenizer.encode('', { bos: true })]).toEqual(want);
      expect([...tokenizer.encode('')]).toEqual([]);
      tokenizer.free();
    }
  });

  test('tokens that end a turn are found by name', async () => {
    const more = [...tokens, '<|im_end|>', '<|eot_id|>'];
    const tokenizer = await openTokenizer(
      ggufValues({
        ...values,
        tokens: more,
        token_type: Int32Array.from([...types, 3, 3]),
        eot_token_id: tokens.length,
      }),
    );
    expect(tokenizer.facts.eos).toEqual([tokens.length - 2, tokens.length, tokens.length + 1]);
    tokenizer.free();
  });

  test('a token is a piece before its merges where the pretokeniser says so', async () => {
    // "ab" can only be reached as a whole.
    const extra = [...byteLetters(), 'ab', '<s>', '</s>'];
    const of = async (pre: string): Promise<number[]> => {
      const tokenizer = await openTokenizer(ggufValues({ model: 'gpt2', pre, tokens: extra, merges: [] }));
      const ids = [...tokenizer.encode('ab')];
      tokenizer.free();
      return ids;
    };
    expect(await of('llama-bpe')).toEqual([256]);
    expect(await of('gpt-2')).toHaveLength(2);
  });
});

describe('SentencePiece BPE', () => {
  const r = random(2);
  const words = [
    '▁',
    'a',
    'b',
    'e',
    't',
    'h',
    'ä',
    '▁t',
    'th',
    'he',
    '▁th',
    'the',
    '▁the',
    'ab',
    'ba',
    'bab',
    'äa',
    'be',
    'eb',
    '▁a',
    '▁▁',
    'x▁',
    '日本',
  ];
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const values = (pieces: readonly string[]) => {
    const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces];
    const scores = Float32Array.from(tokens, (_, id) => (id < 259 ? 0 : -r.integer(0, 12)));
    return {
      model: 'llama',
      tokens,
      scores,
      token_type: Int32Array.from(tokens, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)),
    };
  };

  test.each([
    ['with', words],
    ['without', words.filter((word) => word !== 'x▁')],
  ])('merges by score as the reference, %s tokens across words', async (_, pieces) => {
    const v = values(pieces);
    const tokenizer = await openTokenizer(ggufValues({ ...v, add_space_prefix: false }));
    const ids = new Map(v.tokens.map((token, id) => [token, id]));
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: r.integer(1, i < 270 ? 30 : 300) }, () =>
        r.pick([...'abeth ä  x', '日', '本', '語']),
      ).join('');
      const symbols = mergeReference([...text.replaceAll(' ', '▁')], (left, right) => {
        const id = ids.get(left + right);
        return id === undefined || id < 259 ? undefined : -v.scores[id]!;
      });
      const want = symbols.flatMap(
        (symbol) => ids.get(symbol) ?? Array.from(new TextEncoder().encode(symbol), (byte) => 3 + byte),
      );
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...want]);
      expect(tokenizer.decode(want)).toBe(text);
    }
    tokenizer.free();
  });

  test('a space before the text and after special tokens, which decode drops at the start only', async () => {
    const tokenizer = await openTokenizer(ggufValues(values(words)));
    const the = tokenizer.idOf('▁the')!;
    expect([...tokenizer.encode('the')]).toEqual([the]);
    expect([...tokenizer.encode('<s>the</s>the')]).toEqual([1, the, 2, the]);
    expect([...tokenizer.encode('the', { bos: true })]).toEqual([1, the]);
    expect(tokenizer.decode([the, the])).toBe('the the');
    expect(tokenizer.decode([1, the])).toBe('the');
    const stream = tokenizer.stream();
    expect(stream.push(the)).toBe(' the');
    // Text cannot spell control and byte tokens.
    expect([...tokenizer.encode('<s><0x41>', { special: false })]).not.toContain(1);
    expect(tokenizer.decode(tokenizer.encode('<s><0x41>', { special: false }))).toBe('<s><0x41>');
    tokenizer.free();
  });
});

describe('Unigram', () => {
  const r = random(3);
  const pieces = [
    '▁',
    'a',
    'b',
    'e',
    't',
    'h',
    '▁t',
    'th',
    'he',
    '▁th',
    'the',
    '▁the',
    'ab',
    'ba',
    'abab',
    'be',
    '▁a',
    'bat',
  ];
  const tokens = ['<pad>', '</s>', '<unk>', ...pieces, '<u>'];
  const types = Int32Array.from(tokens, (_, id) => (id < 2 ? 3 : id === 2 ? 2 : id === tokens.length - 1 ? 4 : 1));
  // Distinct sums, so that no two ways are equal.
  const scores = Float32Array.from(tokens, (_, id) => (id < 3 ? 0 : -2 - Math.fround(r.uniform() * 8)));
  const values = {
    model: 't5',
    tokens,
    token_type: types,
    scores,
    add_space_prefix: true,
    remove_extra_whitespaces: true,
  };

  test('segments as the reference', async () => {
    const tokenizer = await openTokenizer(ggufValues(values));
    const of = new Map(pieces.map((piece, i) => [piece, scores[i + 3]!]));
    const least = Math.min(...of.values());
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: r.integer(1, 40) }, () => r.pick([...'abeth  ', 'ü', '日'])).join('');
      const normal = text.trim().replace(/ +/g, ' ');
      const path = normal === '' ? [] : unigramReference([...`▁${normal.replaceAll(' ', '▁')}`], of, least - 10);
      const want = path
        .filter((token, j) => token !== undefined || path[j - 1] !== undefined || j === 0)
        .map((token) => (token === undefined ? 2 : tokens.indexOf(token)));
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...want]);
    }
    expect([...tokenizer.encode('the<u>the', { bos: true })]).toEqual([
      tokens.indexOf('▁the'),
      tokens.length - 1,
      tokens.indexOf('▁the'),
      1,
    ]);
    expect(tokenizer.decode(tokenizer.encode('the bat'))).toBe('the bat');
    tokenizer.free();
  });
});

describe('WordPiece', () => {
  const words = ['▁un', '▁the', '▁a', 'able', 'aff', 'a', 'ble', '▁aff', '▁,', '▁日', '▁e', '▁!'];
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...words];
  const values = {
    model: 'bert',
    tokens,
    token_type: Int32Array.from(tokens, (_, id) => (id < 4 ? 3 : 1)),
    unknown_token_id: 1,
    cls_token_id: 2,
    seperator_token_id: 3,
    padding_token_id: 0,
  };

  test('takes the longest tokens, after cleaning, lower case and accents', async () => {
    const tokenizer = await openTokenizer(ggufValues(values));
    const set = new Set(words.map((word) => (word.startsWith('▁') ? word.slice(1) : `##${word}`)));
    const idOf = (piece: string): number => tokens.indexOf(piece.startsWith('##') ? piece.slice(2) : `▁${piece}`);
    const text = 'Unaffable THE Éa, unaffablex\u0000 a日a!\tun\u200bthe aable';
    const split = ['unaffable', 'the', 'ea', ',', 'unaffablex', 'a', '日', 'a', '!', 'unthe', 'aable'];
    const want = split.flatMap((word) => wordPieceReference(word, set)?.map(idOf) ?? [1]);
    expect([...tokenizer.encode(text)]).toEqual(want);
    expect([...tokenizer.encode('the[SEP]', { bos: true })]).toEqual([2, idOf('the'), 3, 3]);
    expect(tokenizer.decode(tokenizer.encode('the unaffable'))).toBe('the unaffable');
    tokenizer.free();
  });
});

test("nano's own vocabulary goes there and back", async () => {
  const file = fileURLToPath(new URL('../../models/nano/nano.gguf', import.meta.url));
  if (!existsSync(file)) return;
  const tokenizer = await openTokenizer(await ggufFile(file));
  const r = random(4);
  for (let i = 0; i < 50; i++) {
    const text = mixedText(r, 200, ['<|im_start|>']);
    expect(tokenizer.decode(tokenizer.encode(text, { special: false }))).toBe(text);
  }
  tokenizer.free();
});
