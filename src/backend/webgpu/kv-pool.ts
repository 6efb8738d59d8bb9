/** Page memory on the device, with what belongs to it: page tables of the sequences in use, and angle tables. */
import { anglePositions, angleRows, type KvOperand } from '../../../gpu/kernels/rope-append.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import { DeviceError, InputError } from '../../errors.ts';
import { PAGE_TOKENS, type KvPool, type KvSpec, type KvView, type RopeSpec } from '../backend.ts';

/** Sequences whose page tables stay on the device; one more replaces the one used longest ago. */
const TABLES = 4;

/** Positions that the first angle table serves; it doubles when a sequence outgrows it. */
const FIRST_POSITIONS = 8192;

interface Table {
  readonly buffer: DeviceBuffer;
  view: WeakRef<KvView> | undefined;
  version: number;
}

interface Angles {
  readonly buffer: DeviceBuffer;
  readonly positions: number;
}

export class GpuKvPool implements KvPool {
  readonly spec: KvSpec;
  readonly pageBytes: number;
  readonly #runner: Runner;
  readonly #freed: (pool: GpuKvPool) => void;
  #buffer: DeviceBuffer | undefined;
  #pages = 0;
  /** The most recently used last. */
  readonly #tables: Table[] = [];
  readonly #angles = new Map<RopeSpec, Angles>();
  #ended = false;

  constructor(runner: Runner, spec: KvSpec, freed: (pool: GpuKvPool) => void) {
    this.spec = spec;
    this.pageBytes = 2 * PAGE_TOKENS * spec.headDim * (spec.format === 'f32' ? 4 : 2);
    this.#runner = runner;
    this.#freed = freed;
  }

  get pages(): number {
    return this.#pages;
  }

  get bytes(): number {
    return this.#pages * this.pageBytes;
  }

  reserve(pages: number): void {
    this.#check();
    if (pages <= this.#pages) return;
    const bytes = pages * this.pageBytes;
    const limit = this.#runner.device.gpu.limits.maxStorageBufferBindingSize;
    if (bytes > limit) {
      throw new DeviceError(
        'out-of-memory',
        `KV pool: ${pages} pages take ${bytes} bytes, but a binding of this GPU holds ${limit}; use a shorter context or f16 pages`,
        { bytes, limit },
      );
    }
    if (this.#buffer === undefined || this.#buffer.bytes < bytes) {
      const old = this.#buffer;
      this.#buffer = this.#runner.buffers.create(bytes, 'kv');
      if (old !== undefined) {
        this.#runner.copy(old, 0, this.#buffer, 0, this.bytes);
        this.#runner.destroy(old);
      }
    }
    this.#pages = pages;
  }

  copy(from: number, to: number): void {
    this.#check();
    for (const page of [from, to]) {
      if (!Number.isInteger(page) || page < 0 || page >= this.#pages) throw new InputError('argument', `kvPool.copy: page ${page} of ${this.#pages}`);
    }
    if (this.#buffer === undefined || from === to) return;
    // A copy within one buffer is not allowed; a scratch page stands between.
    const scratch = this.#runner.buffers.take(this.pageBytes);
    this.#runner.copy(this.#buffer, from * this.pageBytes, scratch, 0, this.pageBytes);
    this.#runner.copy(scratch, 0, this.#buffer, to * this.pageBytes, this.pageBytes);
    this.#runner.buffers.give(scratch);
  }

  free(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#runner.destroy(
      ...(this.#buffer === undefined ? [] : [this.#buffer]),
      ...this.#tables.map((table) => table.buffer),
      ...[...this.#angles.values()].map((angles) => angles.buffer),
    );
    this.#buffer = undefined;
    this.#tables.length = 0;
    this.#angles.clear();
    this.#pages = 0;
    this.#freed(this);
  }

  /** The sequence's view on the device, its page table brought up to date. */
  operand(operation: string, kv: KvView, layer: number): KvOperand {
    this.#check();
    const { layers, kvHeads } = this.spec;
    if (!Number.isInteger(layer) || layer < 0 || layer >= layers) throw new InputError('argument', `${operation}: layer ${layer} of ${layers}`);
    if (kv.table.length !== layers * kvHeads * kv.blocks) {
      throw new InputError(
        'argument',
        `${operation}: a page table of ${kv.table.length} entries; ${layers} layers, ${kvHeads} heads and ${kv.blocks} blocks need ${layers * kvHeads * kv.blocks}`,
      );
    }
    if (this.#buffer === undefined) throw new InputError('argument', `${operation}: the KV pool has no pages; reserve some first`);
    return {
      spec: this.spec,
      pool: this.#buffer,
      pages: this.#pages,
      table: this.#table(kv).buffer,
      tableStart: layer * kvHeads * kv.blocks,
      blocks: kv.blocks,
    };
  }

  /** The spec's angles for positions below `positions`. */
  angles(rope: RopeSpec, positions: number): DeviceBuffer {
    const known = this.#angles.get(rope);
    if (known !== undefined && known.positions >= positions) return known.buffer;
    const rows = angleRows(rope.inverseFrequency, rope.magnitude, 2 ** Math.ceil(Math.log2(Math.max(FIRST_POSITIONS, positions))));
    const buffer = this.#runner.buffers.create(rows.byteLength, 'kv');
    this.#runner.upload(buffer, 0, rows);
    if (known !== undefined) this.#runner.destroy(known.buffer);
    this.#angles.set(rope, { buffer, positions: anglePositions(rows.length / (2 * rope.inverseFrequency.length)) });
    return buffer;
  }

  #table(kv: KvView): Table {
    const bytes = 4 * kv.table.length;
    let at = this.#tables.findIndex((table) => table.view?.deref() === kv && table.buffer.bytes >= bytes);
    if (at < 0 && this.#tables.length >= TABLES) at = 0;
    let table = at < 0 ? undefined : this.#tables.splice(at, 1)[0];
    if (table !== undefined && table.buffer.bytes < bytes) {
      this.#runner.destroy(table.buffer);
      table = undefined;
    }
    table ??= { buffer: this.#runner.buffers.create(2 ** Math.ceil(Math.log2(bytes)), 'kv'), view: undefined, version: 0 };
    if (table.view?.deref() !== kv || table.version !== kv.version) {
      this.#runner.upload(table.buffer, 0, kv.table);
      table.view = new WeakRef(kv);
      table.version = kv.version;
    }
    this.#tables.push(table);
    return table;
  }

  #check(): void {
    this.#runner.device.check();
    if (this.#ended) throw new InputError('destroyed', 'the KV pool was freed');
  }
}
