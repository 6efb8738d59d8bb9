/** Qwen3-Embedding and Qwen3-Reranker through the SDK, as GGUF files of tiny random models with a vocabulary of 64 tokens. */
import { expect, test } from '@jest/globals';
import { ANSWERS, encoderFixtures, encoderGguf } from '../support/encoder-fixtures.ts';
import { testFace } from '../support/engine.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
const END = '<|endoftext|>';
const TOKENS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  END,
  ...'abcdefghijklmnopqrstuvwxyz'.split('').map((letter) => `▁${letter}`),
];
while (TOKENS.length < 64) TOKENS.push(`##${TOKENS.length}`);
TOKENS[ANSWERS.yes] = 'yes';
TOKENS[ANSWERS.no] = 'no';

const tokenizer = (name: string): Record<string, string | number | boolean | string[]> => ({
  'general.name': name,
  'tokenizer.ggml.model': 'bert',
  'tokenizer.ggml.tokens': TOKENS,
  'tokenizer.ggml.unknown_token_id': 1,
  'tokenizer.ggml.cls_token_id': 2,
  'tokenizer.ggml.add_bos_token': false,
  'tokenizer.ggml.add_sep_token': false,
});

async function gguf(
  fixture: string,
  name: string,
  keep?: (tensor: string) => boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = (await encoderFixtures()).find((one) => one.name === fixture)!;
  return encoderGguf({ ...found, config: { ...found.config, max_position_embeddings: 512 } }, tokenizer(name), keep)!;
}

test('a re-ranker orders passages, by its classifier or by the rows of its head alike', async () => {
  const passages = ['a b c', 'd', 'e f g h i j k', 'b'];
  const orders: number[][] = [];
  const scores: number[] = [];
  for (const keep of [undefined, (tensor: string) => tensor !== 'cls.output.weight']) {
    const model = await Octavo.load(await gguf('qwen3-reranker', 'Qwen3 Reranker tiny', keep), WASM);
    expect(model.capabilities).toMatchObject({ generate: true, rerank: true });
    const ranking = await model.rerank('a b', passages);
    expect(ranking.truncated).toEqual([]);
    orders.push(ranking.map(({ index }) => index));
    scores.push(...ranking.map(({ score }) => score));
    for (const { index, score } of ranking) {
      const [alone] = await model.rerank('a b', [passages[index]!]);
      expect(alone!.score).toBeCloseTo(score, 5);
    }
    await expect(model.rerank('', ['a'])).rejects.toMatchObject({ code: 'empty' });
    const long = await model.rerank('a', ['a '.repeat(2000)]);
    expect([long.truncated, long.tokens]).toEqual([[0], 512]);
    await model.destroy();
  }
  expect(orders[0]).toEqual(orders[1]);
  scores.slice(0, 4).forEach((score, i) => expect(score).toBeCloseTo(scores[i + 4]!, 5));
  expect(Math.max(...scores) - Math.min(...scores)).toBeGreaterThan(1e-3);
});

test('a chat model of the same shape does not rank', async () => {
  const model = await Octavo.load(
    await gguf('qwen3-reranker', 'Qwen3 tiny', (name) => name !== 'cls.output.weight'),
    WASM,
  );
  expect(model.capabilities.rerank).toBe(false);
  await expect(model.rerank('a', ['b'])).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
  await model.destroy();
});

test('an embedder reads the end token behind a text, and an instruction before a question', async () => {
  const model = await Octavo.load(await gguf('qwen3-embedding', 'Qwen3 Embedding tiny'), WASM);
  expect(model.embedding).toMatchObject({ pooling: 'last', trained: true, dimensions: 32 });
  expect(model.embedding!.prefixes.query).toContain('Instruct: ');
  expect((await model.embed(['a b c'])).tokens).toBe(4);
  const [text, question] = await Promise.all([model.embed(['a b c']), model.embed(['a b c'], { kind: 'query' })]);
  expect(question.tokens).toBeGreaterThan(text.tokens);
  await expect(model.embed(['a'], { prepend: true })).rejects.toMatchObject({ code: 'argument' });
  await model.destroy();
});
