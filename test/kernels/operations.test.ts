/** Every operation of the CPU engine on every build against the f64 reference: seeded shapes, awkward ones, several threads. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend, KvSpec, KvView, Ranges, Tensor, Weight } from '../../src/backend/backend.ts';
import { weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { quantise } from '../support/quantise.ts';
import { random, type Random } from '../support/random.ts';
import { expectClose, expectNmse, productTolerance, TOLERANCE } from '../support/tolerance.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

async function weightOn(backend: Backend, name: string, shape: number[], format: WeightFormat, values: Float32Array, chunk = 1000): Promise<Weight> {
  const writer = backend.weight({ name, shape, format });
  const bytes = quantise(format, values);
  expect(bytes.length).toBe(weightBytes({ name, shape, format }));
  for (let at = 0; at < bytes.length; at += chunk) await writer.write(bytes.subarray(at, at + chunk));
  return writer.finish();
}

/** The reference is slow: each program runs on it once for all builds. */
const known = new Map<string, Promise<Float32Array>>();

/** Runs the same program on both backends and returns both downloads. */
async function both(backend: Backend, name: string, program: (on: Backend) => Promise<Tensor>): Promise<[Float32Array, Float32Array]> {
  const key = `${expect.getState().currentTestName?.replace(/^\S+ /, '')} ${name}`;
  const run = async (on: Backend): Promise<Float32Array> => on.download(await program(on));
  const wanted = known.get(key) ?? run(createReferenceBackend());
  known.set(key, wanted);
  return [await run(backend), await wanted];
}

/** A view whose pages are scattered. */
function viewOn(backend: Backend, spec: KvSpec, blocks: number, r: Random): KvView {
  const pool = backend.kvPool(spec);
  const count = spec.layers * spec.kvHeads * blocks;
  pool.reserve(count + 3);
  const table = Int32Array.from(r.shuffle(Array.from({ length: count }, (_, i) => i + 2)));
  return { pool, blocks, table, version: 1 };
}

const dense = (queries: number, keys: number, causal: boolean, queryBlock = queries): Ranges => {
  const blocks = Math.ceil(queries / queryBlock);
  return {
    queryBlock, shared: true, causal,
    offsets: Uint32Array.from({ length: blocks + 1 }, (_, i) => i),
    runs: Uint32Array.from({ length: 2 * blocks }, (_, i) => (i & 1 ? keys : 0)),
  };
};

