/**
 * Where a model's pages are: on the device while they are used, in host memory and then on disk when memory is short.
 * Waiting sessions give up their pages, least recently used first, and get them back when they are used again. A
 * session whose context alone exceeds the device's budget offloads pages that its own plan does not read, and reloads
 * the pages of a layer when that layer needs them, since attention needs one layer at a time.
 *
 * The unit of a move is the pages of one layer for a full block, in the device's bytes, with a checksum. A unit that
 * cannot be read back intact is lost: its sequence ends before it, and the rest is computed from the ids. Pages that
 * several sequences hold are not moved, since releasing one reference frees nothing.
 *
 * The file is long because moves in both directions share one queue and one account of bytes.
 */
import { PAGE_TOKENS, pageFormat, type KvFormat, type Ranges } from '../backend/backend.ts';
import { DeviceError, InputError, StorageError } from '../errors.ts';
import { OffloadedPages, type Batch, type PageDisk } from './offloaded-pages.ts';
import { ownerOf, type Checksums } from './checksum.ts';
import { NO_PAGE, type PageAllocator, type Sequence } from './sequence.ts';
import { isPlan, type Plan } from './plan.ts';

/** The most bytes that a model's pages may take before unused ones are moved: device -> host memory -> IndexedDB. */
export interface ContextMemory {
  /** Bytes on the device. Default: on WASM 3 GiB less the weights, on WebGPU no limit. */
  readonly device?: number | undefined;
  /** Bytes in host memory, before pages go to disk. Default: an eighth of the machine's memory where the browser tells it, else 1 GiB. */
  readonly host?: number | undefined;
}

/** Bytes that are read from the device at once, and stored on disk as one. */
const BATCH_BYTES = 8 << 20;
/**
 * The newest blocks of a session in use, which are not moved: they are still written, or truncated and written again.
 */
const NEWEST = 4;

/** The pages of one layer for a full block that are not on the device. */
interface Parked {
  readonly layer: number;
  readonly block: number;
  /** By KV head. */
  readonly formats: readonly KvFormat[];
  readonly batch: Batch;
  /** The range of its bytes within the batch. */
  readonly at: number;
  readonly size: number;
  readonly checksum: Uint32Array;
}

interface Tenant {
  readonly sequence: Sequence;
  /** By `layer * sequence.blocks + block`. */
  readonly parked: Map<number, Parked>;
  /** When a block was last read, counted in calls of `ranges`. */
  readonly looked: Map<number, number>;
  /** The number of calls that use it now. */
  users: number;
  /** When it was last used. */
  used: number;
  /** The first block with a lost unit. */
  lost: number;
}

/**
 * A session in use that offloads its own pages: `layer` is computed next, and with `needed` its pages are required now.
 */
interface Own {
  readonly tenant: Tenant;
  readonly layer: number;
  readonly needed: boolean;
}

/** Bytes by location. */
export interface TierUse {
  readonly device: number;
  readonly host: number;
  readonly disk: number;
}

export class Tiers {
  readonly #pages: PageAllocator;
  readonly #checksums: Checksums;
  readonly #offloaded: OffloadedPages;
  readonly #owner = ownerOf(crypto.randomUUID());
  readonly #tenants = new Map<Sequence, Tenant>();
  #limits: { readonly device: number; readonly host: number };
  #clock = 0;
  /** Moves are made one after the other. */
  #moving: Promise<unknown> = Promise.resolve();

  /**
   * `limits` is what the device is assumed to hold until a caller sets a budget. Without a disk, offloaded pages stay
   * in host memory.
   */
  constructor(
    pages: PageAllocator,
    checksums: Checksums,
    limits: Required<{ [K in keyof ContextMemory]: number }>,
    disk?: PageDisk,
  ) {
    this.#pages = pages;
    this.#checksums = checksums;
    this.#limits = limits;
    this.#offloaded = new OffloadedPages(disk);
  }

  get limits(): { readonly device: number; readonly host: number } {
    return this.#limits;
  }

