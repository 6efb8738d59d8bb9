/** Memory: uploads, ids, weight writers, scopes, and that everything is given back. */
import { describe, expect, test } from '@jest/globals';
import type { KvSpec, NormSpec, Tensor, Weight } from '../../../src/backend/backend.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { FileError } from '../../../src/errors.ts';
import { dequantise } from '../../reference/dequantise.ts';
import { random } from '../random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../tolerance.ts';
import { FORMATS, matrix, NO_SAMPLING, put, rope, shuffledView, vector, type Subject } from './harness.ts';

export function memory(subject: Subject): void {
  describe('memory', () => {
    test('upload and download are copies', async () => {
      const r = random(1);
      for (const shape of [
        [1, 1],
        [3, 7],
        [33, 65],
        [1, 5000],
      ] as const) {
        const data = r.normals(shape[0] * shape[1]);
        const tensor = subject.device.upload(data, shape);
        expect(tensor).toMatchObject({ shape, type: 'f32' });
        const kept = data.slice();
        data.fill(0);
        expectSame(await subject.device.download(tensor), kept, `upload/download [${shape.join()}]`);
        subject.device.free(tensor);
      }
    });

    test('ids: written, read and overwritten in order', async () => {
      const ring = subject.device.ids(100);
      subject.device.writeIds(
        ring,
        0,
        Int32Array.from({ length: 100 }, (_, i) => 1000 - i),
      );
      subject.device.writeIds(ring, 7, Int32Array.of(-1, 2147483647, 0));
      const early = subject.device.readIds(ring, 5, 12);
      subject.device.writeIds(ring, 5, Int32Array.of(1, 2, 3));
      expectSame(await early, [995, 994, -1, 2147483647, 0, 990, 989], 'readIds sees what was issued before it');
      expectSame(await subject.device.readIds(ring, 5, 9), [1, 2, 3, 2147483647], 'readIds');
      expect(await subject.device.readIds(ring, 3, 3)).toHaveLength(0);
      subject.device.free(ring);
    });

    test.each(FORMATS)('a %s weight written in chunks of any size is the same weight', async (format) => {
      const r = random(2);
      const data = matrix(r, 'chunked', format, [5, 512]);
      const ids = Int32Array.of(4, 0, 3, 2, 1);
      const chunks: number[][] = [[data.bytes.length], [], []];
      for (let left = data.bytes.length; left > 0;) {
        const size = Math.min(left, r.pick([1, 2, 3, 17, 500]));
        chunks[1]!.push(size);
        left -= size;
      }
      chunks[2] = Array.from(data.bytes, () => 1);
      const wanted = dequantise(format, data.bytes, 5 * 512);
      for (const sizes of chunks) {
        const writer = subject.device.weight(data);
        let at = 0;
        const buffer = new Uint8Array(500);
        for (const size of sizes) {
          // The chunk's memory is reused at once, as the contract allows.
          const chunk = size > buffer.length ? data.bytes : buffer.subarray(0, size);
          if (chunk !== data.bytes) chunk.set(data.bytes.subarray(at, at + size));
          await writer.write(chunk);
          if (chunk !== data.bytes) chunk.fill(0xa5);
          at += size;
        }
        const weight = await writer.finish();
        expect(weight).toMatchObject({ name: 'chunked', shape: [5, 512], format });
        const ring = subject.device.ids(5);
        subject.device.writeIds(ring, 0, ids);
        const rows = subject.device.scope(() => subject.device.embed(weight, ring, 0, 5));
        const expected = [...ids].flatMap((id) => [...wanted.subarray(id * 512, id * 512 + 512)]);
        expectNmse(
          await subject.device.download(rows),
          expected,
          TOLERANCE.reduction,
          `embed of ${format} written in ${sizes.length} chunks`,
        );
        subject.device.free(rows);
        subject.device.free(ring);
        weight.free();
      }
    });

    test('a weight that ends early or is aborted leaves nothing behind', async () => {
      const before = subject.device.memory();
      const data = matrix(random(3), 'short', 'Q8_0', [4, 64]);
      const short = subject.device.weight(data);
      await short.write(data.bytes.subarray(0, data.bytes.length - 1));
      await expect(short.finish()).rejects.toThrow(FileError);
      short.abort();
      const aborted = subject.device.weight(data);
      await aborted.write(data.bytes.subarray(0, 5));
      aborted.abort();
      expect(subject.device.memory()).toMatchObject({ weights: before.weights });
    });

    test('scopes free what does not leave them, in any nesting, and after an error', async () => {
      const data = random(4).normals(640);
      const settle = async (): Promise<number> => {
        await subject.device.idle();
        return subject.device.memory().activations;
      };
      const start = await settle();
      const kept: Tensor[] = [];
      const [a, b] = subject.device.scope(() => {
        subject.device.upload(data, [10, 64]);
        const inner = subject.device.scope(() => {
          const x = subject.device.upload(data, [10, 64]);
          kept.push(subject.device.keep(subject.device.rows(x, 2, 3)));
          return subject.device.rows(x, 1, 2);
        });
        return [inner, subject.device.rows(inner, 1, 1)] as const;
      });
      expectSame(await subject.device.download(a), data.subarray(64, 192), 'a tensor returned through two scopes');
      expectSame(await subject.device.download(b), data.subarray(128, 192), 'a tensor returned in a list');
      expectSame(await subject.device.download(kept[0]!), data.subarray(128, 320), 'a kept tensor');
      for (const tensor of [a, b, ...kept]) subject.device.free(tensor);
      expect(() =>
        subject.device.scope(() => {
          subject.device.upload(data, [10, 64]);
          throw new Error('from the body');
        }),
      ).toThrow('from the body');
      expect(subject.device.scope(() => undefined)).toBeUndefined();
      expect(await settle()).toBe(start);
    });

    test('memory returns to its start after every kind of work', async () => {
      const r = random(5);
      const spec: KvSpec = { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' };
      const weights = [
        matrix(r, 'w', 'Q4_0', [96, 64]),
        matrix(r, 'o', 'F32', [64, 32]),
        vector(r, 'n', 64),
        matrix(r, 'g', 'Q8_0', [32, 64]),
      ];
      const x = r.normals(4 * 64);
      const frequencies = rope(32, 'half');
      const round = async (): Promise<void> => {
        const held: Weight[] = [];
        for (const data of weights) held.push(await put(subject.device, data));
        const [w, o, n, g] = held as [Weight, Weight, Weight, Weight];
        const view = shuffledView(random(6), subject.device, spec, 2);
        const ring = subject.device.ids(8);
        const sampler = subject.device.sampler(64);
        const logits = subject.device.scope(() => {
          const input = subject.device.upload(x, [4, 64]);
          const norm: NormSpec = { kind: 'rms', weight: n, epsilon: 1e-5 };
          const q = subject.device.ropeAppend(subject.device.linear(input, [w], { norm }), view, 0, 0, {
            heads: 1,
            rope: frequencies,
          });
          const y = subject.device.linear(
            subject.device.attention(q, view, 0, 0, denseCausal(4, 4), { heads: 1, scale: 0.2 }),
            [o],
            { residual: input },
          );
          subject.device.gatedMlp(y, g, g, { norm, activation: 'silu' });
          return subject.device.rows(subject.device.norm(y, norm), 3, 1);
        });
        sampler.reset(Int32Array.of(1, 2));
        sampler.mask(new Uint32Array(2).fill(0xffffffff));
        subject.device.sample(logits, sampler, NO_SAMPLING, ring, 0);
        sampler.mask(undefined);
        subject.device.flush();
        await subject.device.readIds(ring, 0, 1);
        subject.device.free(logits);
        subject.device.free(ring);
        sampler.free();
        view.pool.free();
        for (const weight of held) weight.free();
        await subject.device.idle();
      };
      const start = subject.device.memory();
      await round();
      const first = subject.device.memory();
      expect(first).toMatchObject({ weights: start.weights, kv: start.kv });
      for (let i = 0; i < 5; i++) await round();
      expect(subject.device.memory()).toEqual(first);
    });
  });
}
