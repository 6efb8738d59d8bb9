/**
 * Who owns which KV page: reference counts over one pool, and sequences that share pages until one of them writes.
 * The pages themselves are the backend's; see contract 3 in `src/backend/backend.ts`.
 */
import { PAGE_TOKENS, type KvPool, type KvView } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

/** A pool grows by half of itself, so that a long context costs few copies and at most half as much again. */
const GROWTH = 1.5;

/** Hands out pages of a pool and counts who holds them. The pool's owner frees the pool after all sequences. */
export class PageAllocator {
  readonly pool: KvPool;
  #references = new Int32Array(0);
  /** Pages that nobody holds, last released first. */
  readonly #free: number[] = [];

  constructor(pool: KvPool) {
    this.pool = pool;
    this.#adopt();
  }

  /** Pages held at least once. */
  get used(): number {
    return this.pool.pages() - this.#free.length;
  }

  /** `count` pages with one reference each and undefined content. All or, when the device refuses to grow, an error and none. */
  allocate(count: number): number[] {
    const missing = count - this.#free.length;
    if (missing > 0) this.#grow(missing);
    const pages = this.#free.splice(this.#free.length - count, count).reverse();
    for (const page of pages) this.#references[page] = 1;
    return pages;
  }

  retain(page: number): void {
    this.#references[page] = this.#held(page) + 1;
  }

  release(page: number): void {
    const references = this.#held(page) - 1;
    this.#references[page] = references;
    if (references === 0) this.#free.push(page);
  }

  /** Whether more than one holder would see a write. */
  shared(page: number): boolean {
    return this.#held(page) > 1;
  }

  #held(page: number): number {
    const references = this.#references[page] ?? 0;
    if (references < 1) throw new InputError('argument', `page ${page} is held by nobody`, { page });
    return references;
  }

  #grow(missing: number): void {
    const { pool } = this;
    const least = pool.pages() + missing;
    const ample = Math.max(least, Math.ceil(pool.pages() * GROWTH));
    try {
      pool.reserve(ample);
    } catch (error) {
      if (ample === least) throw error;
      pool.reserve(least);
    }
    this.#adopt();
  }

  /** Takes pages that the pool has and the counts do not know; the lowest is handed out first. */
  #adopt(): void {
    const known = this.#references.length;
    const pages = this.pool.pages();
    if (pages <= known) return;
    const references = new Int32Array(pages);
    references.set(this.#references);
    this.#references = references;
    const fresh = Array.from({ length: pages - known }, (_, i) => pages - 1 - i);
    this.#free.unshift(...fresh);
  }
}

/** A block of the table that has no page. */
const NONE = -1;

/** One run of positions over the pages of all layers and heads. Positions below `length` are, or are about to be, written. */
export class Sequence implements KvView {
  readonly pool: KvPool;
  readonly blocks: number;
  readonly table: Int32Array;
  /** Most tokens. */
  readonly capacity: number;
  readonly #pages: PageAllocator;
  /** (layer, head) pairs: each block of positions has a page for each. */
  readonly #lanes: number;
  #length = 0;
  /** Blocks that have pages. */
  #held = 0;
  #version = 0;
  #freed = false;

  constructor(pages: PageAllocator, capacity: number) {
    const { layers, kvHeads } = pages.pool.spec;
    this.pool = pages.pool;
    this.capacity = capacity;
    this.blocks = Math.ceil(capacity / PAGE_TOKENS);
    this.#pages = pages;
    this.#lanes = layers * kvHeads;
    this.table = new Int32Array(this.#lanes * this.blocks).fill(NONE);
  }

  get length(): number {
    return this.#length;
  }
  get version(): number {
    return this.#version;
  }

  /**
   * Makes positions `[length, tokens)` writable: every block has pages, and a partly filled block that others see too is copied first.
   * Throws `InputError('too-long')` beyond the capacity; on any error nothing has changed.
   */
  ensure(tokens: number): void {
    this.#alive();
    if (tokens > this.capacity) {
      throw new InputError(
        'too-long',
        `${tokens} tokens do not fit into a context of ${this.capacity}; shorten the prompt or load the model with a larger contextWindow`,
        { tokens, capacity: this.capacity },
      );
    }
    if (tokens <= this.#length) return;
    const wanted = Math.ceil(tokens / PAGE_TOKENS);
    const copied = this.#sharedTail();
    const fresh = (wanted - this.#held) * this.#lanes;
    if (fresh + copied.length > 0) {
      const pages = this.#pages.allocate(fresh + copied.length);
      let next = 0;
      const take = (): number => pages[next++] ?? NONE;
      for (const at of copied) {
        const from = this.table[at] ?? NONE;
        const to = take();
        this.pool.copy(from, to);
        this.#pages.release(from);
        this.table[at] = to;
      }
      for (let lane = 0; lane < this.#lanes; lane++) {
        for (let block = this.#held; block < wanted; block++) this.table[lane * this.blocks + block] = take();
      }
      this.#held = wanted;
      this.#version++;
    }
    this.#length = tokens;
  }

  /** Forgets positions from `length` on; more than there are is ignored. */
  truncate(length: number): void {
    this.#alive();
    if (length >= this.#length) return;
    if (length < 0) throw new InputError('argument', `a sequence of ${length} tokens`, { length });
    this.#length = length;
    this.#drop(Math.ceil(length / PAGE_TOKENS));
  }

  /** A sequence with the same content, which shares every page until either writes into it. */
  fork(): Sequence {
    this.#alive();
    const copy = new Sequence(this.#pages, this.capacity);
    for (const page of this.table) if (page !== NONE) this.#pages.retain(page);
    copy.table.set(this.table);
    copy.#held = this.#held;
    copy.#length = this.#length;
    copy.#version = 1;
    return copy;
  }

  /** Releases all pages. Again is ignored. */
  free(): void {
    if (this.#freed) return;
    this.#drop(0);
    this.#length = 0;
    this.#freed = true;
  }

  /** Table entries of the partly filled last block whose pages others hold too. */
  #sharedTail(): number[] {
    if (this.#length % PAGE_TOKENS === 0) return [];
    const block = this.#held - 1;
    return Array.from({ length: this.#lanes }, (_, lane) => lane * this.blocks + block).filter((at) => this.#pages.shared(this.table[at] ?? NONE));
  }

  #drop(keep: number): void {
    if (keep >= this.#held) return;
    for (let lane = 0; lane < this.#lanes; lane++) {
      for (let block = keep; block < this.#held; block++) {
        const at = lane * this.blocks + block;
        this.#pages.release(this.table[at] ?? NONE);
        this.table[at] = NONE;
      }
    }
    this.#held = keep;
    this.#version++;
  }

  #alive(): void {
    if (this.#freed) throw new InputError('destroyed', 'the sequence was freed');
  }
}