describe.each(TEST_BUILDS)('%s', (build) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openWasmBackend(build);
  });
  afterAll(() => backend.destroy());

  test.each([
    ['F32', 3, 64, [40]], ['F32', 1, 8, [1]], ['F16', 5, 36, [17, 3]], ['Q8_0', 1, 64, [64, 16, 16]], ['Q8_0', 19, 96, [33]],
    ['Q4_0', 1, 448, [128]], ['Q4_0', 300, 64, [48]], ['Q4_K', 7, 512, [70]], ['Q6_K', 2, 256, [31, 16]], ['BF16', 4, 32, [16]],
  ] as const)('linear %s, %d tokens, %d cols, rows %j', async (format, count, cols, rows) => {
    for (const full of [false, true]) {
      const [found, wanted] = await both(backend, String(full), async (on) => {
        const r = random(cols + count);
        const x = on.upload(r.normals(count * cols), [count, cols]);
        const weights: Weight[] = [];
        const bias: (Weight | undefined)[] = [];
        for (const n of rows) {
          weights.push(await weightOn(on, 'w', [n, cols], format, r.normals(n * cols, 0.1)));
          bias.push(n === 16 ? undefined : await weightOn(on, 'b', [n], 'F32', r.normals(n)));
        }
        if (!full) return on.linear(x, weights);
        const total = rows.reduce((a: number, b: number) => a + b, 0);
        const norm = { kind: 'layer', weight: await weightOn(on, 'n', [cols], 'F32', r.normals(cols)), bias: await weightOn(on, 'm', [cols], 'F32', r.normals(cols)), epsilon: 1e-5 } as const;
        return on.linear(x, weights, { norm, bias, activation: 'gelu', residual: on.upload(r.normals(count * total), [count, total]) });
      });
      expectNmse(found, wanted, productTolerance(format), `linear ${format} ${count}x${cols} ${full ? 'full' : 'plain'}`);
    }
  });

  test.each([['F32', 'silu', 1, 64, 40], ['Q8_0', 'geluTanh', 20, 64, 48], ['Q4_K', 'silu', 270, 256, 33], ['F16', 'gelu', 2, 40, 100]] as const)(
    'gatedMlp %s %s %d x %d x %d', async (format, activation, count, cols, rows) => {
      const [found, wanted] = await both(backend, '', async (on) => {
        const r = random(rows);
        const x = on.upload(r.normals(count * cols), [count, cols]);
        const gate = await weightOn(on, 'g', [rows, cols], format, r.normals(rows * cols, 0.2));
        const up = await weightOn(on, 'u', [rows, cols], format, r.normals(rows * cols, 0.2));
        return on.gatedMlp(x, gate, up, { activation, norm: { kind: 'rms', weight: await weightOn(on, 'n', [cols], 'F32', r.normals(cols)), epsilon: 1e-6 } });
      });
      expectNmse(found, wanted, productTolerance(format), 'gatedMlp');
    },
  );

  test.each([['rms', 1, 1], ['rms', 3, 7], ['layer', 17, 66], ['rms', 33, 260]] as const)('norm %s %d x %d', async (kind, count, cols) => {
    const [found, wanted] = await both(backend, '', async (on) => {
      const r = random(cols);
      const weight = await weightOn(on, 'n', [cols], 'F32', r.normals(cols));
      return on.norm(on.upload(r.normals(count * cols, 3), [count, cols]), { kind, weight, epsilon: 1e-6 });
    });
    expectNmse(found, wanted, TOLERANCE.reduction, 'norm');
  });

  test('embed decodes rows, and gives NaN for an id that is none', async () => {
    const [found, wanted] = await both(backend, '', async (on) => {
      const table = await weightOn(on, 'e', [70, 64], 'Q8_0', random(1).normals(70 * 64));
      const ring = on.ids(40);
      on.writeIds(ring, 3, Int32Array.from({ length: 20 }, (_, i) => (i === 5 ? -1 : (i * 37) % 70)));
      return on.embed(table, ring, 3, 20);
    });
    expectClose(found.filter((v) => !Number.isNaN(v)), wanted.filter((v) => !Number.isNaN(v)), TOLERANCE.elementwise, 'embed');
    expect(found.map(Number.isNaN)).toEqual(wanted.map(Number.isNaN));
  });

  test.each([
    ['f32', 4, 2, 8, 'half'], ['f32', 14, 2, 64, 'half'], ['f16', 6, 3, 16, 'interleaved'], ['f32', 2, 1, 6, 'interleaved'], ['f16', 4, 4, 80, 'half'],
  ] as const)('ropeAppend and attention, %s, %d heads over %d of %d, %s', async (format, heads, kvHeads, headDim, style) => {
    const spec: KvSpec = { layers: 2, kvHeads, headDim, format };
    const program = (key: number) => async (on: Backend): Promise<Tensor> => {
      const s = random(7 + key);
      const kv = viewOn(on, spec, 40, s);
      const rope = { inverseFrequency: Float64Array.from({ length: headDim / 2 - 1 }, (_, i) => 10000 ** (-i / (headDim / 2))), magnitude: 1.1, style } as const;
      const width = (heads + 2 * kvHeads) * headDim;
      const norms = key === 0 ? {} : {
        qNorm: { kind: 'rms', weight: await weightOn(on, 'q', [headDim], 'F32', s.normals(headDim)), epsilon: 1e-6 } as const,
        kNorm: { kind: 'rms', weight: await weightOn(on, 'k', [headDim], 'F32', s.normals(headDim)), epsilon: 1e-6 } as const,
      };
      const first = on.ropeAppend(on.upload(s.normals(75 * width), [75, width]), kv, 1, 0, { heads, rope, ...norms });
      if (key === 1) return on.attention(first, kv, 1, 0, dense(75, 75, true), { heads, scale: 0.2 });
      if (key === 2) return on.attention(first, kv, 1, 0, dense(75, 75, false, 32), { heads, scale: 0.2 });
      const more = on.ropeAppend(on.upload(s.normals(500 * width), [500, width]), kv, 1, 75, { heads, rope, ...norms });
      const q = on.rows(more, 497, 3);
      if (key === 3) return on.attention(q, kv, 1, 75 + 497, dense(3, 5000, true, 2), { heads, scale: 0.2 });
      if (key === 4) return on.attention(on.rows(q, 2, 1), kv, 1, 75 + 499, dense(1, 575, true), { heads, scale: 0.2 });
      if (key === 0) return more;
      const runs: number[] = [];
      const offsets = [0];
      for (let list = 0; list < 2 * kvHeads; list++) {
        if (list !== 1) runs.push(0, 3, 30, 34, 70, 71, 100 + list, 203, 510, 575);
        offsets.push(runs.length / 2);
      }
      const ranges: Ranges = { queryBlock: 2, shared: false, causal: true, offsets: Uint32Array.from(offsets), runs: Uint32Array.from(runs) };
      return on.attention(q, kv, 1, 75 + 497, ranges, { heads, scale: 0.2 });
    };
    for (let key = 0; key < 6; key++) {
      const [found, wanted] = await both(backend, String(key), program(key));
      expectNmse(found, wanted, format === 'f32' || key === 0 ? TOLERANCE.reduction : TOLERANCE.half, `case ${key}`);
    }
  });

  test('sample draws the ids of the reference', async () => {
    const reference = createReferenceBackend();
    const r = random(5);
    for (const vocabulary of [1, 5, 33, 512, 3001]) {
      for (let i = 0; i < 60; i++) {
        const logits = r.normals(vocabulary, 4);
        if (i % 4 === 1) for (let k = 0; k < vocabulary; k++) logits[k] = Math.round(logits[k]!);
        if (i === 7) logits[0] = NaN;
        if (i === 8) logits[vocabulary - 1] = Infinity;
        if (i === 9) logits.fill(-Infinity);
        const spec = {
          temperature: r.pick([0, 0.7, 1, 1.5]), topK: r.pick([0, 1, 5, 40]), topP: r.pick([1, 0.9, 0.3]), minP: r.pick([0, 0.05]),
          repetitionPenalty: r.pick([1, 1.3]), presencePenalty: r.pick([0, 0.5]), seed: r.integer(0, 2 ** 32),
        };
        const seen = Int32Array.from({ length: 5 }, () => r.integer(0, vocabulary));
        const mask = i % 3 === 0 ? Uint32Array.from({ length: Math.ceil(vocabulary / 32) }, () => r.integer(0, 2 ** 32)) : undefined;
        const ids = await Promise.all([backend, reference].map(async (on) => {
          const sampler = on.sampler(vocabulary);
          sampler.reset(seen);
          sampler.mask(mask);
          const ring = on.ids(8);
          for (const index of [2, 3, 4]) on.sample(on.upload(logits, [1, vocabulary]), sampler, spec, ring, index);
          sampler.free();
          return on.readIds(ring, 2, 5);
        }));
        expect({ vocabulary, i, spec, ids: ids[0] }).toEqual({ vocabulary, i, spec, ids: ids[1] });
      }
    }
  });
});
