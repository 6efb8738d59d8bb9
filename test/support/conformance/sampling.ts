/** Sampling against the exact kept set and draw. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, SampleSpec } from '../../../src/backend/backend.ts';
import { uniform } from '../../../src/backend/random.ts';
import { distribution, draw } from '../../reference/sample.ts';
import { random } from '../random.ts';
import { expectSame } from '../tolerance.ts';
import { matrix, NO_SAMPLING, put, type Subject } from './harness.ts';

export function sampling(subject: Subject): void {
  describe('sample', () => {
    async function sampled(
      backend: Backend,
      logits: Float32Array,
      spec: Partial<SampleSpec>,
      { index = 0, seen = [], mask }: { index?: number; seen?: number[]; mask?: Uint32Array } = {},
    ): Promise<number> {
      const sampler = backend.sampler(logits.length);
      const ring = backend.ids(index + 1);
      sampler.reset(Int32Array.from(seen));
      sampler.mask(mask);
      backend.scope(() => {
        backend.sample(backend.upload(logits, [1, logits.length]), sampler, { ...NO_SAMPLING, ...spec }, ring, index);
      });
      const [id] = await backend.readIds(ring, index, index + 1);
      backend.free(ring);
      sampler.free();
      return id!;
    }

    test.each([1, 2, 31, 33, 255, 1000, 32003])(
      'greedy among %i: the highest, the lowest id among equals',
      async (vocabulary) => {
        const r = random(vocabulary);
        const logits = r.normals(vocabulary);
        const best = r.integer(0, vocabulary);
        const equal = r.integer(0, vocabulary);
        logits[best] = 9;
        logits[equal] = 9;
        expect(await sampled(subject.device, logits, { temperature: 0 })).toBe(Math.min(best, equal));
        expect(
          await sampled(
            subject.device,
            logits.map((v) => v - 100),
            { temperature: 0 },
          ),
        ).toBe(Math.min(best, equal));
        expect(await sampled(subject.device, new Float32Array(vocabulary), { temperature: 0 })).toBe(0);
      },
    );

    /** Draws that fall within f32's reach of a border of the CDF are the backend's to decide. */
    async function sameDraws(
      what: string,
      logits: Float32Array,
      spec: SampleSpec,
      indices: readonly number[],
      seen: number[] = [],
      mask?: Uint32Array,
    ): Promise<void> {
      const exact = distribution(logits, spec, new Set(seen), mask)!;
      const kept = new Set(exact.ids);
      let decided = 0;
      for (const index of indices) {
        const id = await sampled(subject.device, logits, spec, { index, seen, ...(mask ? { mask } : {}) });
        if (!kept.has(id))
          throw new Error(`sample ${what}, index ${index}: drew ${id}, which is not among the ${kept.size} ids kept`);
        const u = uniform(spec.seed, index);
        let cumulative = 0;
        let margin = 1;
        for (const p of exact.probabilities) margin = Math.min(margin, Math.abs((cumulative += p) - u));
        if (margin < 1e-6) continue;
        decided++;
        const wanted = draw(exact, spec.seed, index);
        if (id !== wanted)
          throw new Error(
            `sample ${what}, index ${index}: drew ${id}, expected ${wanted} (u ${u}, ${kept.size} ids kept)`,
          );
      }
      expect(decided).toBeGreaterThan(indices.length / 2);
    }
    const INDICES = [0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 100];

    test.each([
      { temperature: 1 },
      { temperature: 0.3 },
      { temperature: 2.5 },
      { topK: 1 },
      { topK: 5 },
      { topK: 300 },
      { topK: 100000 },
      { topP: 0.9 },
      { topP: 0.3 },
      { topP: 0.01 },
      { minP: 0.05 },
      { minP: 0.5 },
      { minP: 1 },
      { temperature: 0.7, topK: 40, topP: 0.8, minP: 0.02 },
    ])('%j', async (part) => {
      for (const vocabulary of [50, 1000]) {
        const logits = random(vocabulary).normals(vocabulary, 2);
        for (const seed of [0, 7, 4294967295]) {
          const spec = { ...NO_SAMPLING, ...part, seed };
          await sameDraws(
            `${JSON.stringify(part)}, vocabulary ${vocabulary}, seed ${seed}`,
            logits,
            spec,
            seed === 7 ? INDICES : INDICES.slice(0, 3),
          );
        }
      }
    });

    test('a large vocabulary', async () => {
      const logits = random(71).normals(151936, 3);
      await sameDraws(
        '151936 ids',
        logits,
        { ...NO_SAMPLING, temperature: 0.7, topK: 20, topP: 0.8, seed: 5 },
        INDICES.slice(0, 4),
      );
      await sameDraws('151936 ids, top-p alone', logits, { ...NO_SAMPLING, topP: 0.5, seed: 5 }, INDICES.slice(0, 4));
    });

    test('equal logits are kept or dropped together', async () => {
      const logits = Float32Array.of(1, 3, 2, 3, 2, 2, 0, 1);
      await sameDraws('top-k 3 with ties', logits, { ...NO_SAMPLING, topK: 3 }, INDICES);
      await sameDraws('top-p 0.5 with ties', logits, { ...NO_SAMPLING, topP: 0.5 }, INDICES);
      await sameDraws('all equal, top-k 2', new Float32Array(40), { ...NO_SAMPLING, topK: 2 }, INDICES);
    });

    test('penalties for ids seen, prompt and drawn alike', async () => {
      const logits = random(72).normals(200, 2);
      const seen = [0, 3, 5, 31, 32, 64, 199, 5];
      await sameDraws(
        'repetition penalty',
        logits,
        { ...NO_SAMPLING, repetitionPenalty: 1.7, temperature: 0.5 },
        INDICES,
        seen,
      );
      await sameDraws(
        'presence penalty',
        logits,
        { ...NO_SAMPLING, presencePenalty: 1.5, temperature: 0.5 },
        INDICES,
        seen,
      );
      // Greedy with a strong penalty walks down the ranking, because each draw is marked as seen; reset forgets.
      const ranking = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
      const sampler = subject.device.sampler(200);
      const ring = subject.device.ids(8);
      const walk = async (): Promise<Int32Array> => {
        for (let i = 0; i < 6; i++) {
          subject.device.scope(() => {
            subject.device.sample(
              subject.device.upload(logits, [1, 200]),
              sampler,
              { ...NO_SAMPLING, temperature: 0, presencePenalty: 100 },
              ring,
              i,
            );
          });
        }
        return subject.device.readIds(ring, 0, 6);
      };
      sampler.reset(Int32Array.of());
      expectSame(await walk(), ranking.slice(0, 6), 'presence penalty over draws');
      sampler.reset(Int32Array.of(ranking[0]!));
      expectSame(await walk(), ranking.slice(1, 7), 'presence penalty after reset');
      sampler.free();
      subject.device.free(ring);
    });

    test('mask', async () => {
      const logits = random(73).normals(77, 2);
      const mask = new Uint32Array(3);
      for (const id of [1, 4, 31, 32, 40, 76]) mask[id >> 5]! |= 1 << (id & 31);
      await sameDraws('mask', logits, NO_SAMPLING, INDICES, [], mask);
      await sameDraws(
        'mask and top-k',
        logits,
        { ...NO_SAMPLING, topK: 2, repetitionPenalty: 1.3 },
        INDICES,
        [4, 5],
        mask,
      );
      const only = new Uint32Array(3);
      only[2] = 1 << 12;
      expect(await sampled(subject.device, logits, { temperature: 0 }, { mask: only })).toBe(76);
      expect(await sampled(subject.device, logits, { temperature: 0 }, { mask: new Uint32Array(3) })).toBe(-1);
      // NaN behind the mask does not count; the mask can be taken off again.
      const damaged = logits.slice();
      damaged[2] = NaN;
      expect(await sampled(subject.device, damaged, { temperature: 0 }, { mask: only })).toBe(76);
    });

    test('NaN, or nothing above minus infinity, gives -1 and no crash', async () => {
      for (const vocabulary of [33, 5000]) {
        for (const at of [0, 32, vocabulary - 1]) {
          const logits = random(74).normals(vocabulary);
          logits[at] = NaN;
          expect(await sampled(subject.device, logits, { temperature: 0 })).toBe(-1);
          expect(await sampled(subject.device, logits, { temperature: 0.8, topK: 10, topP: 0.9 })).toBe(-1);
        }
        expect(await sampled(subject.device, new Float32Array(vocabulary).fill(-Infinity), {})).toBe(-1);
        const one = new Float32Array(vocabulary).fill(-Infinity);
        one[20] = -5;
        expect(await sampled(subject.device, one, {})).toBe(20);
        expect(await sampled(subject.device, one, { temperature: 0, repetitionPenalty: 2 }, { seen: [0, 20] })).toBe(
          20,
        );
      }
    });

    test('seeds: the same draws again, others with another', async () => {
      const logits = random(75).normals(500, 0.5);
      const draws = async (seed: number): Promise<number[]> => {
        const out: number[] = [];
        for (const index of INDICES) out.push(await sampled(subject.device, logits, { seed }, { index }));
        return out;
      };
      const first = await draws(1);
      expect(await draws(1)).toEqual(first);
      expect(await draws(2)).not.toEqual(first);
    });

    test('the id drawn feeds the next step on the device', async () => {
      const r = random(76);
      const table = matrix(r, 'table', 'Q8_0', [64, 32]);
      const head = matrix(r, 'head', 'F32', [64, 32]);
      const chain = async (backend: Backend): Promise<Int32Array> => {
        const [t, h] = [await put(backend, table), await put(backend, head)];
        const ring = backend.ids(20);
        const sampler = backend.sampler(64);
        backend.writeIds(ring, 0, Int32Array.of(17));
        for (let i = 0; i < 19; i++) {
          backend.scope(() => {
            backend.sample(
              backend.linear(backend.embed(t, ring, i, 1), [h]),
              sampler,
              { ...NO_SAMPLING, temperature: 0, presencePenalty: 100 },
              ring,
              i + 1,
            );
          });
          backend.flush();
        }
        const ids = await backend.readIds(ring, 0, 20);
        for (const weight of [t, h]) weight.free();
        backend.free(ring);
        sampler.free();
        return ids;
      };
      expectSame(await chain(subject.device), await chain(subject.truth), '19 steps of embed, linear, sample');
    });
  });
}
