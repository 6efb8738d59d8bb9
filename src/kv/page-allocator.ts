/**
 * Reference counts for the KV pages of one pool, format by format. The pages themselves belong to the backend (contract
 * 3).
 */
import { KV_FORMATS, pageFormat, pageIndex, pageNumber, type KvFormat, type KvPool } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

/** A pool grows by half of its size, so that a long context causes few copies and wastes at most half as much again. */
const GROWTH = 1.5;

/** A block of a page table that has no page. */
export const NO_PAGE = -1;

/** The pages of one format. */
interface Shelf {
  /** Reference counts, by index. */
  references: Int32Array;
  /** Pages without a reference; the last one released is first. */
  free: number[];
}

/** Allocates pages of a pool and counts references. The pool's owner frees the pool after all sequences. */
export class PageAllocator {
  readonly pool: KvPool;
  /** Releases pages that are only cached, when the device has no more memory; returns false when there are none. */
  reclaim: (() => boolean) | undefined;
  readonly #shelves: Readonly<Record<KvFormat, Shelf>>;

  constructor(pool: KvPool) {
    const shelf = (): Shelf => ({ references: new Int32Array(0), free: [] });
    this.pool = pool;
    this.#shelves = { f32: shelf(), f16: shelf(), q8: shelf(), q4: shelf(), q2: shelf(), k8v4: shelf(), k4v2: shelf() };
    for (const format of KV_FORMATS) this.#adopt(format);
  }

  /** The number of pages with at least one reference. */
  get used(): number {
    return KV_FORMATS.reduce((sum, format) => sum + this.#used(format), 0);
  }
  /** Bytes of the pages with at least one reference. */
  get usedBytes(): number {
    return KV_FORMATS.reduce((sum, format) => sum + this.#used(format) * this.pool.pageBytes(format), 0);
  }

  /** Returns `count` pages with one reference each and undefined content. Throws, and allocates none, when the device refuses to grow. */
  allocate(count: number, format: KvFormat = this.pool.spec.format): number[] {
    const { free, references } = this.#enough(count, format);
    const pages = free.splice(free.length - count, count).reverse();
    for (const page of pages) references[pageIndex(page)] = 1;
    return pages;
  }

  retain(page: number): void {
    const { references } = this.#held(page);
    const index = pageIndex(page);
    references[index] = (references[index] ?? 0) + 1;
  }

  release(page: number): void {
    const { references, free } = this.#held(page);
    const index = pageIndex(page);
    const left = (references[index] ?? 0) - 1;
    references[index] = left;
    if (left === 0) free.push(page);
  }

  /** Tells whether a write would be visible to more than one holder. */
  shared(page: number): boolean {
    return (this.#held(page).references[pageIndex(page)] ?? 0) > 1;
  }

  /**
   * Returns the memory behind the last page in use of each format, if it is at least half of the format's memory, so
   * that a pool whose use varies does not copy itself again and again.
   */
  trim(): void {
    for (const format of KV_FORMATS) {
      const shelf = this.#shelves[format];
      let kept = this.pool.pages(format);
      while (kept > 0 && (shelf.references[kept - 1] ?? 0) === 0) kept--;
      if (kept > this.pool.pages(format) / 2 || this.pool.pages(format) === 0) continue;
      this.pool.shrink(kept, format);
      shelf.references = shelf.references.slice(0, kept);
      shelf.free = shelf.free.filter((page) => pageIndex(page) < kept);
    }
  }

  /** Returns the memory of a page that is in use. */
  #held(page: number): Shelf {
    const shelf = page < 0 ? undefined : this.#shelves[pageFormat(page)];
    if (shelf === undefined || (shelf.references[pageIndex(page)] ?? 0) < 1)
      throw new InputError('argument', `page ${page} is held by nobody`, { page });
    return shelf;
  }

  #used(format: KvFormat): number {
    return this.pool.pages(format) - this.#shelves[format].free.length;
  }

  /** Returns the memory of the format, with at least `count` free pages. */
  #enough(count: number, format: KvFormat): Shelf {
    const shelf = this.#shelves[format];
    while (shelf.free.length < count) {
      try {
        this.#grow(count - shelf.free.length, format);
      } catch (error) {
        if (this.reclaim?.() !== true) throw error;
      }
    }
    return shelf;
  }

  #grow(missing: number, format: KvFormat): void {
    const { pool } = this;
    const least = pool.pages(format) + missing;
    const ample = Math.max(least, Math.ceil(pool.pages(format) * GROWTH));
    try {
      pool.reserve(ample, format);
    } catch (error) {
      if (ample === least) throw error;
      pool.reserve(least, format);
    }
    this.#adopt(format);
  }

  /** Adds pages that the pool has and the counts do not contain yet; the lowest is allocated first. */
  #adopt(format: KvFormat): void {
    const shelf = this.#shelves[format];
    const known = shelf.references.length;
    const pages = this.pool.pages(format);
    if (pages <= known) return;
    const references = new Int32Array(pages);
    references.set(shelf.references);
    shelf.references = references;
    const fresh = Array.from({ length: pages - known }, (_, i) => pageNumber(format, pages - 1 - i));
    shelf.free.unshift(...fresh);
  }
}
