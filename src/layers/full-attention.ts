/** Bidirectional attention over one set of rows, whose keys and values every block and every call writes anew. */
import type { Backend, KvView, NormSpec, Ranges, RopeSpec, SlotPositions, Tensor } from '../backend/backend.ts';
import { bidirectional } from '../kv/ranges.ts';
import { ScratchPages } from './scratch-pages.ts';

/** The parameters of attention besides its rows; one object serves all layers of a call. */
export interface AttentionPlace {
  readonly rope?: RopeSpec;
  /** The positions of all rows for RoPE. */
  readonly positions?: SlotPositions;
  /** Default: every row sees every row. */
  readonly ranges?: Ranges;
  /** RMS norms of each head. */
  readonly qNorm?: NormSpec;
  readonly kNorm?: NormSpec;
}

export class FullAttention {
  readonly #backend: Backend;
  readonly #heads: number;
  readonly #headDim: number;
  readonly #pages: ScratchPages;
  /** The pages with the positions of the last place. */
  #placed: KvView | undefined;

  constructor(backend: Backend, heads: number, headDim: number) {
    this.#backend = backend;
    this.#heads = heads;
    this.#headDim = headDim;
    this.#pages = new ScratchPages(backend, { layers: 1, kvHeads: heads, headDim, format: 'f32' });
  }

  /** qkv [T, 3 heads headDim] -> [T, heads headDim]. */
  forward(qkv: Tensor, place: AttentionPlace = {}): Tensor {
    const [rows = 0] = qkv.shape;
    return this.attend(this.append(qkv, 0, rows, place), 0, rows, place);
  }

  /**
   * Takes rows `position ..` of `total`: stores their keys and values and returns their queries. All rows are appended
   * before the first `attend`.
   */
  append(qkv: Tensor, position: number, total: number, place: AttentionPlace = {}): Tensor {
    const { rope, qNorm, kNorm } = place;
    return this.#backend.ropeAppend(qkv, this.#view(total, place), 0, position, {
      heads: this.#heads,
      ...(rope && { rope }),
      ...(qNorm && { qNorm }),
      ...(kNorm && { kNorm }),
    });
  }

  /** Attention of the rows `position ..` over the keys of all `total` rows. */
  attend(q: Tensor, position: number, total: number, place: AttentionPlace = {}): Tensor {
    const [rows = 0] = q.shape;
    const ranges = place.ranges ?? bidirectional(rows, total);
    return this.#backend.attention(q, this.#view(total, place), 0, position, ranges, {
      heads: this.#heads,
      scale: 1 / Math.sqrt(this.#headDim),
    });
  }

  free(): void {
    this.#pages.free();
    this.#placed = undefined;
  }

  #view(rows: number, { positions }: AttentionPlace): KvView {
    const memory = this.#pages.view(rows);
    if (positions === undefined) return memory;
    if (this.#placed?.table !== memory.table || this.#placed.positions !== positions)
      this.#placed = { ...memory, positions };
    return this.#placed;
  }
}
