/** Sequences: runs of positions over pages that they share until one of them writes, closed to fewer bits as they age. */
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  type KvFormat,
  type KvPool,
  type KvView,
  type SlotPositions,
} from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { KvBits } from './precision.ts';
import { NO_PAGE, type PageAllocator } from './page-allocator.ts';
import type { SequenceState, Snapshot } from './state.ts';
import { closedBlocks, closedFormat, coarser, wholeGroups } from './precision.ts';

export { NO_PAGE, PageAllocator } from './page-allocator.ts';

/** One run of positions over the pages of all layers and heads. Positions below `length` are, or are about to be, written. */
export class Sequence implements KvView {
  readonly pool: KvPool;
  readonly pages: PageAllocator;
  readonly blocks: number;
  readonly table: Int32Array;
  /** The most tokens. */
  readonly capacity: number;
  /** (layer, head) pairs, `layer * kvHeads + head`: each block of positions has a page, or a hole, for each. */
  readonly pagesPerBlock: number;
  /** See `KvView`. Set before the tokens after omitted ones are appended. */
  positions: SlotPositions | undefined;
  /** See `KvView`. */
  hadamard: boolean;
  /** Called when blocks from `keep` on were released. */
  onDrop: ((keep: number) => void) | undefined;
  /** The states of layers that have states instead of pages. */
  readonly state: SequenceState | undefined;
  #length = 0;
  /** The number of blocks that have pages. */
  #held = 0;
  #version = 0;
  #freed = false;
  /** The number of closed blocks at the last `settle`; undefined when all blocks must be checked. */
  #settled: number | undefined;
  /** No block from here on has a closed page. */
  #closed = 0;
  /** Table entries whose pages hold something else than their own positions. They are never closed. */
  readonly #replaced = new Set<number>();
  #formats: { readonly version: number; readonly list: readonly KvFormat[] };

  constructor(pages: PageAllocator, capacity: number, state?: SequenceState, hadamard = false) {
    const { layers, kvHeads, format } = pages.pool.spec;
    this.pool = pages.pool;
    this.pages = pages;
    this.capacity = capacity;
    this.state = state;
    this.hadamard = hadamard;
    this.blocks = Math.ceil(capacity / PAGE_TOKENS);
    this.pagesPerBlock = layers * kvHeads;
    this.table = new Int32Array(this.pagesPerBlock * this.blocks).fill(NO_PAGE);
    this.#formats = { version: 0, list: [format] };
  }

  get length(): number {
    return this.#length;
  }
  get version(): number {
    return this.#version;
  }
  /** The formats of the pages in the table, and of the pool. */
  get formats(): readonly KvFormat[] {
    if (this.#formats.version !== this.#version) {
      const found = new Set<KvFormat>([this.pool.spec.format]);
      for (const page of this.table) if (page !== NO_PAGE) found.add(pageFormat(page));
      this.#formats = { version: this.#version, list: KV_FORMATS.filter((format) => found.has(format)) };
    }
    return this.#formats.list;
  }
  /** Bytes of the pages in the table, including shared ones. */
  get bytes(): number {
    return this.table.reduce((sum, page) => (page === NO_PAGE ? sum : sum + this.pool.pageBytes(pageFormat(page))), 0);
  }

