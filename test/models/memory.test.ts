/** What a forward pass holds at once is one layer's, however many layers there are. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Tensor } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { openWasmBackend } from '../support/wasm.ts';

const TOKENS = 64;

/** The most activation bytes that were alive when an operation ended, in a prefill of `TOKENS` tokens. */
async function peakActivations(layers: number): Promise<number> {
  const backend = await openWasmBackend('scalar');
  let peak = 0;
  const watched = new Set(['linear', 'gatedMlp', 'attention', 'ropeAppend', 'embed']);
  const watching = new Proxy(backend, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...values: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, target, values);
        if (watched.has(String(name))) peak = Math.max(peak, target.memory().activations);
        return result;
      };
    },
  }) as Backend;
  const model = (await loadModel(await openModel(tinyModel({ layers })), watching)).language;
  const { kvHeads, headDim } = model.config;
  const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
  const sequence = new Sequence(new PageAllocator(pool), TOKENS);
  sequence.ensure(TOKENS);
  const ring = backend.ids(TOKENS);
  backend.scope((): Tensor =>
    model.forward(model.embed(ring, 0, TOKENS), { kv: sequence, position: 0, ranges: denseCausal(TOKENS, TOKENS) }),
  );
  backend.destroy();
  return peak;
}

describe('activations', () => {
  test('of 12 layers are those of 2', async () => {
    const few = await peakActivations(2);
    expect(few).toBeGreaterThan(TOKENS * 64 * 4);
    expect(await peakActivations(12)).toBe(few);
  });
});
