/** A KV pool for computations that keep nothing: every call writes its pages anew. It grows to the longest call so far and is freed by its owner. */
import { PAGE_TOKENS, type Backend, type KvPool, type KvSpec, type KvView } from '../backend/backend.ts';

export class ScratchPages {
  readonly #backend: Backend;
  readonly #spec: KvSpec;
  #pool: KvPool | undefined;
  #view: KvView | undefined;
  #version = 0;

  constructor(backend: Backend, spec: KvSpec) {
    this.#backend = backend;
    this.#spec = spec;
  }

  /** A view of at least `rows` positions, the same object until it has to grow. */
  view(rows: number): KvView {
    const blocks = Math.ceil(rows / PAGE_TOKENS);
    if (this.#view !== undefined && this.#view.blocks >= blocks) return this.#view;
    const pages = this.#spec.layers * this.#spec.kvHeads * blocks;
    const fresh = this.#pool === undefined;
    const pool = this.#pool ?? this.#backend.kvPool(this.#spec);
    try {
      pool.reserve(pages);
    } catch (error) {
      if (fresh) pool.free();
      throw error;
    }
    this.#pool = pool;
    this.#view = { pool, blocks, table: Int32Array.from({ length: pages }, (_, i) => i), version: ++this.#version };
    return this.#view;
  }

  free(): void {
    this.#pool?.free();
    this.#pool = undefined;
    this.#view = undefined;
  }
}
