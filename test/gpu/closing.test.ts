/** A sequence that closes its pages as it grows, on the GPU as on f64 loops: chunks, single steps, truncation, a clone. */
import { expect, test } from '@jest/globals';
import type { Backend, KvSpec } from '../../src/backend/backend.ts';
import { createWebGpuBackend } from '../../src/backend/webgpu.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { random } from '../support/random.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const SPEC: KvSpec = { layers: 2, kvHeads: 2, headDim: 32, format: 'f32' };
const HEADS = 4;
const WIDTH = (HEADS + 2 * SPEC.kvHeads) * SPEC.headDim;

async function program(
  backend: Backend,
  bits: KvBits,
): Promise<{ found: Float32Array[]; formats: string[]; used: number }> {
  const r = random(31);
  const pages = new PageAllocator(backend.kvPool(SPEC));
  const sequence = new Sequence(pages, 320);
  const found: Float32Array[] = [];
  const formats: string[] = [];
  // Not rotated, so that the values in the pages are the same bits everywhere, and so are the codes made of them.
  const append = async (to: Sequence, count: number): Promise<void> => {
    const position = to.length;
    to.ensure(position + count);
    for (let layer = 0; layer < SPEC.layers; layer++) {
      const qkv = r.normals(count * WIDTH);
      const out = backend.scope(() => {
        const q = backend.ropeAppend(backend.upload(qkv, [count, WIDTH]), to, layer, position, { heads: HEADS });
        return backend.attention(q, to, layer, position, denseCausal(count, position + count), {
          heads: HEADS,
          scale: 0.2,
        });
      });
      found.push(await backend.download(out));
      backend.free(out);
    }
    to.settle(bits);
    formats.push(to.formats.join('+'));
  };
  for (const count of [70, 64, 1, 57, 1, 1, 90]) await append(sequence, count);
  // Behind what is closed; then before it, which leaves less.
  expect(sequence.truncate(265)).toBe(265);
  await append(sequence, 3);
  expect(sequence.truncate(200)).toBe(128);
  await append(sequence, 3);
  const clone = sequence.fork();
  await append(clone, 40);
  await append(sequence, 1);
  await append(clone, 1);
  clone.free();
  sequence.free();
  const { used } = pages;
  pages.pool.free();
  return { found, formats, used };
}

const present = await hasGpu();
test.each((present ? [8, 4, 2, 'staircase'] : []) as KvBits[])(
  'closed to %s',
  async (bits) => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    const wanted = await program(createReferenceBackend(), bits);
    const { found, formats, used } = await program(backend, bits);
    expect(formats).toEqual(wanted.formats);
    expect(formats).toContain(bits === 'staircase' ? 'f32+q8+q4+q2' : `f32+q${bits}`);
    found.forEach((values, i) =>
      expectNmse(values, wanted.found[i]!, TOLERANCE.reduction, `closed to ${bits}, attention ${i}`),
    );
    expect(used).toBe(0);
    expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
    backend.destroy();
  },
  120_000,
);
if (!present) test.skip('no adapter here', () => undefined);
