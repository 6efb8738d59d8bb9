/**
 * The same ids give the same bits: keys and values in the pages, and logits, however the prompt is divided into calls, with and without pages of
 * another sequence, after steps that were undone, in a fork, and on any number of threads. Random histories beside one plain reading.
 */
import { describe, expect, test } from '@jest/globals';
import { PAGE_TOKENS, pageFormat, type Backend, type KvSpec, type Tensor } from '../../src/backend/backend.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { Prefixes } from '../../src/kv/prefixes.ts';
import { advance } from '../../src/generate/advance.ts';
import { prefill } from '../../src/generate/prefill.ts';
import { cut, type DeviceSequence } from '../../src/generate/device-sequence.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LanguageModel } from '../../src/models/model.ts';
import { random, type Random } from './random.ts';
import { requantised } from './requantised.ts';
import { tinyModel, TINY_VOCABULARY } from './tiny-model.ts';
import { expectSame } from './tolerance.ts';

const CAPACITY = 800;
const HISTORIES = 2;

interface Case {
  readonly weights: WeightFormat;
  readonly heads: number;
  readonly kvHeads: number;
  readonly pages: KvSpec['format'];
  readonly bits: KvBits;
  readonly states?: 'conv' | 'delta';
  readonly readers?: boolean;
}

const CASES: readonly Case[] = [
  { weights: 'F32', heads: 6, kvHeads: 2, pages: 'f32', bits: 16 },
  { weights: 'F16', heads: 3, kvHeads: 1, pages: 'f32', bits: 8 },
  { weights: 'BF16', heads: 4, kvHeads: 4, pages: 'f16', bits: 16 },
  { weights: 'Q4_0', heads: 6, kvHeads: 2, pages: 'f32', bits: 16 },
  { weights: 'Q4_1', heads: 9, kvHeads: 3, pages: 'f32', bits: 16 },
  { weights: 'Q8_0', heads: 3, kvHeads: 1, pages: 'f16', bits: 4 },
  { weights: 'Q5_1', heads: 2, kvHeads: 1, pages: 'f32', bits: 2 },
  { weights: 'Q4_K', heads: 6, kvHeads: 2, pages: 'f16', bits: 16 },
  { weights: 'Q6_K', heads: 8, kvHeads: 2, pages: 'f32', bits: 4 },
  { weights: 'Q3_K', heads: 7, kvHeads: 1, pages: 'f32', bits: 16 },
  { weights: 'F32', heads: 6, kvHeads: 2, pages: 'f32', bits: 16, states: 'conv' },
  { weights: 'Q8_0', heads: 4, kvHeads: 2, pages: 'f16', bits: 8, states: 'delta' },
  { weights: 'Q8_0', heads: 4, kvHeads: 2, pages: 'f16', bits: 8, readers: true },
];

/** What a reading leaves: logits after the last id, and every full page with its format. */
interface Left {
  readonly logits: Float32Array;
  readonly pages: readonly string[];
}

class Reader {
  readonly #model: LanguageModel;
  readonly #bits: KvBits;
  readonly #pages: PageAllocator;
  readonly #prefixes: Prefixes;
  #onDevice: DeviceSequence;

  constructor(model: LanguageModel, format: KvSpec['format'], bits: KvBits) {
    const { cacheLayers: layers, kvHeads, headDim } = model.config;
    this.#model = model;
    this.#bits = bits;
    this.#pages = new PageAllocator(model.backend.kvPool({ layers, kvHeads, headDim, format }));
    this.#prefixes = new Prefixes(this.#pages, Infinity);
    this.#onDevice = this.#open(new Sequence(this.#pages, CAPACITY, model.states()));
  }

