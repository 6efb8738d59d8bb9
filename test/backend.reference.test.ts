/** The reference passes the suite that it is the truth of, and agrees with values worked out by hand. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Tensor, Weight } from '../src/backend/backend.ts';
import { denseCausal } from '../src/context/ranges.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { activate, erf } from './reference/maths.ts';
import { distribution } from './reference/sample.ts';
import { conformance } from './support/conformance.ts';

conformance('reference', async () => createReferenceBackend());

async function weight(backend: Backend, shape: number[], values: number[]): Promise<Weight> {
  const writer = backend.weight({ name: 'w', shape, format: 'F32' });
  await writer.write(new Uint8Array(Float32Array.from(values).buffer));
  return writer.finish();
}
async function values(backend: Backend, body: () => Tensor): Promise<number[]> {
  return [...(await backend.download(backend.scope(body)))];
}
const close = (found: number[], wanted: number[]): void => {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(wanted[i]!))));
};

describe('by hand', () => {
  test('activations (values of the error function from Abramowitz and Stegun, table 7.1)', () => {
    close([0.5, 1, 2, 3, -1].map(erf), [0.5204998778, 0.8427007929, 0.9953222650, 0.9999779095, -0.8427007929]);
    close([activate('silu', 1), activate('gelu', 1), activate('geluTanh', 1), activate('silu', -20)], [0.7310585786, 0.8413447461, 0.8411919906, -4.12230724e-8]);
  });

  test('linear: norm, then product, bias, activation, residual', async () => {
    const b = createReferenceBackend();
    const w = await weight(b, [2, 2], [1, 2, 3, 4]);
    const norm = await weight(b, [2], [2, 1]);
    const bias = await weight(b, [2], [10, 20]);
    // [3, 4] has mean square 12.5; with epsilon 12.5 the norm divides by 5: [6/5, 4/5].
    const x = (): Tensor => b.upload(Float32Array.of(3, 4), [1, 2]);
    const spec = { kind: 'rms', weight: norm, epsilon: 12.5 } as const;
    close(await values(b, () => b.norm(x(), spec)), [1.2, 0.8]);
    close(await values(b, () => b.linear(x(), [w], { norm: spec })), [2.8, 6.8]);
    close(await values(b, () => b.linear(x(), [w, w], { bias: [bias, undefined] })), [21, 45, 11, 25]);
    // Layer norm of [3, 4]: mean 3.5, variance 0.25; epsilon 0: [-1, 1].
    close(await values(b, () => b.norm(x(), { kind: 'layer', weight: norm, bias, epsilon: 0 })), [8, 21]);
    const residual = (): Tensor => b.upload(Float32Array.of(100, 200), [1, 2]);
    close(await values(b, () => b.linear(x(), [w], { activation: 'silu', residual: residual() })), [100 + 11 / (1 + Math.exp(-11)), 225]);
    close(await values(b, () => b.gatedMlp(b.upload(Float32Array.of(1, 0), [1, 2]), w, w, { activation: 'silu' })), [0.7310585786, 9 / (1 + Math.exp(-3))]);
  });

  test('RoPE at a quarter turn, both styles; attention over two keys', async () => {
    const b = createReferenceBackend();
    const inverseFrequency = Float64Array.of(Math.PI / 2, 0);
    const view = (): { pool: ReturnType<Backend['kvPool']>; blocks: number; table: Int32Array; version: number } => {
      const pool = b.kvPool({ layers: 1, kvHeads: 1, headDim: 4, format: 'f32' });
      pool.reserve(1);
      return { pool, blocks: 1, table: Int32Array.of(0), version: 1 };
    };
    const qkv = Float32Array.of(1, 2, 3, 4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 7, 0, 0, 0);
    const turn = (style: 'half' | 'interleaved'): Promise<number[]> =>
      values(b, () => b.ropeAppend(b.upload(qkv, [2, 12]), view(), 0, 0, { heads: 1, rope: { inverseFrequency, magnitude: 1, style } }));
    // Position 1 turns the first pair by 90 degrees: (a, b) -> (-b, a).
    close(await turn('half'), [1, 2, 3, 4, -3, 2, 1, 4]);
    close(await turn('interleaved'), [1, 2, 3, 4, -2, 1, 3, 4]);

    const kv = view();
    const rope = { inverseFrequency: new Float64Array(2), magnitude: 1, style: 'half' } as const;
    b.scope(() => {
      b.ropeAppend(b.upload(Float32Array.of(0, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0), [2, 12]), kv, 0, 0, { heads: 1, rope });
    });
    // Scores ln 3 and 0: weights 3/4 and 1/4 for the second query; the first sees one key.
    const q = Float32Array.of(9, 9, 9, 9, Math.log(3), 0, 0, 0);
    close(await values(b, () => b.attention(b.upload(q, [2, 4]), kv, 0, 0, denseCausal(2, 2), { heads: 1, scale: 1 })), [10, 0, 0, 0, 12.5, 0, 0, 0]);
  });

  test('what sampling keeps', () => {
    const spec = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 0 };
    const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log);
    const kept = (part: object, seen: number[] = []): readonly number[] | undefined => distribution(logits, { ...spec, ...part }, new Set(seen))?.ids;
    expect(kept({ topP: 0.5 })).toEqual([0]);
    expect(kept({ topP: 0.51 })).toEqual([0, 1]);
    expect(kept({ topP: 0.8 })).toEqual([0, 1, 2, 3]);
    expect(kept({ topK: 2 })).toEqual([0, 1]);
    expect(kept({ topK: 3 })).toEqual([0, 1, 2, 3]);
    expect(kept({ minP: 0.4 })).toEqual([0, 1]);
    // After top-k 2 the probabilities are 2/3 and 1/3.
    expect(kept({ topK: 2, topP: 0.6 })).toEqual([0]);
    // ln 0.5 is negative, so the penalty multiplies: ln 0.5 * 2 = ln 0.25.
    const penalised = distribution(logits, { ...spec, repetitionPenalty: 2 }, new Set([0]));
    close([...penalised!.probabilities], [1 / 3, 1 / 3, 1 / 6, 1 / 6]);
    close([...distribution(logits, { ...spec, temperature: 0.5 }, new Set())!.probabilities], [16 / 22, 4 / 22, 1 / 22, 1 / 22]);
  });
});
