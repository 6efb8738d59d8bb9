/** KV pages in WASM memory: for each format slabs of pages that never move, so that growing copies nothing and addresses stay. */
import { InputError } from '../../errors.ts';
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageIndex,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
} from '../backend.ts';
import type { Engine } from './engine.ts';

/** Bytes of a slab, about: growth in small steps, and few slabs. */
const SLAB_BYTES = 1 << 20;
/** What 4 GiB can hold of the smallest page worth having. */
const MAX_PAGES = 2 ** 24;

/** `pageNumber` of backend.ts has the format above these bits. */
const FORMAT_SHIFT = 27;
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
  /** Of all slabs. */
  get bytes(): number {
    return this.#slabs.length * this.#slabBytes;
  }
  get #slabBytes(): number {
    return this.pageBytes << this.#shift;
  }

  reserve(pages: number): void {
    const had = this.#slabs.length;
    const missing = (Math.ceil(pages / (1 << this.#shift)) - had) * this.#slabBytes;
    // Refused at once where it can never fit.
    if (missing >= 2 ** 32) this.#engine.alloc(missing);
    try {
      while (this.#slabs.length << this.#shift < pages) this.#slabs.push(this.#engine.alloc(this.#slabBytes));
    } catch (error) {
      for (const slab of this.#slabs.splice(had)) this.#engine.free(slab);
      throw error;
    }
    // What is not yet written is read nowhere, but a page stored or sent elsewhere must not carry other data.
    for (const slab of this.#slabs.slice(had)) this.#engine.wasm.bytes(slab, this.#slabBytes).fill(0);
    this.#pages = Math.max(this.#pages, pages);
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
  /** By the code of their format. */
  readonly #memories: readonly PageMemory[];
  readonly #open: number;
  #free = false;

  constructor(engine: Engine, spec: KvSpec, freed: (pool: WasmPool) => void) {
    for (const [name, n] of [
      ['layers', spec.layers],
      ['kvHeads', spec.kvHeads],
      ['headDim', spec.headDim],
    ] as const) {
      if (!(Number.isInteger(n) && n > 0))
        throw new InputError('argument', `kvPool: ${name} is ${n}; it must be a positive whole number`);
    }
    if (spec.headDim % 4 !== 0)
      throw new InputError('argument', `kvPool: headDim is ${spec.headDim}; it must be a multiple of 4`);
    this.#engine = engine;
    this.spec = spec;
    this.#freed = freed;
    this.#memories = KV_FORMATS.map(
      (_, code) => new PageMemory(engine, engine.wasm.exports.pageBytes(code, spec.headDim)),
    );
    this.#open = KV_FORMATS.indexOf(spec.format);
  }

  /** Of all slabs of all formats. */
  get bytes(): number {
    return this.#memories.reduce((sum, memory) => sum + memory.bytes, 0);
  }
  get slabs(): number {
    return this.#memories.reduce((sum, memory) => sum + memory.slabs, 0);
  }

  pages(format: KvFormat = this.spec.format): number {
    return this.#memory('pages', format).pages;
  }

  pageBytes(format: KvFormat = this.spec.format): number {
    return this.#memory('pageBytes', format).pageBytes;
  }

  reserve(pages: number, format: KvFormat = this.spec.format): void {
    this.#alive();
    if (!(Number.isInteger(pages) && pages >= 0 && pages <= MAX_PAGES))
      throw new InputError('argument', `kvPool.reserve: ${pages} pages; 0 to ${MAX_PAGES} are possible`);
    this.#memory('reserve', format).reserve(pages);
  }

  /** The entry of a kernel's page table: the page's address with the code of its format in the low bits. 0 when there is no such page. */
  entry(page: number): number {
    const code = page >>> FORMAT_SHIFT;
    const address = this.#memories[code]?.address(pageIndex(page)) ?? 0;
    return address === 0 ? 0 : address + code;
  }

  /** The address of a page that is written token by token; 0 when there is none, or it is of another format. */
  open(page: number): number {
    return page >>> FORMAT_SHIFT === this.#open ? (this.#memories[this.#open]?.address(pageIndex(page)) ?? 0) : 0;
  }

  copy(from: number, to: number): void {
    this.#alive();
    const source = this.#bytesOf('copy', from);
    const target = this.#bytesOf('copy', to);
    if (pageFormat(from) !== pageFormat(to)) {
      throw new InputError(
        'argument',
        `kvPool.copy: page ${from} is ${pageFormat(from)}, page ${to} is ${pageFormat(to)}; convert changes formats`,
        { from, to },
      );
    }
    target.set(source);
  }

  convert(from: Int32Array, to: Int32Array): void {
    this.#alive();
    if (from.length !== to.length)
      throw new InputError('argument', `kvPool.convert: ${from.length} pages into ${to.length}`);
    const targets = new Set(to);
    if (targets.size !== to.length) throw new InputError('argument', 'kvPool.convert: a page is written twice');
    for (const page of from)
      if (targets.has(page))
        throw new InputError('argument', `kvPool.convert: page ${page} is both read and written`, { page });
    const sources = Array.from(from, (page) => this.#entry('convert', page));
    const results = Array.from(to, (page) => this.#entry('convert', page));
    if (from.length === 0) return;
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const table = engine.room('pages', 8 * from.length);
    engine.scratch(exports.convertScratchBytes(this.spec.headDim));
    const all = engine.wasm.words();
    all.set(sources, table >>> 2);
    all.set(results, (table >>> 2) + from.length);
    const words = engine.words();
    words[1] = table;
    words[2] = table + 4 * from.length;
    words[3] = from.length;
    words[4] = this.spec.headDim;
    engine.run('convert', exports.convertPages);
  }

  async read(pages: Int32Array): Promise<Uint8Array> {
    this.#alive();
    const parts = Array.from(pages, (page) => this.#bytesOf('read', page));
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  write(pages: Int32Array, bytes: Uint8Array): void {
    this.#alive();
    const parts = Array.from(pages, (page) => this.#bytesOf('write', page));
    const wanted = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes.length !== wanted)
      throw new InputError('argument', `kvPool.write: ${bytes.length} bytes; ${pages.length} pages are ${wanted}`);
    let at = 0;
    for (const part of parts) {
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

  #memory(operation: string, format: KvFormat): PageMemory {
    const memory = this.#memories[KV_FORMATS.indexOf(format)];
    if (memory === undefined)
      throw new InputError('argument', `kvPool.${operation}: format '${format}' is none of ${KV_FORMATS.join(', ')}`);
    return memory;
  }

  #entry(operation: string, page: number): number {
    const entry = this.entry(page);
    if (entry === 0) throw new InputError('argument', `kvPool.${operation}: ${this.describe(page)}`, { page });
    return entry;
  }

  /** The page's bytes; good until the next allocation. */
  #bytesOf(operation: string, page: number): Uint8Array {
    const entry = this.#entry(operation, page);
    const { pageBytes } = this.#memory(operation, pageFormat(page));
    return this.#engine.wasm.bytes(entry & ~FORMAT_MASK, pageBytes);
  }

  /** A page that an operation cannot use, for people. */
  describe(page: number | undefined): string {
    const format = page === undefined ? undefined : KV_FORMATS[page >>> FORMAT_SHIFT];
    if (page === undefined || page < 0 || format === undefined) return `page ${page}, which is none`;
    return `page ${pageIndex(page)} of ${this.pages(format)} in ${format}`;
  }

  #alive(): void {
    this.#engine.alive();
    if (this.#free) throw new InputError('destroyed', 'the KV pool was freed');
  }
}

/** The view's pool, checked against layer and table. */
export function poolOf(operation: string, kv: KvView, layer: number): WasmPool {
  const { pool } = kv;
  if (!(pool instanceof WasmPool))
    throw new InputError('argument', `${operation}: the view's pool is of another backend`);
  const { layers, kvHeads } = pool.spec;
  if (!(Number.isInteger(layer) && layer >= 0 && layer < layers))
    throw new InputError('argument', `${operation}: layer ${layer} of ${layers}`);
  if (kv.table.length !== layers * kvHeads * kv.blocks) {
    throw new InputError(
      'argument',
      `${operation}: a page table of ${kv.table.length} entries; ${layers} layers, ${kvHeads} heads and ${kv.blocks} blocks need ${layers * kvHeads * kv.blocks}`,
    );
  }
  return pool;
}

/**
 * Writes the page table entries of blocks [from, to) of every head of `layer`, head by head, from `target[at]` on; true if all exist.
 * `open`: plain addresses, of pages that are written token by token.
 */
export function writePages(
  target: Uint32Array,
  at: number,
  pool: WasmPool,
  kv: KvView,
  layer: number,
  from: number,
  to: number,
  open = false,
): boolean {
  let whole = true;
  for (let head = 0; head < pool.spec.kvHeads; head++) {
    const row = (layer * pool.spec.kvHeads + head) * kv.blocks;
    for (let block = from; block < to; block++) {
      const page = kv.table[row + block] ?? -1;
      const entry = open ? pool.open(page) : pool.entry(page);
      if (entry === 0) whole = false;
      target[at++] = entry;
    }
  }
  return whole;
}

/** The error of an append to blocks [from, to) of which `writePages` said that one cannot be written. */
export function notOpen(
  operation: string,
  pool: WasmPool,
  kv: KvView,
  layer: number,
  from: number,
  to: number,
): InputError {
  for (let head = 0; head < pool.spec.kvHeads; head++) {
    for (let block = from; block < to; block++) {
      const page = kv.table[(layer * pool.spec.kvHeads + head) * kv.blocks + block];
      if (pool.open(page ?? -1) !== 0) continue;
      return new InputError(
        'argument',
        `${operation}: position ${block * PAGE_TOKENS}, layer ${layer}, head ${head}: ${pool.describe(page)}; tokens are written into ${pool.spec.format} pages that exist`,
      );
    }
  }
  return new InputError('argument', `${operation}: no pages`);
}
