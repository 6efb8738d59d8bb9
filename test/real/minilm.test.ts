/** all-MiniLM-L6-v2 (`npm run models -- minilm`) against PyTorch (training/parity/encoders.py): vectors of 100 texts, in F32 and quantised while loading. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import type { Embeddings } from '../../src/face/texts.ts';
import { testFace } from '../support/engine.ts';
import { hasGpu } from '../support/gpu.ts';
import { realModel } from '../support/models.ts';

interface Fixture {
  readonly texts: readonly string[];
  readonly tokens: readonly number[];
  readonly width: number;
  /** [texts, width], base64 of f16 */
  readonly vectors: string;
}

const PATIENCE = 120_000;
/** Of the texts' cosines with upstream's vectors. */
const EXACT = { mean: 0.9999, least: 0.9999 };
const QUANTISED = { mean: 0.999, least: 0.999 };
/** Short texts for a software GPU. */
const FEW = 1;
const Octavo = testFace();
const gpu = await hasGpu();
const hardware = process.env['OCTAVO_HARDWARE_GPU'] === '1';

function halves(packed: string): Float64Array {
  const bytes = Buffer.from(packed, 'base64');
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = bytes.readUInt16LE(2 * i);
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
    return bits >> 15 ? -size : size;
  });
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

const path = realModel('minilm');
const fixture = JSON.parse(readFileSync(new URL('../fixtures/real/minilm.json', import.meta.url), 'utf8')) as Fixture;
const wanted = halves(fixture.vectors);

async function expectCosines(
  model: OctavoModel,
  texts: readonly string[],
  { mean, least }: { readonly mean: number; readonly least: number },
): Promise<Embeddings> {
  const found = await model.embed(texts);
  const cosines = found.map((vector, i) => cosine(vector, wanted.subarray(i * fixture.width, (i + 1) * fixture.width)));
  expect(Math.min(...cosines)).toBeGreaterThanOrEqual(least);
  expect(cosines.reduce((sum, value) => sum + value, 0) / cosines.length).toBeGreaterThanOrEqual(mean);
  expect(found.tokens).toBe(fixture.tokens.slice(0, texts.length).reduce((sum, n) => sum + n, 0));
  for (const vector of found) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  return found;
}

describe('all-MiniLM-L6-v2', () => {
  if (path === undefined) {
    test.skip('its files are not here', () => undefined);
    return;
  }
  test(
    'F32 on WASM, 100 texts',
    async () => {
      const model = await Octavo.load(path, { device: 'wasm', threads: 1 });
      expect(model.capabilities).toMatchObject({ generate: false, chat: false, embed: true, rerank: false });
      expect(model.embedding).toMatchObject({ dimensions: 384, window: 256, pooling: 'mean', trained: true });
      const { truncated } = await expectCosines(model, fixture.texts, EXACT);
      expect(truncated.length).toBeGreaterThan(0);
      for (const index of truncated) expect(fixture.tokens[index]).toBe(256);
      await expect(model.createSession()).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
      await expect(model.rerank('a', ['b'])).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
      await model.destroy();
    },
    PATIENCE,
  );

  test(
    'Q8_0 on WASM, 100 texts',
    async () => {
      const model = await Octavo.load(path, { device: 'wasm', threads: 1, quantize: 'q8' });
      await expectCosines(model, fixture.texts, QUANTISED);
      await model.destroy();
    },
    PATIENCE,
  );

  (gpu ? test : test.skip)(
    'F32 on WebGPU',
    async () => {
      const model = await Octavo.load(path, { device: 'webgpu' });
      await expectCosines(model, hardware ? fixture.texts : fixture.texts.slice(0, FEW), EXACT);
      await model.destroy();
    },
    PATIENCE,
  );
});
