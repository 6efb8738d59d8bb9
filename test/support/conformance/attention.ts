/** RoPE and append, attention over ranges and pages, and the page pool itself. */
import { describe, expect, test } from '@jest/globals';
import {
  PAGE_TOKENS,
  pageNumber,
  type Backend,
  type KvSpec,
  type KvView,
  type Ranges,
  type RopeSpec,
  type Tensor,
  type Weight,
} from '../../../src/backend/backend.ts';
import { checkRanges } from '../../../src/backend/page-checks.ts';
import { bidirectional, denseCausal, slidingWindow } from '../../../src/kv/ranges.ts';
import { random } from '../random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../tolerance.ts';
import { put, rope, shuffledView, vector, type Subject } from './harness.ts';

export function attention(subject: Subject): void {
  /** Prefix, then calls: positions are filled in steps, so that pages written by one call are read by the next. */
  interface AttentionCase {
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly format?: 'f32' | 'f16';
    readonly steps: readonly number[];
    /** 'none' rotates nothing. */
    readonly style?: RopeSpec['style'] | 'none';
    readonly rotary?: number;
    readonly magnitude?: number;
    readonly normed?: boolean;
    /** Heads of the layer, where they are smaller and fewer than the pool's. */
    readonly own?: { readonly headDim: number; readonly kvHeads: number };
    /** Normalises v. */
    readonly vEpsilon?: number;
    /** Values are multiplied by a Hadamard matrix. */
    readonly hadamard?: boolean;
    readonly first?: number;
    readonly ranges?: (queries: number, position: number, kvHeads: number) => Ranges;
  }

  async function attend(backend: Backend, it: AttentionCase): Promise<{ q: Float32Array; out: Float32Array }> {
    const {
      heads,
      kvHeads,
      headDim,
      format = 'f32',
      steps,
      style = 'half',
      rotary = it.own?.headDim ?? headDim,
      magnitude = 1,
      normed = false,
      first = 0,
      own = { headDim, kvHeads },
      vEpsilon,
      hadamard = false,
    } = it;
    const ranges = it.ranges ?? ((queries: number, position: number) => denseCausal(queries, position + queries));
    const r = random(heads * 1000 + headDim);
    const total = first + steps.reduce((a, b) => a + b, 0);
    const layers = 2;
    const pages = Math.ceil(total / PAGE_TOKENS) + 1;
    const view = { ...shuffledView(r, backend, { layers, kvHeads, headDim, format }, pages), hadamard };
    const norms = [vector(r, 'q_norm', own.headDim), vector(r, 'k_norm', own.headDim)];
    const held: Weight[] = [];
    for (const data of norms) held.push(await put(backend, data));
    const [qWeight, kWeight] = held as [Weight, Weight];
    const options = {
      heads,
      ...own,
      ...(vEpsilon !== undefined && { vEpsilon }),
      ...(style === 'none' ? {} : { rope: rope(headDim, style, { rotary, magnitude }) }),
      ...(normed
        ? ({
            qNorm: { kind: 'rms', weight: qWeight, epsilon: 1e-6 },
            kNorm: { kind: 'rms', weight: kWeight, epsilon: 1e-6 },
          } as const)
        : {}),
    };
    const cols = (heads + 2 * own.kvHeads) * own.headDim;
    const rotated: Float32Array[] = [];
    const found: Float32Array[] = [];
    // Positions before `first` stay unwritten: what is not in the ranges must not be read.
    let position = first;
    for (const count of steps) {
      for (let layer = 0; layer < layers; layer++) {
        const qkv = r.normals(count * cols);
        const allowed = ranges(count, position, kvHeads);
        checkRanges('test', allowed, { queryCount: count, kvHeads, keyCount: position + count });
        const [q, out] = backend.scope(() => {
          const query = backend.ropeAppend(backend.upload(qkv, [count, cols]), view, layer, position, options);
          return [
            query,
            backend.attention(query, view, layer, position, allowed, {
              heads,
              scale: 1.3 / Math.sqrt(headDim),
              headDim: own.headDim,
            }),
          ] as const;
        });
        expect(q.shape).toEqual([count, heads * headDim]);
        expect(out.shape).toEqual([count, heads * own.headDim]);
        rotated.push(await backend.download(q));
        found.push(await backend.download(out));
        backend.free(q);
        backend.free(out);
      }
      position += count;
    }
    for (const weight of held) weight.free();
    view.pool.free();
    const join = (parts: Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));
    return { q: join(rotated), out: join(found) };
  }

  async function sameAttention(it: AttentionCase): Promise<void> {
    const shape = `${it.heads}/${it.kvHeads} heads of ${it.headDim}, ${it.format ?? 'f32'} pages, steps ${it.steps.join()}${it.first ? ` from ${it.first}` : ''}`;
    const wanted = await subject.once(() => attend(subject.truth, it));
    const found = await attend(subject.device, it);
    const detail = `${it.style ?? 'half'}${it.rotary ? `, rotary ${it.rotary}` : ''}${it.normed ? ', q/k norm' : ''}${it.hadamard ? ', Hadamard' : ''}`;
    expectNmse(found.q, wanted.q, TOLERANCE.reduction, `ropeAppend ${shape}, ${detail}`);
    expectNmse(found.out, wanted.out, it.format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction, `attention ${shape}`);
  }

  describe('ropeAppend and attention', () => {
    const shapes = [
      { heads: 14, kvHeads: 2, headDim: 64 },
      { heads: 9, kvHeads: 3, headDim: 64 },
      { heads: 4, kvHeads: 4, headDim: 32 },
      { heads: 4, kvHeads: 1, headDim: 48 },
      { heads: 2, kvHeads: 1, headDim: 80 },
      { heads: 4, kvHeads: 2, headDim: 128 },
      { heads: 8, kvHeads: 4, headDim: 8 },
      { heads: 1, kvHeads: 1, headDim: 96 },
    ];
    describe.each(shapes)('$heads/$kvHeads heads of $headDim', (shape) => {
      test.each(['f32', 'f16'] as const)('%s pages: prefill, then decode across page borders', async (format) => {
        await sameAttention({ ...shape, format, steps: [31, 1, 1, 2, 33, 1] });
        await sameAttention({ ...shape, format, steps: [1, 1, 64, 1], style: 'interleaved' });
      });
      test('q and k normed, partly rotated, with magnitude', async () => {
        await sameAttention({ ...shape, steps: [33, 1], normed: true });
        await sameAttention({
          ...shape,
          steps: [5, 1],
          normed: true,
          style: 'interleaved',
          rotary: shape.headDim / 2,
          magnitude: 1.2,
        });
        await sameAttention({ ...shape, steps: [5, 1], rotary: shape.headDim / 2 });
      });
    });

    const smaller = { heads: 4, kvHeads: 2, headDim: 64 };
    test("heads smaller and fewer than the pool's, v normalised", async () => {
      const own = { headDim: 32, kvHeads: 1 };
      await sameAttention({ ...smaller, format: 'f16', own, steps: [33, 1], normed: true, vEpsilon: 0.1 });
      await sameAttention({ ...smaller, own, steps: [5, 30], style: 'interleaved', rotary: 16 });
    });
    test("heads fewer than the pool's over many keys, and smaller ones that are not rotated", async () => {
      await sameAttention({ ...smaller, own: { headDim: 32, kvHeads: 1 }, steps: [520, 1] });
      await sameAttention({ ...smaller, own: { headDim: 36, kvHeads: 2 }, steps: [9, 1], style: 'none' });
    });
    test('v normalised', async () => {
      await sameAttention({ ...smaller, format: 'f16', steps: [33, 1], vEpsilon: 1e-6 });
    });

    test('values times a Hadamard matrix: attention is what it is without', async () => {
      const own = { headDim: 36, kvHeads: 1 };
      await sameAttention({ ...smaller, format: 'f16', steps: [33, 1], normed: true, hadamard: true });
      await sameAttention({ ...smaller, steps: [5, 1], own, style: 'none', vEpsilon: 0.1, hadamard: true });
      await sameAttention({ heads: 2, kvHeads: 1, headDim: 256, steps: [9, 1], hadamard: true });
      const plain = { heads: 2, kvHeads: 1, headDim: 80, steps: [5, 1] } as const;
      const wanted = await attend(subject.device, plain);
      const found = await attend(subject.device, { ...plain, hadamard: true });
      expect(found.q).toEqual(wanted.q);
      expectNmse(found.out, wanted.out, TOLERANCE.reduction, 'attention with values times a Hadamard matrix');
    });

    test('a layer that only reads: queries without keys, over what another call wrote', async () => {
      const [heads, kvHeads, headDim, count] = [4, 2, 64, 40];
      const reading = async (backend: Backend): Promise<Float32Array[]> => {
        const r = random(5);
        const view = shuffledView(r, backend, { layers: 1, kvHeads, headDim, format: 'f32' }, 2);
        const qNorm = await put(backend, vector(r, 'norm', 32));
        const spec = { heads, headDim: 32, rope: rope(32, 'half') };
        const [q, out, keys] = backend.scope(() => {
          const cols = (heads + 2 * kvHeads) * 32;
          backend.ropeAppend(backend.upload(r.normals(count * cols), [count, cols]), view, 0, 0, spec);
          const query = backend.ropeAppend(backend.upload(r.normals(3 * heads * 32), [3, heads * 32]), view, 0, 37, {
            ...spec,
            kvHeads: 0,
            qNorm: { kind: 'rms', weight: qNorm, epsilon: 1e-6 },
          });
          return [
            query,
            backend.attention(query, view, 0, 37, denseCausal(3, count), { heads, scale: 0.2, headDim: 32 }),
            backend.cached(view, 0, 'keys', 0, count),
          ] as const;
        });
        const found = [await backend.download(q), await backend.download(out), await backend.download(keys)];
        for (const tensor of [q, out, keys]) backend.free(tensor);
        qNorm.free();
        view.pool.free();
        return found;
      };
      const wanted = await subject.once(() => reading(subject.truth));
      const found = await reading(subject.device);
      for (const [i, what] of ['queries', 'attention', 'keys'].entries())
        expectNmse(found[i]!, wanted[i]!, TOLERANCE.reduction, `${what} of a layer that only reads`);
    });

    test('long contexts', async () => {
      await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, steps: [150, 70, 1, 3] });
      await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, format: 'f16', steps: [170, 1] });
    });

    test('far positions are rotated exactly', async () => {
      const far = (queries: number, position: number): Ranges => ({
        ...denseCausal(queries, position + queries),
        runs: Uint32Array.of(5000, position + queries),
      });
      await sameAttention({ heads: 2, kvHeads: 1, headDim: 64, steps: [40, 1], first: 5000, ranges: far });
      await sameAttention({
        heads: 2,
        kvHeads: 1,
        headDim: 64,
        steps: [3, 1],
        first: 5000,
        ranges: far,
        style: 'interleaved',
      });
    });

    // Vision transformers (72, 80) and the one wide head of an autoencoder (512): not rotated, all keys seen.
    test.each([
      [4, 2, 72],
      [3, 3, 80],
      [1, 1, 512],
      [2, 1, 256],
      [2, 2, 20],
    ])('%i/%i heads of %i: bidirectional and mixed, not rotated', async (heads, kvHeads, headDim) => {
      const all = (queries: number, position: number): Ranges => bidirectional(queries, position + queries);
      await sameAttention({ heads, kvHeads, headDim, style: 'none', steps: [35], ranges: all });
      await sameAttention({ heads, kvHeads, headDim, style: 'none', steps: [1], ranges: all });
      await sameAttention({ heads, kvHeads, headDim, style: 'none', format: 'f16', steps: [9, 33, 1], ranges: all });
      // Blocks of four queries: the first see all, then each the prefix and its own block.
      const mixed = (queries: number, position: number): Ranges => {
        const offsets = [0];
        const runs: number[] = [];
        for (let first = 0; first < queries; first += 4) {
          const [start, end] = [position + first, Math.min(position + queries, position + first + 4)];
          if (first === 0) runs.push(0, position + queries);
          else runs.push(0, 3, start, end);
          offsets.push(runs.length / 2);
        }
        return {
          queryBlock: 4,
          shared: true,
          causal: false,
          offsets: Uint32Array.from(offsets),
          runs: Uint32Array.from(runs),
        };
      };
      await sameAttention({ heads, kvHeads, headDim, style: 'none', normed: true, steps: [38, 7], ranges: mixed });
      await sameAttention({ heads, kvHeads, headDim, style: 'none', steps: [33, 1, 2] });
    });

    test('bidirectional', async () => {
      await sameAttention({
        heads: 6,
        kvHeads: 2,
        headDim: 32,
        steps: [45],
        ranges: (queries, position) => bidirectional(queries, position + queries),
      });
      await sameAttention({
        heads: 6,
        kvHeads: 2,
        headDim: 32,
        steps: [20, 33, 1],
        ranges: (queries, position) => bidirectional(queries, position + queries),
      });
    });

    test('sliding window with sinks', async () => {
      for (const [window, sinks] of [
        [16, 0],
        [40, 4],
        [1, 0],
        [7, 40],
      ] as const) {
        await sameAttention({
          heads: 4,
          kvHeads: 2,
          headDim: 32,
          steps: [50, 1, 1, 30, 1],
          ranges: (queries, position) => slidingWindow(queries, position, window, sinks),
        });
      }
    });

    test('several runs a query block', async () => {
      const runs = (queries: number, position: number): Ranges => {
        const offsets = [0];
        const list: number[] = [];
        const blocks = Math.ceil(queries / 8);
        for (let b = 0; b < blocks; b++) {
          const end = position + queries;
          const pieces = [
            [0, 3],
            [5, 6],
            [9 + b, 20 + b],
            [33, 34],
            [40, 70],
          ]
            .map(([s, e]) => [s!, Math.min(e!, end)] as const)
            .filter(([s, e]) => s < e);
          list.push(...pieces.flat(), ...(end > 71 ? [Math.max(71, position), end] : []));
          offsets.push(list.length / 2);
        }
        return {
          queryBlock: 8,
          shared: true,
          causal: true,
          offsets: Uint32Array.from(offsets),
          runs: Uint32Array.from(list),
        };
      };
      await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, steps: [37, 29, 21, 1], ranges: runs });
      await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, format: 'f16', steps: [90, 1], ranges: runs });
    });

    test('every head its own runs', async () => {
      const each = (queries: number, position: number, kvHeads: number): Ranges => {
        const offsets = [0];
        const list: number[] = [];
        for (let b = 0; b < Math.ceil(queries / 16); b++) {
          for (let h = 0; h < kvHeads; h++) {
            const end = position + queries;
            if (h === 0) list.push(0, end);
            else if (h === 1) list.push(0, Math.min(4, end), ...(end > 12 ? [Math.max(4, end - 8), end] : []));
            else list.push(0, 1);
            offsets.push(list.length / 2);
          }
        }
        return {
          queryBlock: 16,
          shared: false,
          causal: true,
          offsets: Uint32Array.from(offsets),
          runs: Uint32Array.from(list),
        };
      };
      await sameAttention({ heads: 6, kvHeads: 3, headDim: 32, steps: [40, 1, 18, 1], ranges: each });
    });

    test('a query that may see nothing gets zeros', async () => {
      const none: Ranges = {
        queryBlock: 2,
        shared: true,
        causal: true,
        offsets: Uint32Array.of(0, 0, 1),
        runs: Uint32Array.of(0, 4),
      };
      await sameAttention({ heads: 2, kvHeads: 1, headDim: 32, steps: [4], ranges: () => none });
    });

    test('large scores do not overflow', async () => {
      const r = random(51);
      const qkv = r.normals(20 * 96, 30);
      const body = (b: Backend): Tensor => {
        const view = shuffledView(random(52), b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1);
        const q = b.ropeAppend(b.upload(qkv, [20, 96]), view, 0, 0, { heads: 1, rope: rope(32, 'half') });
        const out = b.attention(q, view, 0, 0, denseCausal(20, 20), { heads: 1, scale: 1 });
        view.pool.free();
        return out;
      };
      await subject.same('attention with scores of thousands', 1e-5, [], body);
    });
  });

  describe('KV pool', () => {
    test.each(['f32', 'f16'] as const)(
      '%s pages survive growth, can be copied, and a changed table is seen',
      async (format) => {
        const spec: KvSpec = { layers: 1, kvHeads: 2, headDim: 32, format };
        const r = random(61);
        const qkv = r.normals(40 * 6 * 32);
        const more = r.normals(6 * 32);
        const options = { heads: 2, rope: rope(32, 'half') };
        const program = async (b: Backend): Promise<Float32Array[]> => {
          const pool = b.kvPool(spec);
          expect(pool.spec).toEqual(spec);
          expect(pool.pageBytes()).toBe(2 * PAGE_TOKENS * 32 * (format === 'f32' ? 4 : 2));
          pool.reserve(4);
          const table = (...indices: number[]): Int32Array =>
            Int32Array.from(indices, (index) => pageNumber(format, index));
          const view = { pool, blocks: 2, table: table(3, 0, 1, 2), version: 1 };
          const read = async (v: KvView): Promise<Float32Array> => {
            const out = b.scope(() =>
              b.attention(b.upload(more.subarray(0, 64), [1, 64]), v, 0, 39, denseCausal(1, 40), {
                heads: 2,
                scale: 0.2,
              }),
            );
            const values = await b.download(out);
            b.free(out);
            return values;
          };
          b.scope(() => {
            b.ropeAppend(b.upload(qkv, [40, 192]), view, 0, 0, options);
          });
          const results = [await read(view)];
          pool.reserve(11);
          pool.reserve(5);
          expect(pool.pages()).toBeGreaterThanOrEqual(11);
          results.push(await read(view));
          // Copy on write: a second view shares the first blocks, has copies of the second, and appends there.
          pool.copy(pageNumber(format, 0), pageNumber(format, 7));
          pool.copy(pageNumber(format, 2), pageNumber(format, 9));
          const fork = { pool, blocks: 2, table: table(3, 7, 1, 9), version: 1 };
          results.push(await read(fork));
          b.scope(() => {
            b.ropeAppend(b.upload(more, [1, 192]), fork, 0, 39, options);
          });
          results.push(await read(view), await read(fork));
          // The host changes a table in place and says so.
          fork.table.set(table(3, 0, 1, 2));
          fork.version++;
          results.push(await read(fork));
          pool.free();
          return results;
        };
        const before = subject.device.memory().kv;
        const found = await program(subject.device);
        expect(subject.device.memory().kv).toBe(before);
        const wanted = await subject.once(() => program(subject.truth));
        const names = [
          'first read',
          'after growth',
          'copied pages',
          'original after a write to the copy',
          'copy after the write',
          'table set back',
        ];
        found.forEach((values, i) =>
          expectNmse(
            values,
            wanted[i]!,
            format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction,
            `KV pool ${format}: ${names[i]}`,
          ),
        );
        expectSame(found[1]!, found[0]!, 'growth keeps contents');
        expectSame(found[2]!, found[0]!, 'a copy is exact');
        expectSame(found[3]!, found[0]!, 'a write to the copy leaves the original');
        expectSame(found[5]!, found[0]!, 'the table is uploaded when its version moves');
      },
    );
  });
}
