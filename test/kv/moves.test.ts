/** Tokens that are moved to other positions: the same as tokens that are read there, on every backend and in every format. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, RopeSpec } from '../../src/backend/backend.ts';
import { appendMoved } from '../../src/kv/moves.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { findStretch } from '../../src/generate/shift.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { testBackends } from '../support/backends.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';
import { openWasmBackend } from '../support/wasm.ts';

const [LAYERS, KV_HEADS, DIM] = [2, 2, 16];
const WIDTH = KV_HEADS * DIM;

/** Layer 0 turns halves with a magnitude, layer 1 neighbours, and not all of them. */
const ROPES: readonly RopeSpec[] = [
  { inverseFrequency: Float64Array.from({ length: 8 }, (_, i) => 1000 ** (-i / 8)), magnitude: 1.3, style: 'half' },
  { inverseFrequency: Float64Array.from({ length: 6 }, (_, i) => 50 ** (-i / 6)), magnitude: 1, style: 'interleaved' },
];
const rope = (layer: number): RopeSpec => ROPES[layer]!;

class Bed {
  readonly backend: Backend;
  readonly pages: PageAllocator;
  /** [layer][token] k and v before RoPE */
  readonly rows: Float32Array[][];

  constructor(backend: Backend, seed: number, format: 'f32' | 'f16') {
    const r = random(seed);
    this.backend = backend;
    this.pages = new PageAllocator(backend.kvPool({ layers: LAYERS, kvHeads: KV_HEADS, headDim: DIM, format }));
    this.rows = Array.from({ length: LAYERS }, () => Array.from({ length: 800 }, () => r.normals(2 * WIDTH)));
  }

  /** Appends tokens `[from, to)` as a model does. */
  read(sequence: Sequence, from: number, to: number, bits: KvBits): void {
    for (let token = from; token < to;) {
      const at = sequence.length;
      const count = Math.min(to - token, 128 - (at % 128));
      sequence.settle(bits);
      sequence.ensure(at + count);
      for (let layer = 0; layer < LAYERS; layer++) {
        this.backend.scope(() => {
          const values = Array.from({ length: count }, (_, i) => [
            ...new Float32Array(WIDTH),
            ...this.rows[layer]![token + i]!,
          ]);
          const qkv = this.backend.upload(Float32Array.from(values.flat()), [count, 3 * WIDTH]);
          this.backend.ropeAppend(qkv, sequence, layer, at, { heads: KV_HEADS, rope: rope(layer) });
        });
      }
      token += count;
    }
  }

  async content(sequence: Sequence, layer: number, part: 'keys' | 'values'): Promise<Float32Array> {
    const kept = this.backend.keep(
      this.backend.scope(() => this.backend.cached(sequence, layer, part, 0, sequence.length)),
    );
    const values = await this.backend.download(kept);
    this.backend.free(kept);
    return values;
  }
}

describe.each(await testBackends())('$name', ({ create }) => {
  test.each([
    [16, 'f32', 1e-10],
    [16, 'f16', TOLERANCE.half],
    [8, 'f32', 1e-4],
    [4, 'f32', 3e-2],
  ] as const)(
    '%s bits, %s: as if they had been read there, towards the front and away from it',
    async (bits, format, most) => {
      const backend = await create();
      const bed = new Bed(backend, 7, format);
      const from = new Sequence(bed.pages, 700);
      bed.read(from, 0, 420, bits);
      for (const [first, start, count] of [
        [37, 201, 205],
        [300, 20, 70],
        [0, 0, 130],
      ] as const) {
        const [moved, truth] = [new Sequence(bed.pages, 700), new Sequence(bed.pages, 700)];
        for (const sequence of [moved, truth]) bed.read(sequence, 420, 420 + first, bits);
        appendMoved({ backend, rope }, { from, start, count }, moved, bits);
        bed.read(truth, start, start + count, bits);
        expect(moved.length).toBe(truth.length);
        expect(moved.formats).toEqual(truth.formats);
        for (let layer = 0; layer < LAYERS; layer++) {
          for (const part of ['keys', 'values'] as const)
            expectNmse(
              await bed.content(moved, layer, part),
              await bed.content(truth, layer, part),
              most,
              `${part} of layer ${layer}, ${count} from ${start} behind ${first}`,
            );
        }
        moved.free();
        truth.free();
      }
      from.free();
      expect(bed.pages.used).toBe(0);
      expect(backend.memory().activations).toBe(0);
      backend.destroy();
    },
  );
});

