/**
 * Where a model's pages are: on the device while they are used; in host memory, and then on the disk, when room is short. Sessions that
 * wait give their blocks up, those that were used longest ago first, and have them back when they are used again.
 *
 * Blocks move whole (a page of each layer and head), as the device has them, with a checksum. A block that does not come back whole is lost: its
 * sequence ends before it, and what is missing is computed from the ids. Blocks that several sequences hold stay, since giving up one's share frees
 * nothing; so does a block that is not full, or has holes.
 */
import { PAGE_TOKENS, pageFormat, type KvFormat } from '../backend/backend.ts';
import { DeviceError, InputError } from '../errors.ts';
import { ownerOf, type Checksums } from './checksum.ts';
import type { ContextMemory } from './options.ts';
import { NO_PAGE, type PageAllocator, type Sequence } from './pages.ts';

/** Bytes that are read from the device at once. */
const BATCH_BYTES = 8 << 20;

/** The third tier. Numbers name what was written. */
export interface PageDisk {
  /** Throws where there is no room. `bytes` may be reused when the promise settles. */
  write(bytes: Uint8Array): Promise<number>;
  /** Undefined where it is gone. */
  read(number: number): Promise<Uint8Array | undefined>;
  drop(number: number): Promise<void>;
}

/** A block that is not on the device. */
interface Parked {
  /** By lane. */
  readonly formats: readonly KvFormat[];
  readonly size: number;
  readonly checksum: Uint32Array;
  /** In host memory, or `number` on the disk. */
  bytes: Uint8Array | undefined;
  number: number | undefined;
}

interface Tenant {
  readonly sequence: Sequence;
  /** By block. */
  readonly parked: Map<number, Parked>;
  /** Calls that use it now. */
  users: number;
  /** When it was used last, in calls. */
  used: number;
}

/** What is where, in bytes. */
export interface TierUse {
  readonly device: number;
  readonly host: number;
  readonly disk: number;
}

export class Tiers {
  readonly #pages: PageAllocator;
  readonly #checksums: Checksums;
  readonly #disk: PageDisk | undefined;
  readonly #owner = ownerOf(crypto.randomUUID());
  readonly #tenants = new Map<Sequence, Tenant>();
  #limits: { readonly device: number; readonly host: number };
  #clock = 0;
  #host = 0;
  #stored = 0;
  /** Moves are made one after the other. */
  #moving: Promise<unknown> = Promise.resolve();

  /** `limits`: what the device is taken to hold, until a caller says otherwise. Without a disk what leaves the device stays in host memory. */
  constructor(pages: PageAllocator, checksums: Checksums, limits: Required<{ [K in keyof ContextMemory]: number }>, disk?: PageDisk) {
    this.#pages = pages;
    this.#checksums = checksums;
    this.#limits = limits;
    this.#disk = disk;
  }

  get limits(): { readonly device: number; readonly host: number } {
    return this.#limits;
  }

