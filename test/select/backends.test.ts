/** Streaming heads, eviction and every decode method on every backend: the choices of the f64 loops, and nothing left on the device. */
import { describe, expect, test } from '@jest/globals';
import type { Planner } from '../../src/kv/plan.ts';
import { createPlanner } from '../../src/select/index.ts';
import type { ContextOptions } from '../../src/select/options.ts';
import { testBackends } from '../support/backends.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';
import { openWasm } from '../support/wasm.ts';
import { Bed, DIM, HEADS, KV_HEADS, LAYERS, type Seen } from './bed.ts';
import type { Backend } from '../../src/backend/backend.ts';

const wasm = await openWasm('simd');
const backends = (await testBackends()).filter(({ name }) => name !== 'reference');
const facts = {
  wasm,
  layers: LAYERS,
  heads: HEADS,
  kvHeads: KV_HEADS,
  headDim: DIM,
  endsSentence: (id: number) => id === 0,
  semantic: new Float32Array(LAYERS * HEADS).fill(1),
  streaming: { layers: LAYERS, kvHeads: KV_HEADS, streams: Uint8Array.of(0, 1, 1, 0) },
};
const METHODS: readonly ContextOptions[] = [
  { decode: { method: 'tokens', budget: 20, sinks: 4, local: 16 }, heads: { method: 'razor', sinks: 10, window: 50 } },
  { decode: { method: 'sentences', budget: 40, sinks: 4, local: 16 }, evict: { method: 'snapkv', keep: 0.6 } },
  { decode: { method: 'retrieve', budget: 64, sinks: 4, local: 16 }, evict: { method: 'compresskv', keep: 0.6 } },
  {
    decode: { method: 'window', budget: 40, sinks: 4 },
    heads: { method: 'mean-query', sinks: 10, window: 50 },
    evict: { method: 'snapkv', keep: 0.5 },
  },
];

/** Two turns in chunks, a few tokens after each. */
async function story(
  backend: Backend,
  options: ContextOptions,
  format: 'f32' | 'f16',
): Promise<{ seen: Seen[]; pages: number[] }> {
  const bed = new Bed(21, 480, { backend, format });
  const planner: Planner = createPlanner(options, facts)!;
  const seen: Seen[] = [];
  const pages: number[] = [];
  for (const end of [290, 450]) {
    await bed.prefill(planner, end, 96);
    for (let position = end; position < end + 4; position++) seen.push(...(await bed.decode(planner, position, end)));
    pages.push(bed.pages.used);
  }
  planner.free();
  bed.free();
  await backend.idle();
  bed.pages.pool.free();
  return { seen, pages };
}

describe.each(backends)('$name', ({ create }) => {
  test.each([...METHODS.map((options) => [options, 'f32'] as const), [METHODS[0]!, 'f16'] as const])(
    '%j, %s',
    async (options, format) => {
      const backend = await create();
      const found = await story(backend, options, format);
      const wanted = await story(createReferenceBackend(), options, format);
      expect(found.pages).toEqual(wanted.pages);
      found.seen.forEach(({ ranges, output }, i) => {
        expect(ranges).toEqual(wanted.seen[i]!.ranges);
        expectNmse(
          output,
          wanted.seen[i]!.output,
          format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction,
          `call ${i}`,
        );
      });
      // Memory of pages grows in slabs; nothing else stays.
      expect(backend.memory().activations).toBe(0);
      backend.destroy();
    },
  );
});
