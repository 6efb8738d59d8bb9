/** A small decoder on raw backend operations, as models run it: for counting what a step costs. Its weights mean nothing. */
import type { Backend, NormSpec, Tensor, Weight } from '../../src/backend/backend.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { quantise } from '../support/quantise.ts';
import { random } from '../support/random.ts';

const HIDDEN = 256;
const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 32;
const MLP = 256;
const VOCABULARY = 320;

/** Encoding takes longer than loading; the same bytes serve every load. */
const quantised = new Map<string, Uint8Array>();

export interface SmallDecoder {
  /** Bytes of the table, which is both the embedding and the head. */
  readonly tableBytes: number;
  /** Bytes of zeros that stand for the bias of a layer's keys. */
  readonly zeroBytes: number;
  /** Runs `count` ids from position 0 on. */
  prefill(count: number): void;
  /** One token more, sampled on the device; its id once it is known. */
  step(): Promise<Int32Array>;
  free(): void;
}

export async function decoder(
  backend: Backend,
  options: { layers: number; format: WeightFormat; value: WeightFormat },
): Promise<SmallDecoder> {
  const { layers, format, value } = options;
  const r = random(9);
  const held: Weight[] = [];
  const weight = async (name: string, shape: number[], as: WeightFormat): Promise<Weight> => {
    const key = `${name} ${shape.join('x')} ${as}`;
    const bytes =
      quantised.get(key) ??
      quantise(
        as,
        r.normals(
          shape.reduce((a, b) => a * b, 1),
          0.06,
        ),
      );
    quantised.set(key, bytes);
    const writer = backend.weight({ name, shape, format: as });
    await writer.write(bytes);
    const made = await writer.finish();
    held.push(made);
    return made;
  };
  const norm = async (name: string): Promise<NormSpec> => ({
    kind: 'rms',
    weight: await weight(name, [HIDDEN], 'F32'),
    epsilon: 1e-5,
  });
  const table = await weight('table', [VOCABULARY, HIDDEN], format);
  const last = await norm('last');
  const block = async (i: number) => ({
    attentionNorm: await norm(`${i}.attention_norm`),
    query: await weight(`${i}.q`, [HEADS * HEAD_DIM, HIDDEN], format),
    key: await weight(`${i}.k`, [KV_HEADS * HEAD_DIM, HIDDEN], format),
    value: await weight(`${i}.v`, [KV_HEADS * HEAD_DIM, HIDDEN], value),
    queryBias: await weight(`${i}.q.bias`, [HEADS * HEAD_DIM], 'F32'),
    valueBias: await weight(`${i}.v.bias`, [KV_HEADS * HEAD_DIM], 'F32'),
    output: await weight(`${i}.o`, [HIDDEN, HEADS * HEAD_DIM], format === 'Q4_K' ? 'Q4_0' : format),
    mlpNorm: await norm(`${i}.mlp_norm`),
    gate: await weight(`${i}.gate`, [MLP, HIDDEN], format),
    up: await weight(`${i}.up`, [MLP, HIDDEN], format),
    down: await weight(`${i}.down`, [HIDDEN, MLP], value),
  });
  const blocks: Awaited<ReturnType<typeof block>>[] = [];
  for (let i = 0; i < layers; i += 1) blocks.push(await block(i));
  const rope = {
    inverseFrequency: Float64Array.from({ length: HEAD_DIM / 2 }, (_, i) => 10000 ** ((-2 * i) / HEAD_DIM)),
    magnitude: 1,
    style: 'half',
  } as const;
  const pool = backend.kvPool({ layers, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f16' });
  pool.reserve(layers * KV_HEADS * 4);
  const pages = new PageAllocator(pool);
  const sequence = new Sequence(pages, 128);
  const ring = backend.ids(256);
  const sampler = backend.sampler(VOCABULARY);
  let position = 0;
  const forward = (start: number, count: number): Tensor => {
    sequence.ensure(start + count);
    const ranges = denseCausal(count, start + count);
    let x = backend.embed(table, ring, start, count);
    blocks.forEach((b, layer) => {
      const qkv = backend.linear(x, [b.query, b.key, b.value], {
        norm: b.attentionNorm,
        bias: [b.queryBias, undefined, b.valueBias],
      });
      const q = backend.ropeAppend(qkv, sequence, layer, start, { heads: HEADS, rope });
      const attended = backend.attention(q, sequence, layer, start, ranges, { heads: HEADS, scale: HEAD_DIM ** -0.5 });
      const middle = backend.linear(attended, [b.output], { residual: x });
      x = backend.linear(backend.gatedMlp(middle, b.gate, b.up, { norm: b.mlpNorm, activation: 'silu' }), [b.down], {
        residual: middle,
      });
    });
    return backend.linear(count === 1 ? x : backend.rows(x, count - 1, 1), [table], { norm: last });
  };
  const spec = { temperature: 0.8, topK: 20, topP: 0.95, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 3 };
  const run = (start: number, count: number): void => {
    backend.scope(() => {
      backend.sample(forward(start, count), sampler, spec, ring, start + count);
    });
    position = start + count;
  };
  return {
    tableBytes: table.bytes,
    zeroBytes: 4 * KV_HEADS * HEAD_DIM,
    prefill(count) {
      backend.writeIds(
        ring,
        0,
        Int32Array.from({ length: count }, (_, i) => (i * 37) % VOCABULARY),
      );
      run(0, count);
    },
    step() {
      run(position, 1);
      return backend.readIds(ring, position, position + 1);
    },
    free() {
      sequence.free();
      sampler.free();
      backend.free(ring);
      pool.free();
      for (const one of held) one.free();
    },
  };
}
