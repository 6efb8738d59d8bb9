/**
 * A row's result has the same bits in any company: alone, among few and many rows, at any place among them, on any number of threads. What holds a
 * conversation's arithmetic together when its prompt is divided, shared or undone; the CPU engine promises it, WebGPU only for equal calls.
 */
import { describe, test } from '@jest/globals';
import {
  PAGE_TOKENS,
  pageNumber,
  type Backend,
  type KvFormat,
  type KvSpec,
  type KvView,
  type Tensor,
} from '../../../src/backend/backend.ts';
import { denseCausal, slidingWindow } from '../../../src/kv/ranges.ts';
import { encodePage } from '../../reference/pages.ts';
import { random, type Random } from '../random.ts';
import { expectSame } from '../tolerance.ts';
import { FORMATS, matrix, put, rope, vector, type Subject } from './harness.ts';
import { mixedView, pageValues } from './mixed.ts';

/** Rows [first, first + count) of `rows`, as often as the pieces say. */
const PIECES = [1, 1, 2, 3, 4, 5, 8, 9, 21, 33, 64, 97];
const ROWS = 131;

async function expectPieces(
  what: string,
  device: Backend,
  x: Float32Array,
  body: (x: Tensor, first: number, count: number) => Tensor,
): Promise<void> {
  const cols = x.length / ROWS;
  const compute = async (first: number, count: number): Promise<Float32Array> => {
    const out = device.scope(() =>
      body(device.upload(x.slice(first * cols, (first + count) * cols), [count, cols]), first, count),
    );
    const values = await device.download(out);
    device.free(out);
    return values;
  };
  const all = await compute(0, ROWS);
  const width = all.length / ROWS;
  const r = random(9);
  for (const count of PIECES) {
    const first = r.integer(0, ROWS - count + 1);
    const found = await compute(first, count);
    expectSame(
      found,
      all.subarray(first * width, (first + count) * width),
      `${what}: rows ${first} to ${first + count}`,
    );
  }
}

/** A page table for `before` random keys, whose pages are of format `closed`, and for ROWS to come. */
function agedView(r: Random, device: Backend, spec: KvSpec, before: number, closed: KvFormat): KvView {
  const older = before / PAGE_TOKENS;
  const blocks = Math.ceil((before + ROWS) / PAGE_TOKENS);
  const pool = device.kvPool(spec);
  pool.reserve(spec.kvHeads * blocks);
  const table = Int32Array.from({ length: spec.kvHeads * blocks }, (_, i) => pageNumber(spec.format, i));
  const aged = [...table.keys()].filter((at) => at % blocks < older);
  for (const at of aged)
    pool.write(Int32Array.of(table[at]!), encodePage(spec.format, spec.headDim, pageValues(r, spec.headDim)));
  if (closed !== spec.format) {
    pool.reserve(aged.length, closed);
    const to = aged.map((_, i) => pageNumber(closed, i));
    pool.convert(
      Int32Array.from(aged, (at) => table[at]!),
      Int32Array.from(to),
    );
    for (const [i, at] of aged.entries()) table[at] = to[i]!;
  }
  return { pool, blocks, table, version: 1, formats: [...new Set([spec.format, closed])] };
}

export function company(subject: Subject): void {
  describe('the same bits in any company', () => {
    test.each(FORMATS)('products with %s weights', async (format) => {
      const { device } = subject;
      if (device.kind !== 'wasm') return;
      const r = random(11);
      const weights = [
        await put(device, matrix(r, 'a', format, [67, 512])),
        await put(device, matrix(r, 'b', format, [67, 512])),
        await put(device, vector(r, 'norm', 512)),
        await put(device, vector(r, 'bias', 67)),
      ] as const;
      const [a, b, weight, bias] = weights;
      const norm = { kind: 'rms', weight, epsilon: 1e-5 } as const;
      const x = r.normals(ROWS * 512);
      await expectPieces(`linear, ${format}`, device, x, (rows) =>
        device.linear(rows, [a, b], { norm, bias: [bias, undefined], activation: 'gelu' }),
      );
      await expectPieces(`gatedMlp, ${format}`, device, x, (rows) =>
        device.gatedMlp(rows, a, b, { norm, activation: 'silu' }),
      );
      for (const one of weights) one.free();
    });

    test.each<[KvSpec['format'], KvFormat]>([
      ['f32', 'f32'],
      ['f16', 'f16'],
      ['f32', 'q8'],
      ['f16', 'q4'],
      ['f32', 'q2'],
    ])('attention over %s pages and older ones in %s', async (open, closed) => {
      const { device } = subject;
      if (device.kind !== 'wasm') return;
      for (const [heads, kvHeads, headDim] of [
        [6, 2, 32],
        [3, 1, 16],
        [4, 4, 20],
        [9, 1, 64],
      ] as const) {
        // More keys than are added up at once, and queries on both sides of it.
        for (const before of [0, 32, 480, 1120]) {
          const r = random(12);
          const view = agedView(r, device, { layers: 1, kvHeads, headDim, format: open }, before, closed);
          const width = (heads + 2 * kvHeads) * headDim;
          const q = device.scope(() =>
            device.ropeAppend(device.upload(r.normals(ROWS * width), [ROWS, width]), view, 0, before, {
              heads,
              rope: rope(headDim, 'half'),
            }),
          );
          const x = await device.download(q);
          const what = `${heads}/${kvHeads} heads of ${headDim}, ${before} keys before`;
          const spec = { heads, scale: 1 / Math.sqrt(headDim) };
          await expectPieces(`attention, ${what}`, device, x, (rows, first, count) =>
            device.attention(rows, view, 0, before + first, denseCausal(count, before + first + count), spec),
          );
          await expectPieces(`attention in a window, ${what}`, device, x, (rows, first, count) =>
            device.attention(rows, view, 0, before + first, slidingWindow(count, before + first, 70, 4), spec),
          );
          device.free(q);
          view.pool.free();
        }
      }
    });

    test('every query sees every key', async () => {
      const { device } = subject;
      if (device.kind !== 'wasm') return;
      const r = random(13);
      const view = mixedView(r, device, { layers: 1, kvHeads: 3, headDim: 20, format: 'f32' }, 20, ['f32']);
      await expectPieces('attention', device, r.normals(ROWS * 60), (rows, _, count) =>
        device.attention(
          rows,
          view,
          0,
          0,
          {
            queryBlock: count,
            shared: true,
            causal: false,
            offsets: Uint32Array.of(0, 1),
            runs: Uint32Array.of(0, 601),
          },
          { heads: 3, scale: 0.3 },
        ),
      );
      view.pool.free();
    });
  });
}
