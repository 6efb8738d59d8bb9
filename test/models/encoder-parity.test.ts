/** Tiny random encoders and cross-encoders against upstream PyTorch: vectors and scores, from Hugging Face folders and from GGUF, on every backend. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { scoresOf } from '../../src/embed/causal-rank.ts';
import { run } from '../../src/embed/model.ts';
import { batchesOf, pack } from '../../src/embed/texts.ts';
import { Gate, Queue } from '../../src/generate/queue.ts';
import { openModel, type ModelInput } from '../../src/load/index.ts';
import { atOnce } from '../../src/layers/steps.ts';
import { CausalEncoder } from '../../src/models/encoder/causal.ts';
import type { EncoderModel } from '../../src/models/encoder.ts';
import type { Packed } from '../../src/models/encoder/packed.ts';
import { sentenceFacts } from '../../src/models/encoder/sentence.ts';
import { loadModel } from '../../src/models/model.ts';
import { architectureName, encoderOf } from '../../src/models/registry.ts';
import { testBackends } from '../support/backends.ts';
import { ANSWERS, encoderFixtures, encoderGguf, type EncoderFixture } from '../support/encoder-fixtures.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const backends = await testBackends();
const all = await encoderFixtures();

test('the fixtures are of one upstream version', () => {
  expect(all.map(({ name }) => name)).toEqual([
    'bert',
    'bert-cls-dense',
    'bert-rank',
    'gemma-embedding',
    'llama-prepended',
    'modern-bert',
    'modern-bert-rank',
    'mpnet',
    'nomic-bert',
    'qwen3-embedding',
    'qwen3-reranker',
    'roberta',
    'roberta-rank',
  ]);
  for (const { upstream } of all) expect(upstream).toEqual({ transformers: '5.24.0', torch: '2.13.0' });
});

interface Loaded {
  readonly encoder: EncoderModel;
  /** [texts, width], vectors of any length or scores. */
  readonly results: (packed: Packed) => Promise<Float32Array>;
  readonly free: () => void;
}

/** The model, at most `rows` rows to a call. */
async function load(input: ModelInput, backend: Backend, rows: number): Promise<Loaded> {
  const file = await openModel(input);
  const waiting = { gate: new Gate(), queue: new Queue() };
  try {
    const plan = await encoderOf(file);
    if (plan !== undefined) {
      const embedder = await plan.load(backend, { rows });
      const { encoder, vectors, scores, free } = embedder;
      const results = (packed: Packed): Promise<Float32Array> =>
        run({ embedder, ...waiting }, packed, (vectors ?? scores)!, undefined);
      return { encoder, results, free };
    }
    const { pooling, dense, prefixes } = sentenceFacts(file, architectureName(file.metadata));
    const model = await loadModel(file, backend);
    const { language } = model;
    const encoder = new CausalEncoder(language, rows);
    const free = (): void => {
      encoder.free();
      model.free();
    };
    if (language.config.architecture === 'llama')
      return { encoder, results: (packed) => statesOf(encoder, packed), free };
    if (pooling === undefined) {
      const results = (packed: Packed): Promise<Float32Array> =>
        scoresOf(encoder, language, packed, ANSWERS, undefined);
      return { encoder, results, free };
    }
    expect([pooling, dense]).toEqual(['last', []]);
    const { hidden: dimensions, contextWindow: window } = language.config;
    const vectors = { pooling, layers: [], dimensions, prefixes, trained: true };
    const embedder = { encoder, vectors, scores: undefined, window };
    return { encoder, results: (packed) => run({ embedder, ...waiting }, packed, vectors, undefined), free };
  } finally {
    await file.close();
  }
}

async function statesOf(encoder: EncoderModel, packed: Packed): Promise<Float32Array> {
  const states = atOnce(encoder.encode(packed, 'last'));
  const values = await encoder.backend.download(states);
  encoder.backend.free(states);
  return values;
}

/** [texts, width] as the fixture has them. */
async function resultsOf(
  { encoder, results }: Loaded,
  { texts, width, name }: Pick<EncoderFixture, 'texts' | 'width' | 'name'>,
): Promise<Float32Array> {
  const read = texts.map(({ ids, ...places }) => ({ ...places, ids: Int32Array.from(ids), truncated: false }));
  const out = new Float32Array(texts.length * width);
  for (const batch of batchesOf(
    read.map(({ ids }) => ids.length),
    encoder.rows,
  )) {
    const packed = pack(
      batch.map((index) => read[index]!),
      encoder.config.vocabulary,
    );
    const found = await results(packed);
    batch.forEach((index, i) => {
      const row = found.subarray(i * width, (i + 1) * width);
      const length = /rank/.test(name) ? 1 : Math.hypot(...row);
      out.set(
        row.map((value) => value / length),
        index * width,
      );
    });
  }
  return out;
}

describe.each(backends)('$name', ({ name: device, create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => {
    backend.destroy();
  });

  describe.each(all)('$name', (it) => {
    test("Hugging Face folder: upstream's results, packed, one by one, and in parts", async () => {
      const before = backend.memory();
      // A software GPU is slow: fewer texts, in calls that both pack and cut.
      const slow = device === 'webgpu';
      const texts = slow ? it.texts.slice(4) : it.texts;
      const wanted = it.results.subarray((it.texts.length - texts.length) * it.width);
      // The placeholder needs the whole text.
      const parts = it.name === 'llama-prepended' ? [40] : [16];
      for (const rows of slow ? parts : [256, 40, ...parts]) {
        const embedder = await load(it.files, backend, rows);
        const found = await resultsOf(embedder, { ...it, texts });
        expectNmse(found, wanted, TOLERANCE.reduction, `${it.name} on ${device}: ${rows} rows a call`);
        embedder.free();
      }
      expect(backend.memory()).toMatchObject({
        weights: before.weights,
        kv: before.kv,
        activations: before.activations,
      });
    });

    const gguf = encoderGguf(it);
    // The graph is the same; what differs is read on the host.
    if (gguf === undefined || device === 'webgpu') return;
    test('the same as GGUF', async () => {
      const embedder = await load(gguf, backend, 256);
      expectNmse(await resultsOf(embedder, it), it.results, TOLERANCE.reduction, `${it.name}.gguf on ${device}`);
      embedder.free();
    });
  });
});