  get use(): TierUse {
    return { device: this.#pages.usedBytes, ...this.#offloaded.use };
  }

  /**
   * Sets the budgets for all sessions of the model. Throws `InputError('argument')` for a budget that is too small for
   * a single page.
   */
  limit({ device, host }: ContextMemory): void {
    const page = this.#pages.pool.pageBytes();
    for (const [name, bytes] of [
      ['device', device],
      ['host', host],
    ] as const) {
      if (bytes === undefined || (Number.isFinite(bytes) && bytes >= page)) continue;
      throw new InputError(
        'argument',
        `context.memory.${name}: ${String(bytes)} bytes; one page of this model takes ${page}, and a context has a page for every ${PAGE_TOKENS} tokens of each layer and head`,
        { name, bytes, page },
      );
    }
    this.#limits = { device: device ?? this.#limits.device, host: host ?? this.#limits.host };
  }

  /**
   * Runs `body` with the sequence's pages on the device, and with capacity to grow to `tokens`, as far as waiting
   * sessions can make room. What exceeds the budget stays offloaded, unless `whole`; then attention must use `guard`.
   * `lost` is first called with the length to which the sequence must be truncated, if a page could not be reloaded.
   */
  async using<T>(
    sequence: Sequence,
    tokens: number,
    lost: (length: number) => void,
    body: () => Promise<T>,
    whole = false,
  ): Promise<T> {
    const tenant = this.#tenant(sequence);
    tenant.users++;
    try {
      await this.#move(async () => {
        tenant.used = ++this.#clock;
        await this.#makeRoom(sequence, tokens);
        await this.#back(
          tenant,
          [...tenant.parked.values()].sort((a, b) => a.block - b.block || a.layer - b.layer),
          whole,
        );
        if (tenant.lost < Infinity) {
          lost(tenant.lost * PAGE_TOKENS);
          tenant.lost = Infinity;
        }
      });
      return await body();
    } finally {
      tenant.users--;
      tenant.used = ++this.#clock;
      // The sequence may have grown by more than was expected.
      void this.#move(() => this.#shrink(0)).catch(() => undefined);
    }
  }

  /**
   * Makes room for a sequence in use to grow to `tokens`, if necessary by offloading pages that it does not read
   * itself. Undefined when there is room.
   */
  room(sequence: Sequence, tokens: number): Promise<void> | undefined {
    const more = growth(sequence, tokens) * sequence.pool.pageBytes();
    const tenant = this.#tenants.get(sequence);
    if (tenant === undefined || this.#over(more) <= 0) return undefined;
    return this.#move(() => this.#shrink(more, { tenant, layer: 0, needed: false }));
  }

  /**
   * Returns `asked`, or, when pages of the sequence are offloaded, a plan that reloads the pages that it reads, layer
   * by layer.
   */
  guard(sequence: Sequence, asked: Ranges | Plan): Ranges | Plan {
    const tenant = this.#tenants.get(sequence);
    if (tenant === undefined || (tenant.parked.size === 0 && this.#over(0) <= 0)) return asked;
    return {
      ranges: async (layer, q) => {
        if (!isPlan(asked)) {
          await this.#need(tenant, layer, asked);
          return asked;
        }
        const reads = asked.reads?.(layer);
        await this.#need(tenant, layer, reads);
        const ranges = await asked.ranges(layer, q);
        if (reads === undefined) this.#look(tenant, ranges);
        else await this.#need(tenant, layer, ranges);
        return ranges;
      },
      ...(isPlan(asked) && asked.holds && { holds: asked.holds }),
    };
  }

  /** Resolves when all moves requested so far are done. */
  async settled(): Promise<void> {
    await this.#moving;
  }

  /** Called when the sequence was freed: discards its offloaded pages. */
  forget(sequence: Sequence): void {
    const tenant = this.#tenants.get(sequence);
    if (tenant === undefined) return;
    sequence.onDrop = undefined;
    this.#tenants.delete(sequence);
    for (const parked of [...tenant.parked.values()]) this.#drop(tenant, parked);
  }

  #tenant(sequence: Sequence): Tenant {
    const known = this.#tenants.get(sequence);
    if (known !== undefined) return known;
    const tenant: Tenant = { sequence, parked: new Map(), looked: new Map(), users: 0, used: 0, lost: Infinity };
    this.#tenants.set(sequence, tenant);
    sequence.onDrop = (keep) => {
      for (const parked of [...tenant.parked.values()]) if (parked.block >= keep) this.#drop(tenant, parked);
      for (const block of [...tenant.looked.keys()]) if (block >= keep) tenant.looked.delete(block);
      if (tenant.lost >= keep) tenant.lost = Infinity;
    };
    return tenant;
  }

  #move<T>(body: () => Promise<T>): Promise<T> {
    const moved = this.#moving.then(body);
    this.#moving = moved.catch(() => undefined);
    return moved;
  }

  /** Records which blocks are read. */
  #look(tenant: Tenant, { runs }: Ranges): ReadonlySet<number> {
    const blocks = new Set<number>();
    for (let r = 0; r < runs.length; r += 2) {
      const [start = 0, end = 0] = [runs[r], runs[r + 1]];
      for (let block = Math.floor(start / PAGE_TOKENS); block * PAGE_TOKENS < end; block++) blocks.add(block);
    }
    const now = ++this.#clock;
    for (const block of blocks) tenant.looked.set(block, now);
    return blocks;
  }

  /**
   * Reloads the pages of a layer that `ranges` reads, or all of them. Throws `StorageError('checksum')` when something
   * is lost; the next call computes it.
   */
  async #need(tenant: Tenant, layer: number, ranges?: Ranges): Promise<void> {
    const blocks = ranges && this.#look(tenant, ranges);
    const units = [...tenant.parked.values()].filter(
      (unit) => unit.layer === layer && blocks?.has(unit.block) !== false,
    );
    if (units.length === 0) return;
    await this.#move(() => this.#back(tenant, units, true, layer));
    if (tenant.lost === Infinity) return;
    throw new StorageError(
      'checksum',
      `offloaded pages of this session, from token ${tenant.lost * PAGE_TOKENS} on, are lost or damaged; ask again, and they are computed anew`,
      { token: tenant.lost * PAGE_TOKENS },
    );
  }

  /**
   * Reloads units, all of them or as many as fit into the budget; for `layer`, pages of other layers are offloaded.
   * Records the first lost unit.
   */
  async #back(tenant: Tenant, units: readonly Parked[], all: boolean, layer?: number): Promise<void> {
    const { sequence, parked } = tenant;
    const { kvHeads } = sequence.pool.spec;
    for (const unit of units) {
      const key = unit.layer * sequence.blocks + unit.block;
      if (parked.get(key) !== unit || unit.block >= tenant.lost) continue;
      await this.#shrink(unit.size, layer === undefined ? undefined : { tenant, layer, needed: true });
      if (!all && this.#over(unit.size) > 0) return;
      const bytes = await this.#offloaded.bytes(unit.batch, unit.at, unit.size);
      if (parked.get(key) !== unit) continue;
      if (bytes === undefined || !this.#whole(unit, key, bytes)) {
        for (const other of [...parked.values()]) if (other.block >= unit.block) this.#drop(tenant, other);
        tenant.lost = Math.min(tenant.lost, unit.block);
        continue;
      }
      // A planner has replaced the page in the meantime.
      if (
        unit.formats.some(
          (_, head) => sequence.table[(unit.layer * kvHeads + head) * sequence.blocks + unit.block] !== NO_PAGE,
        )
      ) {
        this.#drop(tenant, unit);
        continue;
      }
      const pages = await this.#allocate(unit.formats);
      this.#pages.pool.write(pages, bytes);
      for (let head = 0; head < kvHeads; head++) sequence.restore(unit.layer, head, unit.block, pages[head] ?? NO_PAGE);
      this.#drop(tenant, unit);
    }
  }

  /**
   * Makes room for the sequence to grow to `tokens`: within the budget, and on the device as far as waiting sessions
   * can release memory.
   */
  async #makeRoom(sequence: Sequence, tokens: number): Promise<void> {
    const count = growth(sequence, tokens);
    const bytes = count * sequence.pool.pageBytes();
    await this.#shrink(bytes);
    // The device is asked only for large growth and when some session could release memory, since a part of the growth
    // may be adopted from other sessions and never allocated.
    while (bytes > BATCH_BYTES && [...this.#tenants.values()].some(({ users }) => users === 0)) {
      try {
        for (const page of this.#pages.allocate(count)) this.#pages.release(page);
        return;
      } catch (error) {
        // When no session can offload anything, the call itself fails with its own error.
        if (!outOfMemory(error) || !(await this.#give(BATCH_BYTES))) return;
      }
    }
  }

  async #allocate(formats: readonly KvFormat[]): Promise<Int32Array> {
    for (;;) {
      const pages: number[] = [];
      try {
        for (const format of formats) pages.push(...this.#pages.allocate(1, format));
        return Int32Array.from(pages);
      } catch (error) {
        for (const page of pages) this.#pages.release(page);
        if (!outOfMemory(error) || !(await this.#give(BATCH_BYTES))) throw error;
      }
    }
  }

  /**
   * Moves units until `more` bytes fit into the device's budget: first of waiting sessions, then of `own`. Afterwards,
   * what exceeds the budget of host memory is moved to disk.
   */
  async #shrink(more: number, own?: Own): Promise<void> {
    for (let over = this.#over(more); over > 0; over = this.#over(more)) {
      // Cached pages go first.
      if (this.#pages.reclaim?.() === true) continue;
      if (await this.#give(over)) continue;
      if (own === undefined || !(await this.#park(own.tenant, over, own))) break;
    }
    await this.#spill();
  }

  #over(more: number): number {
    return this.#pages.usedBytes + more - this.#limits.device;
  }

  /** Moves some `bytes` of the session that has waited longest to host memory; returns false when there are none. */
  async #give(bytes: number): Promise<boolean> {
    const waiting = [...this.#tenants.values()].filter(({ users }) => users === 0).sort((a, b) => a.used - b.used);
    for (const tenant of waiting) if (await this.#park(tenant, bytes)) return true;
    return false;
  }

  /** `own`: of a session in use, blocks that were not read go first, and then the layers that are needed last. */
  async #park(tenant: Tenant, bytes: number, own?: Own): Promise<boolean> {
    const { sequence } = tenant;
    const { pool } = sequence;
    const { layers, kvHeads } = pool.spec;
    const full = Math.floor(sequence.length / PAGE_TOKENS);
    const blocks =
      own === undefined
        ? Array.from({ length: full }, (_, i) => full - 1 - i)
        : Array.from({ length: Math.max(0, full - NEWEST) }, (_, i) => i).sort(
            (a, b) => (tenant.looked.get(a) ?? 0) - (tenant.looked.get(b) ?? 0) || a - b,
          );
    const { layer: next, needed } = own ?? { layer: 0, needed: false };
    const order = Array.from({ length: needed ? layers - 1 : layers }, (_, i) => (next - 1 - i + layers) % layers);
    const units: {
      readonly layer: number;
      readonly block: number;
      readonly pages: readonly number[];
      readonly size: number;
    }[] = [];
    let size = 0;
    for (const block of blocks) {
      if (size >= Math.min(bytes, BATCH_BYTES)) break;
      for (const one of order) {
        if (size >= Math.min(bytes, BATCH_BYTES)) break;
        const pages = Array.from(
          { length: kvHeads },
          (_, head) => sequence.table[(one * kvHeads + head) * sequence.blocks + block] ?? NO_PAGE,
        );
        if (pages.some((page) => page === NO_PAGE || this.#pages.shared(page)) || sequence.replaced(one, block))
          continue;
        const length = pages.reduce((sum, page) => sum + pool.pageBytes(pageFormat(page)), 0);
        units.push({ layer: one, block, pages, size: length });
        size += length;
      }
    }
    if (units.length === 0) return false;
    const users = tenant.users;
    const all = await pool.read(Int32Array.from(units.flatMap(({ pages }) => pages)));
    // The page was freed or used again while it was being read.
    if (this.#tenants.get(sequence) !== tenant || tenant.users > users) return true;
    const batch = this.#offloaded.add(all);
    let at = 0;
    for (const { layer: one, block, pages, size: length } of units) {
      const from = at;
      at += length;
      const stands =
        (block + 1) * PAGE_TOKENS <= sequence.length &&
        pages.every((page, head) => sequence.table[(one * kvHeads + head) * sequence.blocks + block] === page);
      if (!stands) continue;
      const key = one * sequence.blocks + block;
      const checksum = this.#checksums.of(all.subarray(from, at), Uint32Array.of(length), key, this.#owner);
      batch.wanted++;
      tenant.parked.set(key, {
        layer: one,
        block,
        formats: pages.map(pageFormat),
        batch,
        at: from,
        size: length,
        checksum,
      });
      for (let head = 0; head < kvHeads; head++) sequence.release(one, head, block);
    }
    if (batch.wanted === 0) this.#offloaded.end(batch);
    return true;
  }

  /** Moves what exceeds the budget of host memory to disk, least recently used sessions first. */
  async #spill(): Promise<void> {
    if (this.#offloaded.use.host <= this.#limits.host) return;
    const tenants = [...this.#tenants.values()].sort((a, b) => a.used - b.used);
    await this.#offloaded.spill(
      new Set(tenants.flatMap(({ parked }) => [...parked.values()].map((unit) => unit.batch))),
      this.#limits.host,
    );
  }

  #whole({ size, checksum }: Parked, key: number, bytes: Uint8Array): boolean {
    const sum = this.#checksums.of(bytes, Uint32Array.of(size), key, this.#owner);
    return sum.every((word, i) => word === checksum[i]);
  }

  #drop(tenant: Tenant, { layer, block, batch }: Parked): void {
    if (!tenant.parked.delete(layer * tenant.sequence.blocks + block)) return;
    if (--batch.wanted === 0) this.#offloaded.end(batch);
  }
}

/** Returns the number of pages that the sequence lacks for `tokens`. */
function growth({ length, capacity, pagesPerBlock }: Sequence, tokens: number): number {
  return (
    pagesPerBlock * Math.max(0, Math.ceil(Math.min(tokens, capacity) / PAGE_TOKENS) - Math.ceil(length / PAGE_TOKENS))
  );
}

function outOfMemory(error: unknown): boolean {
  return error instanceof DeviceError && error.code === 'out-of-memory';
}
