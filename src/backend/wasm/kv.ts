/** KV pages in WASM memory: slabs of pages that never move, so that growing copies nothing and addresses stay. */
import { InputError } from '../../errors.ts';
import { PAGE_TOKENS, type KvPool, type KvSpec, type KvView } from '../backend.ts';
import type { Engine } from './engine.ts';

/** Bytes of a slab, about: growth in small steps, and few slabs. */
const SLAB_BYTES = 1 << 20;
/** What 4 GiB can hold of the smallest page worth having. */
const MAX_PAGES = 2 ** 24;

export const KV_FORMATS = { f32: 0, f16: 1 } as const;

export class WasmPool implements KvPool {
  readonly spec: KvSpec;
  readonly pageBytes: number;
  readonly #engine: Engine;
  readonly #freed: (pool: WasmPool) => void;
  /** log2 of the pages of a slab. */
  readonly #shift: number;
  #slabs: number[] = [];
  #pages = 0;
  #free = false;

  constructor(engine: Engine, spec: KvSpec, freed: (pool: WasmPool) => void) {
    for (const [name, n] of [['layers', spec.layers], ['kvHeads', spec.kvHeads], ['headDim', spec.headDim]] as const) {
      if (!(Number.isInteger(n) && n > 0)) throw new InputError('argument', `kvPool: ${name} is ${n}; it must be a positive whole number`);
    }
    this.#engine = engine;
    this.spec = spec;
    this.#freed = freed;
    this.pageBytes = engine.wasm.exports.pageBytes(KV_FORMATS[spec.format], spec.headDim);
    this.#shift = Math.max(0, Math.floor(Math.log2(SLAB_BYTES / this.pageBytes)));
  }

  get pages(): number {
    return this.#pages;
  }
  /** Of all slabs. */
  get bytes(): number {
    return this.#slabs.length * this.#slabBytes;
  }
  get slabs(): number {
    return this.#slabs.length;
  }
  get #slabBytes(): number {
    return this.pageBytes << this.#shift;
  }

  reserve(pages: number): void {
    this.#alive();
    if (!(Number.isInteger(pages) && pages >= 0 && pages <= MAX_PAGES)) throw new InputError('argument', `kvPool.reserve: ${pages} pages; 0 to ${MAX_PAGES} are possible`);
    const had = this.#slabs.length;
    const missing = (Math.ceil(pages / (1 << this.#shift)) - had) * this.#slabBytes;
    // Refused at once where it can never fit.
    if (missing >= 2 ** 32) this.#engine.alloc(missing);
    try {
      while (this.#slabs.length << this.#shift < pages) {
        this.#slabs.push(this.#engine.alloc(this.#slabBytes));
      }
    } catch (error) {
      for (const slab of this.#slabs.splice(had)) this.#engine.free(slab);
      throw error;
    }
    // What is not yet written is read nowhere, but a page stored or sent elsewhere must not carry other data.
    for (const slab of this.#slabs.slice(had)) this.#engine.wasm.bytes(slab, this.#slabBytes).fill(0);
    this.#pages = Math.max(this.#pages, pages);
  }

  /** The page's address, or 0 when there is no such page. */
  address(page: number): number {
    if (!(page >= 0 && page < this.#pages)) return 0;
    const slab = this.#slabs[page >> this.#shift] ?? 0;
    return slab + (page & ((1 << this.#shift) - 1)) * this.pageBytes;
  }

  copy(from: number, to: number): void {
    this.#alive();
    const source = this.address(from);
    const target = this.address(to);
    if (source === 0 || target === 0) throw new InputError('argument', `kvPool.copy: pages ${from} and ${to} of ${this.#pages}`);
    const { wasm } = this.#engine;
    wasm.bytes(target, this.pageBytes).set(wasm.bytes(source, this.pageBytes));
  }

  free(): void {
    if (this.#free) return;
    this.#free = true;
    for (const slab of this.#slabs) this.#engine.free(slab);
    this.#slabs = [];
    this.#pages = 0;
    this.#freed(this);
  }

  #alive(): void {
    this.#engine.alive();
    if (this.#free) throw new InputError('destroyed', 'the KV pool was freed');
  }
}

/** The view's pool, checked against layer and table. */
export function poolOf(operation: string, kv: KvView, layer: number): WasmPool {
  const { pool } = kv;
  if (!(pool instanceof WasmPool)) throw new InputError('argument', `${operation}: the view's pool is of another backend`);
  const { layers, kvHeads } = pool.spec;
  if (!(Number.isInteger(layer) && layer >= 0 && layer < layers)) throw new InputError('argument', `${operation}: layer ${layer} of ${layers}`);
  if (kv.table.length !== layers * kvHeads * kv.blocks) {
    throw new InputError('argument', `${operation}: a page table of ${kv.table.length} entries; ${layers} layers, ${kvHeads} heads and ${kv.blocks} blocks need ${layers * kvHeads * kv.blocks}`);
  }
  return pool;
}

/** Writes the addresses of blocks [from, to) of every head of `layer`, head by head, from `target[at]` on; true if all exist. */
export function writePages(target: Uint32Array, at: number, pool: WasmPool, kv: KvView, layer: number, from: number, to: number): boolean {
  let whole = true;
  for (let head = 0; head < pool.spec.kvHeads; head++) {
    const row = (layer * pool.spec.kvHeads + head) * kv.blocks;
    for (let block = from; block < to; block++) {
      const address = pool.address(kv.table[row + block] ?? -1);
      if (address === 0) whole = false;
      target[at++] = address;
    }
  }
  return whole;
}

/** The first block of `layer` in [from, to) that has no page, as a sentence's end. */
export function missingPage(pool: WasmPool, kv: KvView, layer: number, from: number, to: number): string | undefined {
  for (let head = 0; head < pool.spec.kvHeads; head++) {
    for (let block = from; block < to; block++) {
      const page = kv.table[(layer * pool.spec.kvHeads + head) * kv.blocks + block];
      if (pool.address(page ?? -1) === 0) return `position ${block * PAGE_TOKENS}, layer ${layer}, head ${head}: page ${page} of ${pool.pages}`;
    }
  }
  return undefined;
}