  get use(): TierUse {
    return { device: this.#pages.usedBytes, host: this.#host, disk: this.#stored };
  }

  /** Sets budgets, for all of the model's sessions. Throws `InputError('argument')` for one that not even a page fits into. */
  limit({ device, host }: ContextMemory): void {
    const page = this.#pages.pool.pageBytes();
    for (const [name, bytes] of [['device', device], ['host', host]] as const) {
      if (bytes === undefined || (Number.isFinite(bytes) && bytes >= page)) continue;
      throw new InputError('argument', `context.memory.${name}: ${String(bytes)} bytes; one page of this model takes ${page}, and a context has a page for every ${PAGE_TOKENS} tokens of each layer and head`, { name, bytes, page });
    }
    this.#limits = { device: device ?? this.#limits.device, host: host ?? this.#limits.host };
  }

  /**
   * Runs `body` with all of the sequence on the device, and with room for it to grow to `tokens`, as far as others can make it. `lost` hears first to what
   * length the sequence must be cut where a block did not come back.
   */
  async using<T>(sequence: Sequence, tokens: number, lost: (length: number) => void, body: () => Promise<T>): Promise<T> {
    const tenant = this.#tenants.get(sequence) ?? { sequence, parked: new Map<number, Parked>(), users: 0, used: 0 };
    this.#tenants.set(sequence, tenant);
    tenant.users++;
    try {
      await this.#move(async () => {
        tenant.used = ++this.#clock;
        const missing = await this.#back(tenant);
        if (missing !== undefined) lost(missing);
        await this.#makeRoom(sequence, tokens);
      });
      return await body();
    } finally {
      tenant.users--;
      tenant.used = ++this.#clock;
      // What it grew by may be more than was foreseen.
      void this.#move(() => this.#shrink(0)).catch(() => undefined);
    }
  }

  /** Resolves when all moves asked for so far are made. */
  async settled(): Promise<void> {
    await this.#moving;
  }

  /** The sequence is freed: what lies elsewhere of it is given up. */
  forget(sequence: Sequence): void {
    const tenant = this.#tenants.get(sequence);
    if (tenant === undefined) return;
    this.#tenants.delete(sequence);
    for (const block of [...tenant.parked.keys()]) this.#drop(tenant, block);
  }

  #move<T>(body: () => Promise<T>): Promise<T> {
    const moved = this.#moving.then(body);
    this.#moving = moved.catch(() => undefined);
    return moved;
  }

  /** Brings all blocks back. Resolves with the length to which the sequence is whole where one is lost. */
  async #back(tenant: Tenant): Promise<number | undefined> {
    const { sequence, parked } = tenant;
    for (const block of [...parked.keys()].sort((a, b) => a - b)) {
      const from = parked.get(block);
      if (from === undefined) continue;
      const bytes = from.bytes ?? (await this.#read(from));
      if (bytes === undefined || !this.#whole(from, block, bytes)) {
        for (const other of parked.keys()) if (other >= block) this.#drop(tenant, other);
        return block * PAGE_TOKENS;
      }
      await this.#shrink(from.size);
      const pages = await this.#allocate(from.formats);
      this.#pages.pool.write(pages, bytes);
      const { kvHeads } = sequence.pool.spec;
      for (const [lane, page] of pages.entries()) sequence.restore(Math.floor(lane / kvHeads), lane % kvHeads, block, page);
      this.#drop(tenant, block);
    }
    return undefined;
  }

  /** Room for the sequence to grow to `tokens`: within the budget, and, as far as waiting sequences can give it, on the device. */
  async #makeRoom(sequence: Sequence, tokens: number): Promise<void> {
    const blocks = Math.max(0, Math.ceil(Math.min(tokens, sequence.capacity) / PAGE_TOKENS) - Math.ceil(sequence.length / PAGE_TOKENS));
    const count = blocks * sequence.lanes;
    await this.#shrink(count * sequence.pool.pageBytes());
    for (;;) {
      try {
        for (const page of this.#pages.allocate(count)) this.#pages.release(page);
        return;
      } catch (error) {
        // Where nobody can give anything, the call itself will say so.
        if (!(error instanceof DeviceError) || error.code !== 'out-of-memory' || !(await this.#give(BATCH_BYTES))) return;
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
        if (!(error instanceof DeviceError) || error.code !== 'out-of-memory' || !(await this.#give(BATCH_BYTES))) throw error;
      }
    }
  }

  /** Moves blocks of waiting sequences until `more` bytes fit into the device's budget, and then what is too much for host memory to the disk. */
  async #shrink(more: number): Promise<void> {
    for (let over = this.#over(more); over > 0; over = this.#over(more)) {
      // What is only remembered goes first.
      if (this.#pages.reclaim?.() === true) continue;
      if (!(await this.#give(over))) break;
    }
    await this.#spill();
  }

  #over(more: number): number {
    return this.#pages.usedBytes + more - this.#limits.device;
  }

  /** Moves some `bytes` of the sequence that waits longest to host memory; false where nobody has any to give. */
  async #give(bytes: number): Promise<boolean> {
    const waiting = [...this.#tenants.values()].filter(({ users }) => users === 0).sort((a, b) => a.used - b.used);
    for (const tenant of waiting) if (await this.#park(tenant, bytes)) return true;
    return false;
  }

  async #park(tenant: Tenant, bytes: number): Promise<boolean> {
    const { sequence, parked } = tenant;
    const { pool, lanes } = sequence;
    const blocks: { readonly block: number; readonly pages: Int32Array; readonly size: number }[] = [];
    let size = 0;
    // From the end: what comes back first is needed first.
    for (let block = Math.floor(sequence.length / PAGE_TOKENS) - 1; block >= 0 && size < Math.min(bytes, BATCH_BYTES); block--) {
      if (!sequence.whole(block)) continue;
      const pages = sequence.pagesOf(block);
      if (pages.some((page) => page === NO_PAGE || this.#pages.shared(page))) continue;
      const own = pages.reduce((sum, page) => sum + pool.pageBytes(pageFormat(page)), 0);
      blocks.push({ block, pages, size: own });
      size += own;
    }
    if (blocks.length === 0) return false;
    const all = await pool.read(Int32Array.from(blocks.flatMap(({ pages }) => [...pages])));
    // Freed, or used again, while it was read.
    if (this.#tenants.get(sequence) !== tenant || tenant.users > 0) return true;
    let at = 0;
    for (const { block, pages, size: length } of blocks) {
      const own = all.slice(at, at + length);
      at += length;
      const formats = Array.from({ length: lanes }, (_, lane) => pageFormat(pages[lane] ?? NO_PAGE));
      parked.set(block, { formats, size: length, checksum: this.#checksums.of(own, Uint32Array.of(length), block, this.#owner), bytes: own, number: undefined });
      this.#host += length;
      const { kvHeads } = pool.spec;
      for (let lane = 0; lane < lanes; lane++) sequence.release(Math.floor(lane / kvHeads), lane % kvHeads, block);
    }
    return true;
  }

  /** Writes what is too much for host memory to the disk, the longest unused first; where that is full, it stays. */
  async #spill(): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined || this.#host <= this.#limits.host) return;
    for (const tenant of [...this.#tenants.values()].sort((a, b) => a.used - b.used)) {
      for (const parked of tenant.parked.values()) {
        if (this.#host <= this.#limits.host) return;
        if (parked.bytes === undefined) continue;
        let number: number;
        try {
          number = await disk.write(parked.bytes);
        } catch {
          return;
        }
        parked.bytes = undefined;
        this.#host -= parked.size;
        if (![...tenant.parked.values()].includes(parked) || this.#tenants.get(tenant.sequence) !== tenant) {
          void disk.drop(number).catch(() => undefined);
          continue;
        }
        parked.number = number;
        this.#stored += parked.size;
      }
    }
  }

  async #read({ number }: Parked): Promise<Uint8Array | undefined> {
    try {
      return number === undefined ? undefined : await this.#disk?.read(number);
    } catch {
      return undefined;
    }
  }

  #whole({ size, checksum }: Parked, block: number, bytes: Uint8Array): boolean {
    if (bytes.length !== size) return false;
    const sum = this.#checksums.of(bytes, Uint32Array.of(size), block, this.#owner);
    return sum.every((word, i) => word === checksum[i]);
  }

  #drop(tenant: Tenant, block: number): void {
    const parked = tenant.parked.get(block);
    if (parked === undefined) return;
    tenant.parked.delete(block);
    if (parked.bytes !== undefined) this.#host -= parked.size;
    if (parked.number === undefined) return;
    this.#stored -= parked.size;
    void this.#disk?.drop(parked.number).catch(() => undefined);
  }
}
