/** What does not fit is refused, by operation and tensor, before anything runs. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, KvView, Tensor, Weight } from '../../../src/backend/backend.ts';
import { weightBytes } from '../../../src/backend/weight.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { FileError } from '../../../src/errors.ts';
import { random } from '../random.ts';
import { matrix, NO_SAMPLING, put, rope, shuffledView, vector, type Subject } from './harness.ts';

export function refusals(subject: Subject): void {
  describe('what does not fit is refused before anything runs, naming operation and tensor', () => {
    const cases: [
      string,
      RegExp,
      (b: Backend, w: Record<'w' | 'n' | 'bias' | 'other', Weight>, x: Tensor, view: KvView, ring: Tensor) => unknown,
    ][] = [
      ['linear: columns of x', /linear/, (b, { w }) => b.linear(b.upload(new Float32Array(48), [1, 48]), [w])],
      [
        'norm: residual',
        /norm.*residual/s,
        (b, { n }, x) => b.norm(x, { kind: 'rms', weight: n, epsilon: 1e-5 }, b.upload(new Float32Array(3), [1, 3])),
      ],
      [
        'linear: residual',
        /linear.*residual/s,
        (b, { w }, x) => b.linear(x, [w], { residual: b.upload(new Float32Array(48), [1, 48]) }),
      ],
      ['linear: bias', /linear.*bias/s, (b, { w, n }, x) => b.linear(x, [w], { bias: [n] })],
      [
        'linear: norm',
        /linear.*bias/s,
        (b, { w, bias }, x) => b.linear(x, [w], { norm: { kind: 'rms', weight: bias, epsilon: 1 } }),
      ],
      ['linear: no weights', /linear: 0 weights/, (b, _w, x) => b.linear(x, [])],
      [
        'linear: too many weights',
        /linear: 129 weights/,
        (b, { w }, x) =>
          b.linear(
            x,
            Array.from({ length: 129 }, () => w),
          ),
      ],
      [
        'linear: a norm that is no vector',
        /linear: norm w/,
        (b, { w }, x) => b.linear(x, [w], { norm: { kind: 'rms', weight: w, epsilon: 1 } }),
      ],
      ['linear: ids', /linear/, (b, { w }, _x, _view, ring) => b.linear(ring, [w])],
      ['gatedMlp: gate and up', /gatedMlp/, (b, { w, other }, x) => b.gatedMlp(x, w, other, { activation: 'silu' })],
      ['norm', /norm/, (b, { bias }, x) => b.norm(x, { kind: 'rms', weight: bias, epsilon: 1 })],
      ['embed: beyond the ring', /embed/, (b, { w }, _x, _view, ring) => b.embed(w, ring, 3, 2)],
      ['embed: not ids', /embed/, (b, { w }, x) => b.embed(w, x, 0, 1)],
      ['embed: nothing', /embed: 0 ids/, (b, { w }, _x, _view, ring) => b.embed(w, ring, 0, 0)],
      ['embed: half an id', /embed/, (b, { w }, _x, _view, ring) => b.embed(w, ring, 0.5, 1)],
      ['rows: half a row', /rows/, (b, _w, x) => b.rows(x, 0.5, 1)],
      ['rows: beyond x', /rows/, (b, _w, x) => b.rows(x, 1, 2)],
      [
        'ropeAppend: columns',
        /ropeAppend/,
        (b, _w, x, view) => b.ropeAppend(x, view, 0, 0, { heads: 3, rope: rope(32, 'half') }),
      ],
      [
        "ropeAppend: larger heads than the pool's",
        /ropeAppend: heads of 64 values in pages of 32/,
        (b, _w, x, view) => b.ropeAppend(x, view, 0, 0, { heads: 3, headDim: 64 }),
      ],
      [
        "ropeAppend: no divisor of the pool's heads",
        /ropeAppend: 2 KV heads; the pool has 1/,
        (b, _w, x, view) => b.ropeAppend(x, view, 0, 0, { heads: 3, kvHeads: 2 }),
      ],
      [
        'attention: more values than a head has',
        /attention: the first 64 of the 32 values/,
        (b, _w, x, view) => b.attention(x, view, 0, 0, denseCausal(1, 1), { heads: 1, scale: 1, headDim: 64 }),
      ],
      [
        'ropeAppend: beyond the view',
        /ropeAppend/,
        (b, _w, _x, view) =>
          b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 0, 32, { heads: 1, rope: rope(32, 'half') }),
      ],
      [
        'ropeAppend: more than a head',
        /ropeAppend: RoPE over 64 of the 32/,
        (b, _w, _x, view) =>
          b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 0, 0, { heads: 1, rope: rope(64, 'half') }),
      ],
      [
        'ropeAppend: a layer norm of q',
        /ropeAppend: qNorm is a norm of kind 'layer'/,
        (b, { n }, _x, _view) => {
          const pool = b.kvPool({ layers: 1, kvHeads: 1, headDim: 64, format: 'f32' });
          pool.reserve(1);
          b.ropeAppend(
            b.upload(new Float32Array(192), [1, 192]),
            { pool, blocks: 1, table: Int32Array.of(0), version: 1 },
            0,
            0,
            {
              heads: 1,
              qNorm: { kind: 'layer', weight: n, epsilon: 1 },
            },
          );
        },
      ],
      [
        'ropeAppend: a table of another size',
        /ropeAppend: a page table of 1 entries/,
        (b, _w, _x, view) =>
          b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), { ...view, blocks: 2 }, 0, 0, { heads: 1 }),
      ],
      [
        'ropeAppend: layer',
        /ropeAppend/,
        (b, _w, _x, view) =>
          b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 1, 0, { heads: 1, rope: rope(32, 'half') }),
      ],
      [
        'attention: columns',
        /attention/,
        (b, _w, x, view) => b.attention(x, view, 0, 0, denseCausal(2, 2), { heads: 1, scale: 1 }),
      ],
      [
        'attention: ranges',
        /attention/,
        (b, _w, x, view) => b.attention(x, view, 0, 0, { ...denseCausal(2, 2), queryBlock: 1 }, { heads: 2, scale: 1 }),
      ],
      [
        'attention: a run beyond the view',
        /attention: ranges: list 0: run \[0, 33\) ends after the 32 keys/,
        (b, _w, x, view) => b.attention(x, view, 0, 0, denseCausal(2, 33), { heads: 2, scale: 1 }),
      ],
      [
        'attention: runs that overlap',
        /attention: ranges: list 0: run \[3, 9\)/,
        (b, _w, x, view) =>
          b.attention(
            x,
            view,
            0,
            8,
            { ...denseCausal(2, 9), offsets: Uint32Array.of(0, 2), runs: Uint32Array.of(0, 4, 3, 9) },
            { heads: 2, scale: 1 },
          ),
      ],
      [
        'attention: position',
        /attention: queries at position -1/,
        (b, _w, x, view) => b.attention(x, view, 0, -1, denseCausal(2, 2), { heads: 2, scale: 1 }),
      ],
      ['sample: logits', /sample/, (b, _w, x, _view, ring) => b.sample(x, b.sampler(64), NO_SAMPLING, ring, 0)],
      [
        'sample: ring',
        /sample/,
        (b, _w, _x, _view, ring) =>
          b.sample(b.upload(new Float32Array(64), [1, 64]), b.sampler(64), NO_SAMPLING, ring, 4),
      ],
      ['upload', /upload/, (b) => b.upload(new Float32Array(3), [2, 2])],
      ['writeIds', /writeIds/, (b, _w, _x, _view, ring) => b.writeIds(ring, 3, Int32Array.of(1, 2))],
      ['mask', /mask/, (b) => b.sampler(64).mask(new Uint32Array(1))],
      ['sampler: vocabulary', /sampler: a vocabulary of 0/, (b) => b.sampler(0)],
      ['kvPool: heads', /kvPool: kvHeads is 0/, (b) => b.kvPool({ layers: 1, kvHeads: 0, headDim: 32, format: 'f32' })],
      [
        'kvPool: headDim',
        /kvPool: headDim is 30/,
        (b) => b.kvPool({ layers: 1, kvHeads: 1, headDim: 30, format: 'f32' }),
      ],
      ['kvPool: half a page', /kvPool.reserve: 1.5 pages/, (_b, _w, _x, { pool }) => pool.reserve(1.5)],
      ['a tensor of no rows', /tensor: the shape is \[0, 4\]/, (b) => b.upload(new Float32Array(0), [0, 4])],
      [
        'weight: a vector of blocks',
        /weight v: a vector in Q8_0/,
        (b) => b.weight({ name: 'v', shape: [32], format: 'Q8_0' }),
      ],
      ['weight: no rows', /weight none/, (b) => b.weight({ name: 'none', shape: [0, 32], format: 'Q8_0' })],
      [
        'weight: columns that are no multiple of the block',
        /weight/,
        (b) => b.weight({ name: 'odd', shape: [2, 48], format: 'Q8_0' }),
      ],
    ];
    test.each(cases)('%s', (_what, message, act) =>
      subject.refused(message, async (b) => {
        const r = random(81);
        const w = {
          w: await put(b, matrix(r, 'w', 'Q8_0', [40, 64])),
          n: await put(b, vector(r, 'norm', 64)),
          bias: await put(b, vector(r, 'bias', 40)),
          other: await put(b, matrix(r, 'other', 'Q8_0', [41, 64])),
        };
        const view = shuffledView(r, b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1);
        const ring = b.ids(4);
        try {
          b.scope(() => {
            act(b, w, b.upload(new Float32Array(128), [2, 64]), view, ring);
          });
        } finally {
          for (const weight of Object.values(w)) weight.free();
          view.pool.free();
          b.free(ring);
        }
      }),
    );

    test('a weight takes no more bytes than it has', async () => {
      const spec = { name: 'w', shape: [2, 32], format: 'Q8_0' } as const;
      const writer = subject.device.weight(spec);
      await expect(writer.write(new Uint8Array(weightBytes(spec) + 1))).rejects.toThrow(FileError);
      writer.abort();
    });
  });
}
