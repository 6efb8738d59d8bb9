/** The digest of a model's weights: the same however they arrive, another one when any tensor was trained on. */
import { describe, expect, test } from '@jest/globals';
import type { WeightWriter } from '../../src/backend/backend.ts';
import type { TensorInfo } from '../../src/load/model-file.ts';
import { openModel } from '../../src/load/index.ts';
import { WeightDigest } from '../../src/models/digest.ts';
import { loadModel } from '../../src/models/model.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const sink: WeightWriter = {
  write: async () => {},
  finish: () => Promise.reject(new Error('not asked for')),
  abort: () => {},
};
const info = (name: string, count: number): TensorInfo => ({ name, shape: [count], format: 'F32', bytes: 4 * count });

async function digestOf(tensors: readonly Uint8Array[], chunk: number): Promise<string> {
  const digest = new WeightDigest();
  for (const [i, bytes] of tensors.entries()) {
    const writer = digest.watch(info(`t${i}`, bytes.length / 4), sink);
    for (let at = 0; at < bytes.length; at += chunk) await writer.write(bytes.subarray(at, at + chunk));
  }
  return digest.value();
}

describe('digest of weights', () => {
  const { integer } = random(7);
  const tensors = [40, 200_000, 65_536 * 3].map((length) => Uint8Array.from({ length }, () => integer(0, 256)));

  test.each([1_000, 65_536, 70_001, 1 << 20])('chunks of %i bytes make no difference', async (chunk) => {
    expect(await digestOf(tensors, chunk)).toBe(await digestOf(tensors, 257));
  });

  test('every tensor counts, and what it is called', async () => {
    const before = await digestOf(tensors, 4096);
    for (const [i, bytes] of tensors.entries()) {
      const other = bytes.map((value) => value ^ 1);
      expect(await digestOf(tensors.with(i, other), 4096)).not.toBe(before);
    }
    expect(await digestOf(tensors.toReversed(), 4096)).not.toBe(before);
  });

  test('a model with one tensor trained on has the header of the other and another digest', async () => {
    const backend = createReferenceBackend();
    const load = async (bytes: Uint8Array): Promise<{ file: string; digest: string }> => {
      const file = await openModel(bytes);
      const model = await loadModel(file, backend);
      model.free();
      return { file: file.fingerprint, digest: model.digest };
    };
    const plain = await load(tinyUniPic());
    const trained = await load(
      tinyUniPic({
        damage: (name, values) =>
          void (name === 'mar.decoder_norm.weight' && values.forEach((value, i) => (values[i] = value * 1.01))),
      }),
    );
    expect(trained.digest).not.toBe(plain.digest);
    expect(await load(tinyUniPic())).toEqual(plain);
  });
});
