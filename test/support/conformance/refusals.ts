/** What does not fit is refused, by operation and tensor, before anything runs. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, KvView, Tensor, Weight } from '../../../src/backend/backend.ts';
import { weightBytes } from '../../../src/backend/weight.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { FileError, InputError } from '../../../src/errors.ts';
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
      ['linear: ids', /linear/, (b, { w }, _x, _view, ring) => b.linear(ring, [w])],
      ['gatedMlp: gate and up', /gatedMlp/, (b, { w, other }, x) => b.gatedMlp(x, w, other, { activation: 'silu' })],
      ['norm', /norm/, (b, { bias }, x) => b.norm(x, { kind: 'rms', weight: bias, epsilon: 1 })],
      ['embed: beyond the ring', /embed/, (b, { w }, _x, _view, ring) => b.embed(w, ring, 3, 2)],
      ['embed: not ids', /embed/, (b, { w }, x) => b.embed(w, x, 0, 1)],
      ['rows: beyond x', /rows/, (b, _w, x) => b.rows(x, 1, 2)],
      [
        'ropeAppend: columns',
        /ropeAppend/,
        (b, _w, x, view) => b.ropeAppend(x, view, 0, 0, { heads: 3, rope: rope(32, 'half') }),
      ],
      [
        'ropeAppend: beyond the view',
        /ropeAppend/,
        (b, _w, _x, view) =>
          b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 0, 32, { heads: 1, rope: rope(32, 'half') }),
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
      [
        'weight: columns that are no multiple of the block',
        /weight/,
        (b) => b.weight({ name: 'odd', shape: [2, 48], format: 'Q8_0' }),
      ],
    ];
    test.each(cases)('%s', async (_what, message, act) => {
      const r = random(81);
      const data = {
        w: matrix(r, 'w', 'Q8_0', [40, 64]),
        n: vector(r, 'norm', 64),
        bias: vector(r, 'bias', 40),
        other: matrix(r, 'other', 'Q8_0', [41, 64]),
      };
      const w = {
        w: await put(subject.device, data.w),
        n: await put(subject.device, data.n),
        bias: await put(subject.device, data.bias),
        other: await put(subject.device, data.other),
      };
      const view = shuffledView(r, subject.device, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1);
      const ring = subject.device.ids(4);
      let thrown: unknown;
      try {
        subject.device.scope(() => {
          act(subject.device, w, subject.device.upload(new Float32Array(128), [2, 64]), view, ring);
        });
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(InputError);
      expect((thrown as InputError).message).toMatch(message);
      for (const weight of Object.values(w)) weight.free();
      view.pool.free();
      subject.device.free(ring);
    });

    test('a weight takes no more bytes than it has', async () => {
      const spec = { name: 'w', shape: [2, 32], format: 'Q8_0' } as const;
      const writer = subject.device.weight(spec);
      await expect(writer.write(new Uint8Array(weightBytes(spec) + 1))).rejects.toThrow(FileError);
      writer.abort();
    });
  });
}
