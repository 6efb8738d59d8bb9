/**
 * A short numeric comparison of two backends: a driver that computes wrongly is a known disease of this field, and its answers look like a bad model.
 * Runs what a decoder layer runs (quantised products, norm, gate, rotation and page write, attention) on seeded numbers, in a few milliseconds.
 */
import { DeviceError } from '../errors.ts';
import { uniform } from '../generate/random.ts';
import { PAGE_TOKENS, type Backend, type KvView, type Ranges, type RopeSpec, type Weight } from './backend.ts';
import type { WeightFormat } from './weight.ts';

/** Normalised mean squared error that int8 activations (WASM) and f32 ones (WebGPU) may differ by. */
const LIMIT = 2e-3;

const HIDDEN = 64;
const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 32;
/** More than a page, so that the page table is read. */
const TOKENS = PAGE_TOKENS + 5;

const ROPE: RopeSpec = { inverseFrequency: Float64Array.from({ length: HEAD_DIM / 2 }, (_, i) => 10000 ** ((-2 * i) / HEAD_DIM)), magnitude: 1, style: 'half' };

/** Throws `DeviceError('self-check')` naming the first stage where `backend` and `reference` differ by more than the limit. */
export async function selfCheck(backend: Backend, reference: Backend): Promise<void> {
  const [found, expected] = await Promise.all([stages(backend), stages(reference)]);
  for (const [i, stage] of found.entries()) {
    const truth = expected[i];
    if (truth === undefined) continue;
    const error = nmse(stage.values, truth.values);
    if (!(error <= LIMIT)) {
      throw new DeviceError('self-check', `${backend.description} computes ${stage.name} wrongly: error ${error.toExponential(1)} against ${reference.description}, limit ${LIMIT}; use device: 'wasm'`, { stage: stage.name, error, limit: LIMIT });
    }
  }
}

interface Stage {
  readonly name: string;
  readonly values: Float32Array;
}

async function stages(backend: Backend): Promise<readonly Stage[]> {
  const made: { free(): void }[] = [];
  const weight = async (name: string, format: WeightFormat, shape: readonly number[], bytes: Uint8Array): Promise<Weight> => {
    const writer = backend.weight({ name, format, shape });
    await writer.write(bytes);
    const done = await writer.finish();
    made.push(done);
    return done;
  };
  try {
    const width = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
    const norm = { kind: 'rms', epsilon: 1e-6, weight: await weight('norm', 'F32', [HIDDEN], new Uint8Array(numbers(HIDDEN, 1).buffer)) } as const;
    const qkv = await weight('qkv', 'Q8_0', [width, HIDDEN], blocks(34, (width * HIDDEN) / 32, 2));
    const gate = await weight('gate', 'Q4_0', [2 * HIDDEN, HIDDEN], blocks(18, (2 * HIDDEN * HIDDEN) / 32, 3));
    const up = await weight('up', 'Q4_0', [2 * HIDDEN, HIDDEN], blocks(18, (2 * HIDDEN * HIDDEN) / 32, 4));
    const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f32' });
    made.push(pool);
    const perHead = Math.ceil(TOKENS / PAGE_TOKENS);
    pool.reserve(KV_HEADS * perHead);
    const kv: KvView = { pool, blocks: perHead, version: 1, table: Int32Array.from({ length: KV_HEADS * perHead }, (_, i) => KV_HEADS * perHead - 1 - i) };
    const ranges: Ranges = { queryBlock: TOKENS, shared: true, causal: true, offsets: Uint32Array.of(0, 1), runs: Uint32Array.of(0, TOKENS) };
    const kept = backend.scope(() => {
      const x = backend.upload(numbers(TOKENS * HIDDEN, 5), [TOKENS, HIDDEN]);
      const product = backend.linear(x, [qkv], { norm });
      const q = backend.ropeAppend(product, kv, 0, 0, { heads: HEADS, rope: ROPE });
      return [product, q, backend.attention(q, kv, 0, 0, ranges, { heads: HEADS, scale: HEAD_DIM ** -0.5 }), backend.gatedMlp(x, gate, up, { norm, activation: 'silu' })].map((t) => backend.keep(t));
    });
    const names = ['a quantised product', 'the rotation of queries', 'attention', 'a gated product'];
    const values = await Promise.all(kept.map((tensor) => backend.download(tensor)));
    for (const tensor of kept) backend.free(tensor);
    return values.map((v, i) => ({ name: names[i] ?? '', values: v }));
  } finally {
    for (const each of made) each.free();
  }
}

/** Seeded numbers in [-1, 1). */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * uniform(seed, i) - 1);
}

/** Blocks of Q8_0 or Q4_0: an f16 scale near 1/128, then random quants. */
function blocks(size: number, count: number, seed: number): Uint8Array {
  const bytes = Uint8Array.from({ length: size * count }, (_, i) => uniform(seed, i) * 256);
  for (let at = 0; at < bytes.length; at += size) {
    bytes[at] = 0x00;
    bytes[at + 1] = 0x20;
  }
  return bytes;
}

function nmse(values: Float32Array, truth: Float32Array): number {
  let error = 0;
  let power = 0;
  for (const [i, t] of truth.entries()) {
    const d = (values[i] ?? NaN) - t;
    error += d * d;
    power += t * t;
  }
  return power === 0 ? error : error / power;
}
