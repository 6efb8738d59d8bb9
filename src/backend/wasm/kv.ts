/**
 * KV pages in WASM memory: for each format slabs of pages that never move, so that growing copies nothing and addresses
 * stay valid.
 */
import {
  KV_FORMATS,
  pageCode,
  pageFormat,
  pageIndex,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
} from '../backend.ts';
import { foreign, freed } from '../checks.ts';
import * as checks from '../page-checks.ts';
import type { Engine } from './engine.ts';
import { writeConvert } from './layouts.ts';

/** The approximate bytes of a slab: small enough for memory to grow in small steps, large enough for few slabs. */
const SLAB_BYTES = 1 << 20;
/** Low bits of an entry that hold the format (assembly/kv/layout.ts). */
const FORMAT_MASK = 7;

/** The pages of one format. */
class PageMemory {
  readonly pageBytes: number;
  readonly #engine: Engine;
  /** log2 of the pages of a slab. */
  readonly #shift: number;
  #slabs: number[] = [];
  #pages = 0;

  constructor(engine: Engine, pageBytes: number) {
    this.#engine = engine;
    this.pageBytes = pageBytes;
    this.#shift = Math.max(0, Math.floor(Math.log2(SLAB_BYTES / pageBytes)));
  }

  get pages(): number {
    return this.#pages;
  }
  get slabs(): number {
    return this.#slabs.length;
  }
  /** Bytes of all slabs. */
  get bytes(): number {
    return this.#slabs.length * this.#slabBytes;
  }
  get #slabBytes(): number {
    return this.pageBytes << this.#shift;
  }

  reserve(pages: number): void {
    const had = this.#slabs.length;
    const missing = (Math.ceil(pages / (1 << this.#shift)) - had) * this.#slabBytes;
    // Sizes that can never fit are refused before anything is allocated.
    if (missing >= 2 ** 32) this.#engine.alloc(missing);
    try {
      while (this.#slabs.length << this.#shift < pages) this.#slabs.push(this.#engine.alloc(this.#slabBytes));
    } catch (error) {
      for (const slab of this.#slabs.splice(had)) this.#engine.free(slab);
      throw error;
    }
    // Kernels never read rows that are not written yet, but a saved page must not contain old data.
    for (const slab of this.#slabs.slice(had)) this.#engine.wasm.bytes(slab, this.#slabBytes).fill(0);
    this.#pages = Math.max(this.#pages, pages);
  }

  /** Frees the slabs that hold only pages from `pages` on. */
  shrink(pages: number): void {
    for (const slab of this.#slabs.splice(Math.ceil(pages / (1 << this.#shift)))) this.#engine.free(slab);
    this.#pages = pages;
  }

  /** The page's address, or 0 when there is no such page. */
  address(index: number): number {
    if (index >= this.#pages) return 0;
    return (this.#slabs[index >> this.#shift] ?? 0) + (index & ((1 << this.#shift) - 1)) * this.pageBytes;
  }

  free(): void {
    for (const slab of this.#slabs) this.#engine.free(slab);
    this.#slabs = [];
    this.#pages = 0;
  }
}

export class WasmPool implements KvPool {
  readonly spec: KvSpec;
  readonly #engine: Engine;
  readonly #freed: (pool: WasmPool) => void;
  /** In the order of the format codes. */
  readonly #memories: readonly PageMemory[];
  readonly #open: number;
  #free = false;

  constructor(engine: Engine, spec: KvSpec, freed: (pool: WasmPool) => void) {
    checks.pool(spec);
    this.#engine = engine;
    this.spec = spec;
    this.#freed = freed;
    this.#memories = KV_FORMATS.map(
      (_, code) => new PageMemory(engine, engine.wasm.exports.pageBytes(code, spec.headDim)),
    );
    this.#open = KV_FORMATS.indexOf(spec.format);
  }

  /** Bytes of all slabs of all formats. */
  get bytes(): number {
    return this.#memories.reduce((sum, memory) => sum + memory.bytes, 0);
  }
  get slabs(): number {
    return this.#memories.reduce((sum, memory) => sum + memory.slabs, 0);
  }

  pages(format: KvFormat = this.spec.format): number {
    return this.#memory(format)?.pages ?? 0;
  }

  pageBytes(format: KvFormat = this.spec.format): number {
    return this.#memory(format)?.pageBytes ?? 0;
  }

  reserve(pages: number, format: KvFormat = this.spec.format): void {
    this.alive();
    checks.reserve(pages, format);
    this.#memory(format)?.reserve(pages);
  }

  shrink(pages: number, format: KvFormat = this.spec.format): void {
    this.alive();
    checks.shrink(this, pages, format);
    this.#memory(format)?.shrink(pages);
  }

  /**
   * Returns the entry for a kernel's page table: the page's address with the format code in the low bits, or 0 when
   * there is no such page.
   */
  entry(page: number): number {
    const code = pageCode(page);
    const address = this.#memories[code]?.address(pageIndex(page)) ?? 0;
    return address === 0 ? 0 : address + code;
  }

  /** Returns the address of a page that is written token by token; 0 when there is none or it has another format. */
  open(page: number): number {
    return pageCode(page) === this.#open ? (this.#memories[this.#open]?.address(pageIndex(page)) ?? 0) : 0;
  }

  /** `entry` for pages of the formats that a view names, 0 for all others. */
  readable({ formats }: KvView): (page: number) => number {
    let named = 1 << this.#open;
    for (const format of formats ?? []) named |= 1 << KV_FORMATS.indexOf(format);
    return (page) => ((named >> pageCode(page)) & 1 && page >= 0 ? this.entry(page) : 0);
  }

  copy(from: number, to: number): void {
    this.alive();
    checks.copy(this, from, to);
    this.#bytesOf(to).set(this.#bytesOf(from));
  }

  convert(from: Int32Array, to: Int32Array): void {
    this.alive();
    checks.convert(this, from, to);
    if (from.length === 0) return;
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const { headDim } = this.spec;
    const count = from.length;
    const table = engine.room('pages', 8 * count);
    engine.scratch(exports.convertScratchBytes(headDim));
    const all = engine.wasm.words();
    for (let i = 0; i < count; i++) {
      all[(table >>> 2) + i] = this.entry(from[i] ?? -1);
      all[(table >>> 2) + count + i] = this.entry(to[i] ?? -1);
    }
    writeConvert(engine.block(), { from: table, to: table + 4 * count, count, headDim });
    engine.run('convert', exports.convertPages);
  }

  async read(pages: Int32Array): Promise<Uint8Array> {
    this.alive();
    checks.read(this, pages);
    const parts = Array.from(pages, (page) => this.#bytesOf(page));
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  write(pages: Int32Array, bytes: Uint8Array): void {
    this.alive();
    checks.write(this, pages, bytes);
    let at = 0;
    for (const page of pages) {
      const part = this.#bytesOf(page);
      part.set(bytes.subarray(at, at + part.length));
      at += part.length;
    }
  }

  free(): void {
    if (this.#free) return;
    this.#free = true;
    for (const memory of this.#memories) memory.free();
    this.#freed(this);
  }

  #memory(format: KvFormat): PageMemory | undefined {
    return this.#memories[KV_FORMATS.indexOf(format)];
  }

  /** Returns the bytes of an existing page; valid until the next allocation. */
  #bytesOf(page: number): Uint8Array {
    // Unsigned: pages may lie beyond 2 GiB.
    const address = (this.entry(page) & ~FORMAT_MASK) >>> 0;
    return this.#engine.wasm.bytes(address, this.pageBytes(pageFormat(page)));
  }

  /** Throws when the pool or its engine cannot be used any more. */
  alive(): void {
    this.#engine.alive();
    if (this.#free) throw freed('kvPool', 'the KV pool');
  }
}

/** The view's pool. */
export function poolOf(operation: string, { pool }: KvView): WasmPool {
  if (!(pool instanceof WasmPool)) throw foreign(operation, "the view's pool");
  pool.alive();
  return pool;
}

/**
 * Writes the entries of blocks [from, to) of every head of `layer`, head by head, from `target[at]` on. Returns true if
 * none is 0.
 */
export function writePages(
  target: Uint32Array,
  at: number,
  { pool, table, blocks }: KvView,
  layer: number,
  from: number,
  to: number,
  entry: (page: number) => number,
): boolean {
  const { kvHeads } = pool.spec;
  let whole = true;
  for (let head = 0; head < kvHeads; head++) {
    const row = (layer * kvHeads + head) * blocks;
    for (let block = from; block < to; block++) {
      const found = entry(table[row + block] ?? -1);
      if (found === 0) whole = false;
      target[at++] = found;
    }
  }
  return whole;
}