test('what cannot be moved is refused, and changes nothing', async () => {
  const backend = await openWasmBackend('simd');
  const bed = new Bed(backend, 8, 'f32');
  const [from, to, placed] = Array.from({ length: 3 }, () => new Sequence(bed.pages, 200));
  bed.read(from!, 0, 96, 16);
  const move =
    (source: Sequence, start: number, count: number, target = to!) =>
    (): void =>
      appendMoved({ backend, rope }, { from: source, start, count }, target);
  expect(move(from!, 90, 7)).toThrow('the sequence has 96 tokens');
  placed!.positions = { axes: 1, values: new Int32Array(200) };
  expect(move(from!, 0, 10, placed)).toThrow('images');
  from!.release(1, 0, 1);
  expect(move(from!, 40, 10)).toThrow('released');
  move(from!, 0, 32)();
  expect([to!.length, to!.positions]).toEqual([32, undefined]);
  backend.destroy();
});

test('in a model: a block that was read alone serves at another place, as if it had been read there alone', async () => {
  const backend = await openWasmBackend('simd');
  const { language } = await loadModel(await openModel(tinyModel({ window: 512 })), backend);
  const { cacheLayers: layers, kvHeads, headDim, vocabulary } = language.config;
  const pages = new PageAllocator(backend.kvPool({ layers, kvHeads, headDim, format: 'f32' }));
  const r = random(3);
  const ids = Int32Array.from({ length: 160 }, () => r.integer(0, vocabulary));
  const ring = backend.ids(512);
  /** Runs ids at the end of a sequence; they see only keys from `seen` on. */
  const run = async (sequence: Sequence, part: Int32Array, seen: number): Promise<Float32Array> => {
    const position = sequence.length;
    sequence.ensure(position + part.length);
    backend.writeIds(ring, 0, part);
    const ranges = {
      ...denseCausal(part.length, position + part.length),
      runs: Uint32Array.of(seen, position + part.length),
    };
    const out = backend.keep(
      backend.scope(() => {
        const hidden = language.forward(language.embed(ring, 0, part.length), {
          kv: sequence,
          position,
          ranges,
          ids: { ring, start: 0 },
        });
        return language.logits(backend.rows(hidden, part.length - 1, 1));
      }),
    );
    const logits = await backend.download(out);
    backend.free(out);
    return logits;
  };
  const alone = new Sequence(pages, 512);
  await run(alone, ids.subarray(0, 80), 0);
  const [moved, truth] = [new Sequence(pages, 512), new Sequence(pages, 512)];
  for (const sequence of [moved, truth]) await run(sequence, ids.subarray(100, 153), 0);
  appendMoved(language, { from: alone, start: 0, count: 80 }, moved);
  await run(truth, ids.subarray(0, 80), 53);
  // A question that sees both.
  const question = ids.subarray(80, 100);
  expectNmse(await run(moved, question, 0), await run(truth, question, 0), 1e-4, 'logits of the question');
  backend.destroy();
});

describe('the stretch of a context that a prompt leaves out', () => {
  const r = random(5);
  const ids = (length: number): number[] => Array.from({ length }, () => r.integer(0, 1000));
  const [system, old, rest, more] = [ids(20), ids(90), ids(150), ids(30)];
  const of = (...parts: number[][]): Int32Array => Int32Array.from(parts.flat());

  test('is found where the rest follows', () => {
    expect(findStretch(of(system, old, rest), of(system, rest, more), 20)).toEqual({
      kept: 20,
      start: 110,
      count: 150,
    });
    // The last id is always computed.
    expect(findStretch(of(system, old, rest), of(system, rest), 20)).toEqual({ kept: 20, start: 110, count: 149 });
  });

  test('is not worth it, or not there', () => {
    expect(findStretch(of(system, old, rest.slice(0, 60)), of(system, rest, more), 20)).toBeUndefined();
    expect(findStretch(of(system, old), of(system, more), 20)).toBeUndefined();
    expect(findStretch(of(system), of(system, more), 20)).toBeUndefined();
  });
});
