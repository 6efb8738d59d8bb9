/** Page tables of the sequences in use, on the device, and how far the pages of each row can be read. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { KvView } from '../backend.ts';
import { isReadable } from '../page-checks.ts';

/** The number of sequences whose page tables stay on the device; one more replaces the least recently used. */
const TABLES = 4;

/** Pages of each format, by code, that a view's kernels may read; 0 for a format that the view does not name. */
export type Readable = readonly number[];

interface Table {
  readonly buffer: DeviceBuffer;
  view: WeakRef<KvView> | undefined;
  version: number;
  readable: Readable;
  /** By row (layer * kvHeads + head): blocks before the first that cannot be read. */
  whole: Int32Array;
}

export class PageTables {
  readonly #runner: Runner;
  /** The most recently used last. */
  readonly #tables: Table[] = [];

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** The view's table, brought up to date. */
  buffer(kv: KvView, readable: Readable): DeviceBuffer {
    return this.#of(kv, readable).buffer;
  }

  /** By row, the blocks before the first that cannot be read. */
  whole(kv: KvView, readable: Readable): Int32Array {
    return this.#of(kv, readable).whole;
  }

  /** Empties the list; its caller destroys the buffers. */
  take(): DeviceBuffer[] {
    return this.#tables.splice(0).map((table) => table.buffer);
  }

  #of(kv: KvView, readable: Readable): Table {
    const bytes = 4 * kv.table.length;
    const last = this.#tables.at(-1);
    if (
      last?.view?.deref() === kv &&
      last.version === kv.version &&
      last.readable === readable &&
      last.buffer.bytes >= bytes
    )
      return last;
    let at = this.#tables.findIndex((table) => table.view?.deref() === kv && table.buffer.bytes >= bytes);
    if (at < 0 && this.#tables.length >= TABLES) at = 0;
    let table = at < 0 ? undefined : this.#tables.splice(at, 1)[0];
    if (table !== undefined && table.buffer.bytes < bytes) {
      this.#runner.destroy(table.buffer);
      table = undefined;
    }
    table ??= {
      buffer: this.#runner.buffers.create(2 ** Math.ceil(Math.log2(bytes)), 'kv'),
      view: undefined,
      version: 0,
      readable,
      whole: new Int32Array(0),
    };
    const known = table.view?.deref() === kv && table.version === kv.version;
    if (!known) this.#runner.upload(table.buffer, 0, kv.table);
    if (!known || table.readable !== readable) table.whole = wholeLanes(kv, readable);
    if (!known) table.view = new WeakRef(kv);
    table.version = kv.version;
    table.readable = readable;
    this.#tables.push(table);
    return table;
  }
}

function wholeLanes({ table, blocks }: KvView, readable: Readable): Int32Array {
  const whole = new Int32Array(table.length / blocks);
  for (let row = 0; row < whole.length; row += 1) {
    let block = 0;
    while (block < blocks) {
      const page = table[row * blocks + block] ?? -1;
      if (!isReadable(page, readable)) break;
      block += 1;
    }
    whole[row] = block;
  }
  return whole;
}
