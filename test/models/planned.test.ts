/** A decoder that is told layer by layer what to look at computes what it computes at once, leaves nothing behind, and lets others in between. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend, KvSpec, Ranges, Tensor } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import type { Plan } from '../../src/kv/plan.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { testBackends } from '../support/backends.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const LAYERS = 3;
const IDS = Int32Array.from({ length: 50 }, (_, i) => (i * 37) % 250);
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const { name, create } of await testBackends()) {
  describe(`plans on ${name}`, () => {
    let backend: Backend;
    let model: Model;
    beforeAll(async () => {
      backend = await create();
      const file = await openModel(tinyModel({ layers: LAYERS, window: 128 }));
      model = await loadModel(file, backend);
      await file.close();
    });
    afterAll(() => {
      model.free();
      backend.destroy();
    });

    /** A sequence, and an input that outlives scopes, for one call. */
    function begin(count: number): { readonly sequence: Sequence; readonly x: Tensor; end(): void } {
      const { layers, kvHeads, headDim } = model.language.config;
      const spec: KvSpec = { layers, kvHeads, headDim, format: 'f32' };
      const pool = backend.kvPool(spec);
      const sequence = new Sequence(new PageAllocator(pool), 128);
      const ring = backend.ids(IDS.length);
      backend.writeIds(ring, 0, IDS);
      sequence.ensure(count);
      const x = backend.keep(backend.scope(() => model.language.embed(ring, 0, count)));
      return {
        sequence,
        x,
        end: () => {
          sequence.free();
          pool.free();
          backend.free(x);
          backend.free(ring);
        },
      };
    }
    async function values(tensor: Tensor): Promise<Float32Array> {
      const found = await backend.download(tensor);
      backend.free(tensor);
      return found;
    }
    async function atOnce(ranges: Ranges, count: number): Promise<Float32Array> {
      const { sequence, x, end } = begin(count);
      const found = await values(backend.scope(() => model.language.forward(x, { kv: sequence, position: 0, ranges })));
      end();
      return found;
    }
    const settled = async (): Promise<ReturnType<Backend['memory']>> => {
      await backend.idle();
      return backend.memory();
    };

    test('to the bit what one list for all layers gives, whether it answers at once or later; asked in order, with queries', async () => {
      const wanted = await atOnce(denseCausal(40, 40), 40);
      const before = await settled();
      for (const wait of [false, true]) {
        const { sequence, x, end } = begin(40);
        const asked: number[] = [];
        const plan: Plan = {
          ranges: (layer, q) => {
            asked.push(layer);
            expect(q.shape).toEqual([40, 64]);
            const ranges = denseCausal(40, 40);
            return wait
              ? backend.download(q).then((read) => (expect(read.every(Number.isFinite)).toBe(true), ranges))
              : ranges;
          },
        };
        expect(await values(await model.language.forwardPlanned(x, { kv: sequence, position: 0, plan }))).toEqual(
          wanted,
        );
        expect(asked).toEqual([0, 1, 2]);
        end();
      }
      expect((await settled()).kv).toBe(before.kv);
    });

    test('each layer has the ranges that it was given', async () => {
      const { sequence, x, end } = begin(40);
      const own: Ranges = {
        queryBlock: 1,
        shared: true,
        causal: true,
        offsets: Uint32Array.from({ length: 41 }, (_, i) => i),
        runs: Uint32Array.from({ length: 80 }, (_, i) => (i + (i % 2)) >> 1),
      };
      const found = await values(
        await model.language.forwardPlanned(x, {
          kv: sequence,
          position: 0,
          plan: {
            ranges: (layer) => (layer === 1 ? own : denseCausal(40, 40)),
          },
        }),
      );
      end();
      const [dense, narrow] = [await atOnce(denseCausal(40, 40), 40), await atOnce(own, 40)];
      expect(found).not.toEqual(dense);
      expect(found).not.toEqual(narrow);
      // The first token sees itself in any case.
      expect(found.subarray(0, 64)).toEqual(dense.subarray(0, 64));
    });

    test('rows that are added by layer', async () => {
      const rows = backend.keep(backend.scope(() => backend.upload(new Float32Array(40 * 64).fill(0.3), [40, 64])));
      const run = async (perLayer: readonly (Tensor | undefined)[], planned: boolean): Promise<Float32Array> => {
        const { sequence, x, end } = begin(40);
        const ranges = denseCausal(40, 40);
        const call = { kv: sequence, position: 0, perLayer };
        const hidden = planned
          ? await model.language.forwardPlanned(x, { ...call, plan: { ranges: () => ranges } })
          : backend.scope(() => model.language.forward(x, { ...call, ranges }));
        const found = await values(hidden);
        end();
        return found;
      };
      const plain = await atOnce(denseCausal(40, 40), 40);
      const last = await run([undefined, undefined, rows], false);
      expectNmse(
        last,
        plain.map((value) => value + 0.3),
        TOLERANCE.elementwise,
        'rows behind the last layer',
      );
      const middle = await run([undefined, rows], false);
      expect(middle).not.toEqual(last);
      expect(await run([undefined, rows], true)).toEqual(middle);
      backend.free(rows);
    });

    test('two at a time do not disturb each other', async () => {
      const wanted = [await atOnce(denseCausal(40, 40), 40), await atOnce(denseCausal(7, 7), 7)];
      const found = await Promise.all(
        [40, 7].map(async (count) => {
          const { sequence, x, end } = begin(count);
          const hidden = await model.language.forwardPlanned(x, {
            kv: sequence,
            position: 0,
            plan: {
              ranges: async () => (await later(), denseCausal(count, count)),
            },
          });
          const read = await values(hidden);
          end();
          return read;
        }),
      );
      expect(found).toEqual(wanted);
    });

    test('a plan that fails, at once or later, or gives what cannot be, leaves nothing behind', async () => {
      const before = await settled();
      const fails: Plan['ranges'][] = [
        (layer) => {
          if (layer === 1) throw new Error('no plan');
          return denseCausal(9, 9);
        },
        async (layer) => {
          await later();
          if (layer === 2) throw new Error('no plan');
          return denseCausal(9, 9);
        },
        (layer) => (layer === 1 ? { ...denseCausal(9, 9), offsets: new Uint32Array(0) } : denseCausal(9, 9)),
      ];
      for (const ranges of fails) {
        const { sequence, x, end } = begin(9);
        await expect(model.language.forwardPlanned(x, { kv: sequence, position: 0, plan: { ranges } })).rejects.toThrow(
          /no plan|offsets|ranges/,
        );
        end();
        const after = await settled();
        expect([after.kv, after.activations]).toEqual([before.kv, before.activations]);
      }
      expect(await atOnce(denseCausal(9, 9), 9)).toHaveLength(9 * 64);
    });
  });
}
