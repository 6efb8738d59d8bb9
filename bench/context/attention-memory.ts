/** One layer's cache of any length without a model, for the memory that attention, the probe and planning take beside it. */
import { PAGE_TOKENS, type Backend, type KvPool, type Ranges, type Tensor } from '../../src/backend/backend.ts';
import type { ContextOptions } from '../../src/select/options.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { isPlan } from '../../src/kv/plan.ts';
import { createPlanner } from '../../src/select/index.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import type { Wasm } from '../../src/wasm.ts';
import { ropeSpec } from '../../src/layers/rope.ts';
import { documentIds } from './document.ts';

/** Qwen2.5-0.5B's attention. */
const SHAPE = { heads: 14, kvHeads: 2, headDim: 64 };
export const QUERIES = 512;

export class OneLayer {
  readonly #backend: Backend;
  readonly #wasm: Wasm;
  readonly #length: number;
  readonly #pool: KvPool;
  readonly #sequence: Sequence;
  readonly #q: Tensor;

  constructor(backend: Backend, wasm: Wasm, length: number) {
    const { heads, kvHeads, headDim } = SHAPE;
    this.#backend = backend;
    this.#wasm = wasm;
    this.#length = length;
    this.#pool = backend.kvPool({ layers: 1, kvHeads, headDim, format: 'f32' });
    this.#sequence = new Sequence(new PageAllocator(this.#pool), length);
    this.#sequence.ensure(length);
    const noise = (count: number): Float32Array => Float32Array.from(documentIds(count, count), (id) => id / 128 - 1);
    const kept = PAGE_TOKENS * headDim * 2;
    for (const page of this.#sequence.table) this.#pool.write(Int32Array.of(page), new Uint8Array(noise(kept).buffer));
    this.#q = backend.keep(backend.upload(noise(QUERIES * heads * headDim), [QUERIES, heads * headDim]));
  }

  /** Bytes of the pages. */
  get bytes(): number {
    return this.#pool.pages() * this.#pool.pageBytes();
  }

  attention(ranges: Ranges = denseCausal(QUERIES, this.#length)): void {
    const { heads, headDim } = SHAPE;
    this.#backend.scope(
      () =>
        void this.#backend.attention(this.#q, this.#sequence, 0, this.#length - QUERIES, ranges, {
          heads,
          scale: 1 / Math.sqrt(headDim),
        }),
    );
  }

  /** The mass on every key. */
  probe(): void {
    const { heads, headDim } = SHAPE;
    this.#backend.scope(
      () =>
        void this.#backend.probe(
          this.#q,
          this.#sequence,
          0,
          this.#length - QUERIES,
          denseCausal(QUERIES, this.#length),
          { heads, scale: 1 / Math.sqrt(headDim) },
        ),
    );
  }

  /** Planning a chunk at the end, and its attention. */
  async planned(context: ContextOptions): Promise<void> {
    const { heads, kvHeads, headDim } = SHAPE;
    const planner = createPlanner(context, { wasm: this.#wasm, layers: 1, heads, kvHeads, headDim });
    if (planner === undefined) throw new Error('this context plans nothing');
    const rope = ropeSpec({ base: 1e6, dimension: headDim, style: 'half', scaling: { kind: 'none' } }, undefined);
    const asked = planner.plan({
      backend: this.#backend,
      kv: this.#sequence,
      position: this.#length - QUERIES,
      count: QUERIES,
      heads,
      scale: 1 / Math.sqrt(headDim),
      rope: () => rope,
      ids: documentIds(this.#length),
      phase: 'prefill',
      promptEnd: this.#length,
    });
    this.attention(isPlan(asked) ? await asked.ranges(0, this.#q) : asked);
    planner.free();
  }
}
