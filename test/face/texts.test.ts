/** model.embed and model.rerank through the SDK, on tiny encoders: kinds, widths, lists of all lengths, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serveEngine } from '../../src/engine/service.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { Caller } from '../../src/worker/caller.ts';
import { portEndpoint } from '../../src/worker/endpoints.ts';
import { encoderFixtures, encoderGguf } from '../support/encoder-fixtures.ts';
import { testDevice, testFace, testPlatform } from '../support/engine.ts';
import { jsonBytes, tinyEncoder, withTensors } from '../support/tiny-encoder.ts';
import { tinyModel } from '../support/tiny-model.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
const PROMPTS = { prompts: { query: 'query: ', document: '' } };
const letters = (count: number): string => Array.from({ length: count }, (_, i) => 'abcdef'[i % 6]).join(' ');
const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe('an embedder', () => {
  let model: OctavoModel;
  beforeAll(async () => {
    const files = await tinyEncoder('bert', { 'config_sentence_transformers.json': PROMPTS });
    // As a directory picker names them.
    const named = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`some/folder/${name}`, bytes]));
    model = await Octavo.load(named, WASM);
  });
  afterAll(() => model.destroy());

  test('says what it is', () => {
    expect(model.architecture).toBe('bert');
    expect(model.contextWindow).toBe(48);
    expect(model.capabilities).toEqual({
      generate: false,
      embed: true,
      rerank: false,
      chat: false,
      see: false,
      paint: false,
      edit: false,
      missing: ['this bert model embeds texts; it does not generate text or see pictures'],
    });
    expect(model.embedding).toEqual({
      dimensions: 32,
      window: 48,
      pooling: 'mean',
      prefixes: { query: 'query: ', document: '' },
      trained: true,
      vocabulary: 64,
    });
  });

  test('a text has the same vector in any company, of length 1', async () => {
    const texts = ['cat', 'a dog', letters(40), 'cat dog', letters(7), letters(39)];
    const together = await model.embed(texts);
    expect([together.length, together.dimensions, together.truncated]).toEqual([6, 32, []]);
    expect(together.tokens).toBe(3 + 4 + 42 + 4 + 9 + 41);
    for (const [i, text] of texts.entries()) {
      expect(Math.hypot(...together[i]!)).toBeCloseTo(1, 6);
      const [alone] = await model.embed([text]);
      expect(difference(alone!, together[i]!)).toBeLessThan(1e-6);
    }
    expect(difference(together[0]!, together[1]!)).toBeGreaterThan(1e-3);
  });

  test('kinds and prefixes', async () => {
    const [query] = await model.embed(['cat'], { kind: 'query' });
    const [document] = await model.embed(['cat']);
    const [same] = await model.embed(['query: cat'], { kind: 'document' });
    const [bare] = await model.embed(['cat'], { kind: 'query', prefix: '' });
    expect(difference(query!, document!)).toBeGreaterThan(1e-3);
    expect(difference(query!, same!)).toBeLessThan(1e-6);
    expect(difference(bare!, document!)).toBeLessThan(1e-6);
  });

  test('what looks like a special token is text', async () => {
    const [text] = await model.embed(['cat [SEP] dog']);
    const [words] = await model.embed(['cat [ sep ] dog']);
    expect(difference(text!, words!)).toBeLessThan(1e-6);
  });

  test('fewer dimensions: the first values, normalised again', async () => {
    const [whole] = await model.embed(['cat']);
    const short = await model.embed(['cat'], { dimensions: 8 });
    expect([short.dimensions, short[0]!.length]).toEqual([8, 8]);
    const length = Math.hypot(...whole!.subarray(0, 8));
    expect(
      difference(
        short[0]!,
        whole!.subarray(0, 8).map((value) => value / length),
      ),
    ).toBeLessThan(1e-6);
    await expect(model.embed(['cat'], { dimensions: 33 })).rejects.toMatchObject({
      name: 'InputError',
      code: 'argument',
      message: expect.stringContaining('1 to 32'),
    });
    await expect(model.embed(['cat'], { dimensions: 0 })).rejects.toMatchObject({ name: 'InputError' });
  });

  test('a text that is too long counts by its beginning, and is reported', async () => {
    const long = await model.embed(['cat', letters(46), letters(47), letters(500)]);
    expect(long.truncated).toEqual([2, 3]);
    expect(long.tokens).toBe(3 + 48 + 48 + 48);
    const [cut] = await model.embed([letters(46)]);
    expect(difference(cut!, long[3]!)).toBeLessThan(1e-6);
  });

  test('no text, and 10,000', async () => {
    const none = await model.embed([]);
    expect([none.length, none.tokens, none.truncated]).toEqual([0, 0, []]);
    const heard: number[] = [];
    const texts = Array.from({ length: 10_000 }, (_, i) => (i % 3 === 0 ? 'cat' : i % 3 === 1 ? 'a dog' : 'x'));
    const many = await model.embed(texts, {
      onProgress: (done, total) => {
        heard.push(done);
        expect(total).toBe(10_000);
      },
    });
    expect(many.length).toBe(10_000);
    expect(heard.at(-1)).toBe(10_000);
    expect([...heard].sort((a, b) => a - b)).toEqual(heard);
    expect(difference(many[0]!, many[9_999]!)).toBeLessThan(1e-6);
    expect(difference(many[1]!, many[9_998]!)).toBeGreaterThan(1e-3);
  });

  test('empty texts are refused by their place', async () => {
    for (const empty of ['', '  \n'])
      await expect(model.embed(['cat', empty])).rejects.toMatchObject({
        name: 'InputError',
        code: 'empty',
        message: expect.stringContaining('text 1 of 2'),
      });
  });

  test('what is no list of texts is refused', async () => {
    for (const wrong of ['cat', [1], undefined] as unknown as string[][])
      await expect(model.embed(wrong)).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
    await expect(model.embed(['cat'], { kind: 'question' as 'query' })).rejects.toMatchObject({ code: 'argument' });
  });

  test('an abort', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const texts = Array.from({ length: 2000 }, () => letters(20));
    const running = model.embed(texts, { signal: controller.signal, onProgress: () => controller.abort(reason) });
    await expect(running).rejects.toBe(reason);
    expect((await model.embed(['cat'])).length).toBe(1);
  });

  test('calls at the same time do not disturb each other', async () => {
    const texts = ['cat', 'dog', letters(30), letters(12)];
    const alone = await model.embed(texts);
    const all = await Promise.all(texts.map((text) => model.embed([text])));
    all.forEach(([vector], i) => expect(difference(vector!, alone[i]!)).toBeLessThan(1e-6));
  });

  test('it neither generates nor ranks, and says so', async () => {
    for (const call of [model.createSession(), model.complete('a'), model.score('a')])
      await expect(call).rejects.toMatchObject({
        name: 'InputError',
        code: 'argument',
        message: expect.stringContaining('model.embed'),
      });
    await expect(model.rerank('a', ['b'])).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
    expect([...(await model.tokenize('cat'))]).toEqual([56]);
  });

  test('after recovering, vectors are as before', async () => {
    const before = await model.embed(['a cat']);
    await model.recover();
    expect(difference((await model.embed(['a cat']))[0]!, before[0]!)).toBeLessThan(1e-6);
    expect((await model.memory()).weights).toBeGreaterThan(0);
  });
});

describe('a cross-encoder', () => {
  let model: OctavoModel;
  beforeAll(async () => {
    model = await Octavo.load(await tinyEncoder('bert-rank'), WASM);
  });
  afterAll(() => model.destroy());

  test('orders passages', async () => {
    expect(model.capabilities).toMatchObject({ generate: false, embed: false, rerank: true });
    expect(model.embedding).toBeUndefined();
    const passages = ['a cat', 'dog', letters(30), 'cat dog', 'x y z'];
    const ranking = await model.rerank('query cat', passages);
    expect(ranking.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
    const scores = ranking.map(({ score }) => score);
    expect([...scores].sort((a, b) => b - a)).toEqual(scores);
    for (const { index, score } of ranking) {
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThan(1);
      const [alone] = await model.rerank('query cat', [passages[index]!]);
      expect(alone!.score).toBeCloseTo(score, 6);
    }
    // [CLS] query cat [SEP] ... [SEP]
    expect(ranking.tokens).toBe(5 * 5 + 2 + 1 + 30 + 2 + 3);
  });

  test('both texts of a pair are cut, the longer one first', async () => {
    const ranking = await model.rerank('cat', ['dog', letters(100)]);
    expect(ranking.truncated).toEqual([1]);
    expect(ranking.tokens).toBe(5 + 64);
    const [long] = await model.rerank(letters(100), [letters(100)]);
    const [same] = await model.rerank(letters(30), [letters(31)]);
    expect(long!.score).toBeCloseTo(same!.score, 6);
  });

  test('no passage; empty ones; vectors', async () => {
    expect([...(await model.rerank('cat', []))]).toEqual([]);
    await expect(model.rerank(' ', ['a'])).rejects.toMatchObject({
      code: 'empty',
      message: expect.stringContaining('query is empty'),
    });
    await expect(model.rerank('cat', ['a', ''])).rejects.toMatchObject({
      code: 'empty',
      message: expect.stringContaining('passage 1 of 2'),
    });
    await expect(model.embed(['cat'])).rejects.toMatchObject({
      code: 'argument',
      message: expect.stringContaining('model.rerank'),
    });
  });
});

describe('a chat model', () => {
  test('embeds as second best, beside an embedder in one engine', async () => {
    const { port1, port2 } = new MessageChannel();
    serveEngine(portEndpoint(port2), testPlatform, testDevice);
    const caller = new Caller(portEndpoint(port1));
    const load = (input: Parameters<typeof Octavo.load>[0]): ReturnType<typeof caller.call<'load'>> =>
      caller.call('load', { input: input as Blob, settings: WASM });
    const chat = await load(tinyModel());
    const embedder = await load(await tinyEncoder('bert'));
    expect(chat.capabilities).toMatchObject({ generate: true, chat: true, embed: true, rerank: false });
    expect(chat.embedding).toMatchObject({ dimensions: 64, pooling: 'mean', trained: false });
    const embed = (model: number, texts: readonly string[]): ReturnType<typeof caller.call<'embed'>> =>
      caller.call('embed', { model, texts, settings: {} });
    const texts = ['hello', 'a longer text than that', 'x'];
    const [first, second] = await Promise.all([embed(chat.model, texts), embed(embedder.model, texts)]);
    expect([first.dimensions, second.dimensions]).toEqual([64, 32]);
    for (const [i, text] of texts.entries()) {
      const alone = await embed(chat.model, [text]);
      expect(difference(alone.vectors, first.vectors.subarray(64 * i, 64 * i + 64))).toBeLessThan(1e-5);
    }
    // Longer than a chunk of the prefill, and than the window.
    const long = await embed(chat.model, ['ab'.repeat(400)]);
    expect([long.truncated, long.tokens]).toEqual([[0], 512]);
    const prepend = { model: chat.model, texts, settings: { prepend: true } };
    const asked = await caller.call('embed', prepend);
    expect([asked.vectors.length, asked.truncated]).toEqual([3 * 64, []]);
    expect(difference(asked.vectors, first.vectors)).toBeGreaterThan(0.01);
    const one = await caller.call('embed', { ...prepend, texts: texts.slice(1, 2) });
    expect(difference(one.vectors, asked.vectors.subarray(64, 128))).toBeLessThan(1e-5);
    await expect(caller.call('embed', { ...prepend, model: embedder.model })).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('trained to embed'),
    });
    await caller.call('free', { model: embedder.model });
    expect((await embed(chat.model, ['hello'])).vectors.length).toBe(64);
    await caller.call('free', { model: chat.model });
    caller.close();
  });
});

describe('files that are refused', () => {
  const load = (files: Record<string, Uint8Array<ArrayBuffer>>): Promise<OctavoModel> => Octavo.load(files, WASM);

  test('EmbeddingGemma without its dense layers, as GGUF and as a folder', async () => {
    const gemma = (await encoderFixtures()).find(({ name }) => name === 'gemma-embedding')!;
    const answer = {
      name: 'ModelError',
      code: 'tensor-missing',
      message: expect.stringContaining('dense_2 and dense_3'),
    };
    await expect(
      Octavo.load(
        encoderGguf(gemma, {}, (name) => !name.startsWith('dense_'))!,
        WASM,
      ),
    ).rejects.toMatchObject(answer);
    await expect(load(await tinyEncoder('gemma-embedding', { 'modules.json': undefined }))).rejects.toMatchObject(
      answer,
    );
  });

  test('a dense layer of another width', async () => {
    const gemma = await tinyEncoder('gemma-embedding');
    gemma['2_Dense/model.safetensors'] = gemma['3_Dense/model.safetensors']!;
    await expect(load(gemma)).rejects.toMatchObject({ name: 'ModelError', code: 'tensor-shape' });
  });

  test('modules that are not there, not known, or lie elsewhere', async () => {
    const modules = (path: string, type = 'sentence_transformers.models.Pooling'): unknown => [
      { idx: 0, name: '0', path, type },
    ];
    const cases: [Record<string, unknown>, object][] = [
      [
        { '1_Pooling/config.json': undefined },
        { name: 'ModelError', message: expect.stringContaining('1_Pooling, whose config.json is not there') },
      ],
      [{ 'modules.json': modules('../1_Pooling') }, { name: 'FileError', code: 'malformed' }],
      [
        { 'modules.json': modules('1_Pooling', 'sentence_transformers.models.LSTM') },
        { name: 'ModelError', message: expect.stringContaining('LSTM') },
      ],
      [{ 'modules.json': { a: 1 } }, { name: 'FileError', code: 'malformed' }],
      [
        { 'modules.json': Array.from({ length: 40 }, () => ({ path: '', type: 'a' })) },
        { name: 'FileError', code: 'limit' },
      ],
      [{ '1_Pooling/config.json': { pooling_mode_max_tokens: true } }, { name: 'ModelError', code: 'config' }],
      [{ '2_Dense/model.safetensors': undefined }, { name: 'FileError', code: 'missing' }],
    ];
    for (const [more, answer] of cases)
      await expect(load(await tinyEncoder('bert-cls-dense', more))).rejects.toMatchObject(answer);
  });

  test('a classifier of several classes, and a file that ranks without a classifier', async () => {
    const rank = (await encoderFixtures()).find(({ name }) => name === 'roberta-rank')!;
    await expect(
      Octavo.load(
        encoderGguf(rank, {}, (name) => !name.startsWith('cls'))!,
        WASM,
      ),
    ).rejects.toMatchObject({
      name: 'ModelError',
      code: 'tensor-missing',
      message: expect.stringContaining('cls.output'),
    });
    const classifier = await withTensors('bert-rank', {
      'classifier.weight': { shape: [3, 32], values: new Float32Array(96).fill(0.1) },
      'classifier.bias': { shape: [3], values: new Float32Array(3) },
    });
    await expect(load(classifier)).rejects.toMatchObject({
      name: 'ModelError',
      code: 'architecture',
      message: expect.stringContaining('3 classes'),
    });
  });

  test('a tokenizer of another model', async () => {
    const files = await tinyEncoder('bert');
    const tokenizer = JSON.parse(new TextDecoder().decode(files['tokenizer.json'])) as {
      model: { vocab: Record<string, number> };
    };
    tokenizer.model.vocab['zebra'] = 90;
    files['tokenizer.json'] = jsonBytes(tokenizer);
    const model = await load(files);
    await expect(model.embed(['zebra'])).rejects.toMatchObject({ name: 'ModelError', code: 'tokenizer' });
    await model.destroy();
  });
});