  /**
   * Makes positions `[length, tokens)` writable: every block has pages, and the pages of a partly filled block are open
   * and owned by this sequence. If there are states, one forward call over exactly these positions must follow. Throws
   * `InputError('too-long')` beyond the capacity. On any error nothing has changed.
   */
  ensure(tokens: number): void {
    this.#alive();
    this.#fits(tokens);
    if (tokens <= this.#length) return;
    const before = this.#length;
    const wanted = Math.ceil(tokens / PAGE_TOKENS);
    const tail = this.#unwritable();
    const fresh = (wanted - this.#held) * this.pagesPerBlock;
    if (fresh + tail.length > 0) {
      const pages = this.pages.allocate(fresh + tail.length);
      const own = pages.splice(0, tail.length);
      try {
        this.#exchange(tail, own);
      } catch (error) {
        for (const page of pages) this.pages.release(page);
        throw error;
      }
      let next = 0;
      for (let row = 0; row < this.pagesPerBlock; row++) {
        for (let block = this.#held; block < wanted; block++)
          this.table[row * this.blocks + block] = pages[next++] ?? NO_PAGE;
      }
      this.#held = wanted;
      this.#version++;
    }
    this.state?.begin(before, tokens);
    this.#length = tokens;
  }

  /**
   * Drops positions from `length` on; more than there are is ignored. Returns the remaining length. It is less than
   * requested when the block in which it ends has holes, after which nothing can be appended, when tokens are closed
   * that are open in a sequence of that length (precision.ts), and when the last snapshot of the states is before it.
   */
  truncate(length: number): number {
    this.#alive();
    if (length >= this.#length && this.#reopenable(this.#length) === this.#length) return this.#length;
    if (!(length >= 0)) throw new InputError('argument', `a sequence of ${length} tokens`, { length });
    let kept = Math.min(length, this.#length);
    for (let asked = -1; kept !== asked;) {
      asked = kept;
      kept = this.#appendable(this.state?.floor(asked) ?? asked);
    }
    this.state?.truncate(kept);
    this.#length = kept;
    this.#drop(Math.ceil(this.#length / PAGE_TOKENS));
    this.#settled = undefined;
    return this.#length;
  }

  /** Returns the largest length, at most `length`, after which tokens can be appended to the pages. */
  #appendable(length: number): number {
    const left = this.#reopenable(length);
    const block = Math.floor(left / PAGE_TOKENS);
    return left % PAGE_TOKENS !== 0 && !this.whole(block) ? block * PAGE_TOKENS : left;
  }

  /** Returns the largest length, at most `length`, at which no token is closed that should be open. */
  #reopenable(length: number): number {
    const whole = wholeGroups(length);
    return this.#closed * PAGE_TOKENS > whole ? whole : length;
  }

  /** Tells whether every row of a block holds its own positions. */
  whole(block: number): boolean {
    return this.pagesOf(block).every((page, row) => page !== NO_PAGE && !this.#replaced.has(row * this.blocks + block));
  }

  /** Tells whether any page of a layer's block holds something else than its positions. */
  replaced(layer: number, block: number): boolean {
    const { kvHeads } = this.pool.spec;
    for (let head = 0; head < kvHeads; head++)
      if (this.#replaced.has((layer * kvHeads + head) * this.blocks + block)) return true;
    return false;
  }

  /**
   * Closes pages that are old enough when the next token is run, and makes closed pages coarser as they age. It runs
   * before each call, so that what the call appends can be undone as long as no other call follows. On any error
   * nothing has changed.
   */
  settle(bits: KvBits): void {
    this.#alive();
    const closed = closedBlocks(this.#length, bits);
    if (bits === 16 || closed === this.#settled) return;
    const entries = new Map<KvFormat, number[]>();
    for (let block = 0; block < closed; block++) {
      const format = closedFormat(block, closed, bits);
      for (let row = 0; row < this.pagesPerBlock; row++) {
        const at = row * this.blocks + block;
        const page = this.table[at] ?? NO_PAGE;
        if (page === NO_PAGE || this.#replaced.has(at) || !coarser(format, pageFormat(page))) continue;
        const list = entries.get(format);
        if (list === undefined) entries.set(format, [at]);
        else list.push(at);
      }
    }
    if (entries.size > 0) {
      const pages: number[] = [];
      try {
        for (const [format, list] of entries) pages.push(...this.pages.allocate(list.length, format));
      } catch (error) {
        for (const page of pages) this.pages.release(page);
        throw error;
      }
      this.#exchange([...entries.values()].flat(), pages);
      this.#version++;
    }
    this.#settled = closed;
    this.#closed = Math.max(this.#closed, closed);
  }

  /** The pages of a block, by row; `NO_PAGE` for holes. */
  pagesOf(block: number): Int32Array {
    if (!(Number.isInteger(block) && block >= 0 && block < this.#held)) throw this.#noBlock(block);
    return Int32Array.from(
      { length: this.pagesPerBlock },
      (_, row) => this.table[row * this.blocks + block] ?? NO_PAGE,
    );
  }

  /**
   * Takes over one reference of every page of `blocks` (each by row, `NO_PAGE` for holes), which hold positions
   * `[length, tokens)`. If they may be closed further than those of a sequence of that length, `truncate` must follow.
   * Open pages among closed ones of a block count as set by `replace`. `snapshot` holds the states after `tokens`
   * tokens, of which one reference is taken over too, if there are states. On any error nothing has changed, and the
   * caller keeps all references.
   */
  adopt(blocks: readonly Int32Array[], tokens: number, snapshot?: Snapshot): void {
    this.#alive();
    this.#fits(tokens);
    const { format } = this.pool.spec;
    const wrong = (problem: string): InputError =>
      new InputError('argument', `adopting ${blocks.length} blocks up to token ${tokens}: ${problem}`, {
        blocks: blocks.length,
        tokens,
      });
    if (this.#length % PAGE_TOKENS !== 0)
      throw wrong(`the sequence ends within a block, at ${this.#length}; truncate it to a multiple of ${PAGE_TOKENS}`);
    if (Math.ceil(tokens / PAGE_TOKENS) - this.#held !== blocks.length)
      throw wrong(`behind ${this.#length} tokens they would be ${Math.ceil(tokens / PAGE_TOKENS) - this.#held}`);
    if (this.state !== undefined && snapshot?.position !== tokens)
      throw wrong(`the states are of ${String(snapshot?.position ?? 'no')} tokens`);
    for (const [i, pages] of blocks.entries()) {
      if (pages.length !== this.pagesPerBlock)
        throw wrong(`block ${i} has ${pages.length} pages; ${this.pagesPerBlock} are needed`);
      if (i === blocks.length - 1 && tokens % PAGE_TOKENS !== 0 && pages.includes(NO_PAGE))
        throw wrong('the last is partly filled and has holes');
      for (const page of pages) if (page !== NO_PAGE) this.pages.shared(page);
    }
    for (const [i, pages] of blocks.entries()) {
      const mixed = pages.some((page) => page !== NO_PAGE && pageFormat(page) !== format);
      for (const [row, page] of pages.entries()) {
        const at = row * this.blocks + this.#held + i;
        this.table[at] = page;
        if (mixed && page !== NO_PAGE && pageFormat(page) === format) this.#replaced.add(at);
      }
      if (mixed) this.#closed = this.#held + i + 1;
    }
    if (snapshot !== undefined) this.state?.adopt(snapshot);
    this.#held += blocks.length;
    this.#length = tokens;
    this.#settled = undefined;
    this.#version++;
  }

  /** Releases one page and leaves a hole, which no ranges may name from then on. */
  release(layer: number, head: number, block: number): void {
    const at = this.#entry(layer, head, block);
    const page = this.table[at] ?? NO_PAGE;
    if (page === NO_PAGE) return;
    this.pages.release(page);
    this.table[at] = NO_PAGE;
    this.#replaced.delete(at);
    this.#version++;
  }

  /**
   * Puts `page`, whose reference is taken over, in the place of another page, which is released, or of a hole. It is
   * never closed.
   */
  replace(layer: number, head: number, block: number, page: number): void {
    const at = this.#entry(layer, head, block);
    this.pages.shared(page);
    this.release(layer, head, block);
    this.table[at] = page;
    this.#replaced.add(at);
    this.#version++;
  }

  /** Fills a hole with the page that holds its positions, and takes over the page's reference. */
  restore(layer: number, head: number, block: number, page: number): void {
    const at = this.#entry(layer, head, block);
    this.pages.shared(page);
    if (this.table[at] !== NO_PAGE)
      throw new InputError('argument', `layer ${layer}, head ${head}, block ${block} has its page`, {
        layer,
        head,
        block,
      });
    this.table[at] = page;
    this.#settled = undefined;
    this.#version++;
  }

  /** A sequence with the same content, which shares every page until either writes into it. */
  fork(): Sequence {
    this.#alive();
    const copy = new Sequence(this.pages, this.capacity, this.state?.fork(), this.hadamard);
    for (const page of this.table) if (page !== NO_PAGE) this.pages.retain(page);
    copy.table.set(this.table);
    copy.positions = this.positions && { ...this.positions, values: this.positions.values.slice() };
    for (const at of this.#replaced) copy.#replaced.add(at);
    copy.#held = this.#held;
    copy.#length = this.#length;
    copy.#settled = this.#settled;
    copy.#closed = this.#closed;
    copy.#version = 1;
    return copy;
  }

  /** Releases all pages. Further calls are ignored. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#drop(0);
    this.#length = 0;
    this.state?.free();
  }

  /** Returns the table entries of the partly filled last block whose pages are shared. */
  #unwritable(): number[] {
    if (this.#length % PAGE_TOKENS === 0) return [];
    const block = this.#held - 1;
    return Array.from({ length: this.pagesPerBlock }, (_, row) => row * this.blocks + block).filter((at) =>
      this.pages.shared(this.table[at] ?? NO_PAGE),
    );
  }

  /** Copies the content of each entry to a page of its own, in that page's format. */
  #exchange(entries: readonly number[], pages: readonly number[]): void {
    if (entries.length === 0) return;
    const from = Int32Array.from(entries, (at) => this.table[at] ?? NO_PAGE);
    const to = Int32Array.from(pages);
    const same = from.map((page, i) => Number(pageFormat(page) === pageFormat(to[i] ?? NO_PAGE)));
    const other = (list: Int32Array): Int32Array => list.filter((_, i) => same[i] === 0);
    try {
      for (const [i, page] of from.entries()) if (same[i] === 1) this.pool.copy(page, to[i] ?? NO_PAGE);
      if (same.includes(0)) this.pool.convert(other(from), other(to));
    } catch (error) {
      for (const page of to) this.pages.release(page);
      throw error;
    }
    for (const [i, at] of entries.entries()) {
      this.pages.release(from[i] ?? NO_PAGE);
      this.table[at] = to[i] ?? NO_PAGE;
    }
  }

  #drop(keep: number): void {
    if (keep >= this.#held) return;
    for (let row = 0; row < this.pagesPerBlock; row++) {
      for (let block = keep; block < this.#held; block++) {
        const at = row * this.blocks + block;
        const page = this.table[at] ?? NO_PAGE;
        if (page !== NO_PAGE) this.pages.release(page);
        this.table[at] = NO_PAGE;
        this.#replaced.delete(at);
      }
    }
    this.#held = keep;
    this.#closed = Math.min(this.#closed, keep);
    this.#version++;
    this.onDrop?.(keep);
  }

  /** Returns the table entry of a full block. A block that is still being written cannot be a hole. */
  #entry(layer: number, head: number, block: number): number {
    this.#alive();
    const { layers, kvHeads } = this.pool.spec;
    if (!(layer >= 0 && layer < layers && head >= 0 && head < kvHeads)) {
      throw new InputError('argument', `layer ${layer} of ${layers}, KV head ${head} of ${kvHeads}`, { layer, head });
    }
    if (!(Number.isInteger(block) && block >= 0 && (block + 1) * PAGE_TOKENS <= this.#length))
      throw this.#noBlock(block);
    return (layer * kvHeads + head) * this.blocks + block;
  }

  #noBlock(block: number): InputError {
    return new InputError(
      'argument',
      `block ${block} of a sequence of ${this.#length} tokens: there is no such full block`,
      { block, length: this.#length },
    );
  }

  #fits(tokens: number): void {
    if (tokens <= this.capacity) return;
    throw new InputError(
      'too-long',
      `${tokens} tokens do not fit into a context of ${this.capacity}; shorten the prompt or load the model with a larger contextWindow`,
      { tokens, capacity: this.capacity },
    );
  }

  #alive(): void {
    if (this.#freed) throw new InputError('destroyed', 'the sequence was freed');
  }
}
