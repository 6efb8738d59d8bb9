/** Drives a language model in tests, without sampling options, streaming or sessions. */
import type { KvSpec } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import type { LanguageModel } from '../../src/models/model.ts';

const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 0 };

/** Logits [ids, vocabulary] of ids fed in `chunks` (their sum is at most the ids' number; the rest goes one by one). */
export async function logitsOf(
  model: LanguageModel,
  ids: readonly number[],
  chunks: readonly number[],
  format: KvSpec['format'] = 'f32',
): Promise<Float32Array> {
  const { backend, config } = model;
  const pool = backend.kvPool({ layers: config.cacheLayers, kvHeads: config.kvHeads, headDim: config.headDim, format });
  const sequence = new Sequence(new PageAllocator(pool), ids.length, model.states());
  const ring = backend.ids(ids.length);
  backend.writeIds(ring, 0, Int32Array.from(ids));
  const all = new Float32Array(ids.length * config.vocabulary);
  const plan = [...chunks];
  for (let start = 0; start < ids.length;) {
    const count = plan.shift() ?? 1;
    sequence.ensure(start + count);
    const logits = backend.scope(() =>
      model.logits(
        model.forward(model.embed(ring, start, count), {
          kv: sequence,
          position: start,
          ranges: denseCausal(count, start + count),
          ids: { ring, start },
        }),
      ),
    );
    all.set(await backend.download(logits), start * config.vocabulary);
    backend.free(logits);
    start += count;
  }
  sequence.free();
  pool.free();
  backend.free(ring);
  return all;
}

/** `count` greedy ids after `ids`: one prefill, then steps whose ids stay on the device. */
export async function greedy(model: LanguageModel, ids: readonly number[], count: number): Promise<number[]> {
  const { backend, config } = model;
  const pool = backend.kvPool({
    layers: config.cacheLayers,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    format: 'f32',
  });
  const total = ids.length + count;
  const sequence = new Sequence(new PageAllocator(pool), total, model.states());
  const ring = backend.ids(total);
  const sampler = backend.sampler(config.vocabulary);
  backend.writeIds(ring, 0, Int32Array.from(ids));
  for (let start = 0, n = ids.length; start + n < total; start += n, n = 1) {
    sequence.ensure(start + n);
    backend.scope(() => {
      const hidden = model.forward(model.embed(ring, start, n), {
        kv: sequence,
        position: start,
        ranges: denseCausal(n, start + n),
        ids: { ring, start },
      });
      backend.sample(model.logits(backend.rows(hidden, n - 1, 1)), sampler, GREEDY, ring, start + n);
    });
    backend.flush();
  }
  const found = await backend.readIds(ring, ids.length, total);
  sampler.free();
  sequence.free();
  pool.free();
  backend.free(ring);
  return [...found];
}

/** Logits [vocabulary] behind the last of `ids`, which are read at once. */
export async function lastLogits(model: LanguageModel, ids: readonly number[]): Promise<Float32Array> {
  const { backend, config } = model;
  const { cacheLayers: layers, kvHeads, headDim } = config;
  const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
  const sequence = new Sequence(new PageAllocator(pool), ids.length, model.states());
  const ring = backend.ids(ids.length);
  backend.writeIds(ring, 0, Int32Array.from(ids));
  sequence.ensure(ids.length);
  const logits = backend.scope(() => {
    const ranges = denseCausal(ids.length, ids.length);
    const hidden = model.forward(model.embed(ring, 0, ids.length), {
      kv: sequence,
      position: 0,
      ranges,
      ids: { ring, start: 0 },
    });
    return model.logits(backend.rows(hidden, ids.length - 1, 1));
  });
  const values = await backend.download(logits);
  backend.free(logits);
  sequence.free();
  pool.free();
  backend.free(ring);
  return values;
}