  #open(sequence: Sequence): DeviceSequence {
    const { backend, config } = this.#model;
    const nothing = (): never => {
      throw new Error('there are no pictures');
    };
    return {
      model: this.#model,
      sequence,
      ring: backend.ids(CAPACITY + 1),
      sampler: backend.sampler(config.vocabulary),
      images: { encode: nothing, embeddings: nothing, during: () => undefined },
      kvBits: this.#bits,
    };
  }

  #close({ sequence, ring, sampler }: DeviceSequence): void {
    sequence.free();
    this.#model.backend.free(ring);
    sampler.free();
  }

  #shared(ids: Int32Array) {
    return { ids, spans: [], contentKey: '', bits: this.#bits };
  }

  get length(): number {
    return this.#onDevice.sequence.length;
  }

  /** Reads ids from where the sequence ends. */
  async read(ids: Int32Array, chunk: number): Promise<void> {
    const { length } = this;
    if (length < ids.length) await prefill(this.#onDevice, { ids, spans: [], cached: length, chunk });
  }
  publish(ids: Int32Array): void {
    this.#prefixes.publish(this.#shared(ids), this.#onDevice.sequence);
  }
  adopt(ids: Int32Array): void {
    this.#prefixes.adopt(this.#shared(ids), this.#onDevice.sequence);
  }
  undo(length: number): void {
    cut(this.#onDevice, length);
  }
  /** Goes on with a fork; the one that it came of writes something else behind it first. */
  async fork(ids: Int32Array): Promise<void> {
    const before = this.#onDevice;
    this.#onDevice = this.#open(before.sequence.fork());
    if (before.sequence.length < ids.length)
      await prefill(before, { ids, spans: [], cached: before.sequence.length, chunk: 50 });
    this.#close(before);
  }
  restart(): void {
    this.#close(this.#onDevice);
    this.#onDevice = this.#open(new Sequence(this.#pages, CAPACITY, this.#model.states()));
  }

  /** The last id alone. */
  async finish(ids: Int32Array): Promise<Left> {
    const { backend } = this.#model;
    const { sequence, ring } = this.#onDevice;
    const last = ids.length - 1;
    cut(this.#onDevice, last);
    await this.read(ids.subarray(0, last), 512);
    backend.writeIds(ring, last, ids.subarray(last));
    let logits: Tensor | undefined;
    await advance(this.#onDevice, {
      start: last,
      count: 1,
      ids,
      promptEnd: last,
      phase: 'decode',
      take: (hidden) => {
        logits = backend.keep(this.#model.logits(hidden));
      },
      spans: [],
    });
    const values = await backend.download(logits!);
    backend.free(logits!);
    const pages: string[] = [];
    for (let block = 0; (block + 1) * PAGE_TOKENS <= ids.length; block++) {
      for (const page of sequence.pagesOf(block)) {
        const bytes = await sequence.pool.read(Int32Array.of(page));
        let hash = 7;
        for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
        pages.push(`block ${block}: ${pageFormat(page)} ${hash}`);
      }
    }
    return { logits: values, pages };
  }

  free(): void {
    this.#close(this.#onDevice);
    this.#prefixes.free();
    expect(this.#pages.used).toBe(0);
    this.#pages.pool.free();
  }
}

const randomIds = (r: Random, count: number): Int32Array =>
  Int32Array.from({ length: count }, () => r.integer(0, TINY_VOCABULARY));

/** `ids` up to `keep`, then others. */
function turned(r: Random, ids: Int32Array, keep: number, more: number): Int32Array {
  return Int32Array.from([...ids.subarray(0, keep), ...randomIds(r, more)]);
}

/** A random way to the same end; what was done, for the message of a failure. */
async function history(r: Random, reader: Reader, ids: Int32Array): Promise<string> {
  const done: string[] = [];
  const end = ids.length - 1;
  while (reader.length < end) {
    const { length } = reader;
    const to = Math.min(end, length + r.pick([1, 1, 2, 3, 7, 31, 32, 33, 64, 100, 200, 500]));
    switch (r.integer(0, 6)) {
      case 0: {
        const other = turned(r, ids, length, r.integer(1, 150));
        await reader.read(other.subarray(0, Math.min(other.length, CAPACITY)), 128);
        reader.undo(r.integer(Math.max(0, length - 40), length + 1));
        done.push(`${other.length - length} others and back to ${reader.length}`);
        break;
      }
      case 1:
        await reader.fork(turned(r, ids, length, 20));
        done.push('fork');
        break;
      case 2:
        reader.publish(ids.subarray(0, length));
        if (r.uniform() < 0.5) break;
        reader.restart();
        reader.adopt(turned(r, ids, r.integer(1, ids.length + 1), 1));
        reader.undo(Math.min(end, commonLength(reader, end)));
        done.push(`published ${length}, adopted ${reader.length}`);
        break;
      default: {
        const chunk = r.pick([1, 2, 5, 9, 22, 64, 256, 512]);
        await reader.read(ids.subarray(0, to), chunk);
        done.push(`to ${to} by ${chunk}`);
      }
    }
  }
  return done.join(', ');
}
const commonLength = (reader: Reader, end: number): number => Math.min(reader.length, end);

/** `create` makes a backend of so many threads. A slow one may take one case in `every`. */
export function determinism(
  name: string,
  create: (threads: number) => Promise<Backend>,
  threads: readonly number[],
  every = 1,
): void {
  describe(`the same bits: ${name}`, () => {
    test.each(CASES.filter((_, i) => i % every === 0))(
      '$weights weights, $heads/$kvHeads heads, pages in $pages, $bits bits, states: $states, readers: $readers',
      async (one) => {
        const file = await requantised(
          await openModel(
            tinyModel({
              ...(one.states && { states: one.states }),
              ...(one.readers && { readers: true, layers: 4 }),
              heads: one.heads,
              kvHeads: one.kvHeads,
              hidden: 256,
              mlp: 256,
              window: CAPACITY,
              seed: 3,
            }),
          ),
          one.weights,
        );
        const seed = one.heads * 10 + one.kvHeads;
        const numbers = random(seed);
        const ids = randomIds(numbers, numbers.integer(530, 600));
        let wanted: Left | undefined;
        for (const count of threads) {
          const backend = await create(count);
          const model = (await loadModel(file, backend)).language;
          const r = random(seed + count);
          for (let n = 0; n <= HISTORIES; n++) {
            const reader = new Reader(model, one.pages, one.bits);
            let done = 'one plain reading';
            if (n === 0) await reader.read(ids.subarray(0, -1), 512);
            else done = await history(r, reader, ids);
            const found = await reader.finish(ids);
            wanted ??= found;
            const told = `${count} threads: ${done}`;
            expect({ told, pages: found.pages }).toEqual({ told, pages: wanted.pages });
            expectSame(found.logits, wanted.logits, told);
            reader.free();
          }
          model.free();
          backend.destroy();
        }
      },
    );
  });
}
