/** Page memory on the device, one buffer for each format, with the page tables of the sequences in use and RoPE's tables of angles. */
import { convert } from '../../../gpu/kernels/convert.ts';
import { anglePositions, angleRows } from '../../../gpu/kernels/rope-append.ts';
import { PAGE_SLOTS, pageWords, type KvOperand, type OpenMemory, type PageMemory } from '../../../gpu/lib/pages.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { BufferPart, Runner } from '../../../gpu/runtime/runner.ts';
import { DeviceError } from '../../errors.ts';
import {
  KV_FORMATS,
  pageFormat,
  pageIndex,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
  type RopeSpec,
} from '../backend.ts';
import { foreign, freed, wrong } from '../checks.ts';
import * as checks from '../page-checks.ts';
import { PageTables, type Readable } from './page-tables.ts';

/** The number of positions of the first angle table; it doubles when a sequence outgrows it. */
const FIRST_POSITIONS = 8192;

/** Conversions between one pair of formats. */
interface PageBatch {
  readonly from: KvFormat;
  readonly to: KvFormat;
  readonly pairs: (readonly [from: number, to: number])[];
}

interface Angles {
  readonly buffer: DeviceBuffer;
  readonly positions: number;
}

export class GpuKvPool implements KvPool {
  readonly spec: KvSpec;
  readonly #runner: Runner;
  readonly #freed: (pool: GpuKvPool) => void;
  readonly #memories = new Map<KvFormat, PageMemory>();
  readonly #tables: PageTables;
  readonly #angles = new Map<RopeSpec, Angles>();
  /** By the formats that a view names; discarded when memory grows. */
  readonly #readable = new Map<string, Readable>();
  #ended = false;

  constructor(runner: Runner, spec: KvSpec, freed: (pool: GpuKvPool) => void) {
    checks.pool(spec);
    this.spec = spec;
    this.#runner = runner;
    this.#freed = freed;
    this.#tables = new PageTables(runner);
  }

  get bytes(): number {
    return KV_FORMATS.reduce((sum, format) => sum + this.pages(format) * this.pageBytes(format), 0);
  }

  pages(format: KvFormat = this.spec.format): number {
    return this.#memories.get(format)?.pages ?? 0;
  }

  pageBytes(format: KvFormat = this.spec.format): number {
    return 4 * pageWords(format, this.spec.headDim);
  }

  reserve(pages: number, format: KvFormat = this.spec.format): void {
    this.#check();
    checks.reserve(pages, format);
    const old = this.#memories.get(format);
    if (pages <= (old?.pages ?? 0)) return;
    const bytes = pages * this.pageBytes(format);
    const limit = this.#runner.device.gpu.limits.maxStorageBufferBindingSize;
    if (bytes > limit) {
      throw new DeviceError(
        'out-of-memory',
        `KV pool: ${pages} pages of ${format} take ${bytes} bytes, but a binding of this GPU holds ${limit}; use a shorter context or fewer bits a value (kvBits)`,
        { bytes, limit },
      );
    }
    let buffer = old?.buffer;
    if (buffer === undefined || buffer.bytes < bytes) {
      buffer = this.#runner.buffers.create(bytes, 'kv');
      if (old !== undefined) {
        this.#runner.copy(old.buffer, 0, buffer, 0, old.pages * this.pageBytes(format));
        this.#runner.destroy(old.buffer);
      }
    }
    this.#memories.set(format, { format, buffer, pages });
    this.#readable.clear();
  }

  shrink(pages: number, format: KvFormat = this.spec.format): void {
    this.#check();
    checks.shrink(this, pages, format);
    const old = this.#memories.get(format);
    if (old === undefined || pages === old.pages) return;
    this.#memories.delete(format);
    if (pages > 0) {
      const bytes = pages * this.pageBytes(format);
      const buffer = this.#runner.buffers.create(bytes, 'kv');
      this.#runner.copy(old.buffer, 0, buffer, 0, bytes);
      this.#memories.set(format, { format, buffer, pages });
    }
    this.#runner.destroy(old.buffer);
    this.#readable.clear();
  }

  copy(from: number, to: number): void {
    this.#check();
    checks.copy(this, from, to);
    const source = this.#part(from);
    const target = this.#part(to);
    if (from === to) return;
    // WebGPU allows no copy within one buffer, so the page goes through a scratch buffer.
    const scratch = this.#runner.buffers.take(source.bytes);
    this.#runner.copy(source.buffer, source.offset, scratch, 0, source.bytes);
    this.#runner.copy(scratch, 0, target.buffer, target.offset, target.bytes);
    this.#runner.buffers.give(scratch);
  }

  convert(from: Int32Array, to: Int32Array): void {
    this.#check();
    checks.convert(this, from, to);
    // Pages of one pair of formats are converted together.
    const batches = new Map<string, PageBatch>();
    for (let i = 0; i < from.length; i += 1) {
      const [source, target] = [from[i] ?? 0, to[i] ?? 0];
      const formats = { from: pageFormat(source), to: pageFormat(target) };
      const key = `${formats.from}>${formats.to}`;
      const batch = batches.get(key) ?? { ...formats, pairs: [] };
      batch.pairs.push([source, target]);
      batches.set(key, batch);
    }
    for (const batch of batches.values()) this.#convert(batch);
  }

  async read(pages: Int32Array): Promise<Uint8Array> {
    this.#check();
    checks.read(this, pages);
    return new Uint8Array(await this.#runner.gather(this.#runs(pages)));
  }

  write(pages: Int32Array, bytes: Uint8Array): void {
    this.#check();
    checks.write(this, pages, bytes);
    const runs = this.#runs(pages);
    const [first] = runs;
    if (first !== undefined && runs.length === 1) {
      this.#runner.upload(first.buffer, first.offset, bytes);
      return;
    }
    if (bytes.length === 0) return;
    const scratch = this.#runner.buffers.take(bytes.length);
    this.#runner.upload(scratch, 0, bytes);
    let at = 0;
    for (const run of runs) {
      this.#runner.copy(scratch, at, run.buffer, run.offset, run.bytes);
      at += run.bytes;
    }
    this.#runner.buffers.give(scratch);
  }

  free(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#runner.destroy(
      ...[...this.#memories.values()].map((memory) => memory.buffer),
      ...this.#tables.take(),
      ...[...this.#angles.values()].map((angles) => angles.buffer),
    );
    this.#memories.clear();
    this.#angles.clear();
    this.#freed(this);
  }

  /** Returns the sequence's view on the device, with an updated page table. */
  operand(operation: string, kv: KvView, layer: number): KvOperand {
    this.#check();
    const readable = this.readable(kv);
    const memories = KV_FORMATS.flatMap((name, code) => {
      const memory = (readable[code] ?? 0) > 0 ? this.#memories.get(name) : undefined;
      return memory === undefined ? [] : [memory];
    });
    if (memories.length === 0)
      throw wrong(operation, "the KV pool has no pages of the view's formats; reserve some first");
    if (memories.length > PAGE_SLOTS)
      throw wrong(operation, `a view of pages in ${memories.length} formats, at most ${PAGE_SLOTS}; convert some`, {
        formats: memories.length,
        limit: PAGE_SLOTS,
      });
    return {
      spec: this.spec,
      memories,
      table: this.#tables.buffer(kv, readable),
      tableStart: layer * this.spec.kvHeads * kv.blocks,
      blocks: kv.blocks,
    };
  }

  /** Returns, for each KV head of a layer, the number of blocks before the first that a kernel may not read. */
  wholeBlocks(kv: KvView, layer: number): Int32Array {
    const { kvHeads } = this.spec;
    return this.#tables.whole(kv, this.readable(kv)).subarray(layer * kvHeads, (layer + 1) * kvHeads);
  }

  /** The memory of open pages, at least one of which exists. */
  openMemory(): OpenMemory {
    const { format } = this.spec;
    const memory = this.#memories.get(format);
    if (memory === undefined) throw wrong('kvPool', `there are no pages of ${format}; reserve some first`);
    return { ...memory, format };
  }

  /** Returns the number of pages of each format that the view's kernels may read; the same array until memory grows. */
  readable(kv: KvView): Readable {
    const key = kv.formats?.join() ?? '';
    let readable = this.#readable.get(key);
    if (readable === undefined) {
      readable = checks.readablePages(kv);
      this.#readable.set(key, readable);
    }
    return readable;
  }

  /** The spec's angles for positions below `positions`. */
  angles(rope: RopeSpec, positions: number): DeviceBuffer {
    const known = this.#angles.get(rope);
    if (known !== undefined && known.positions >= positions) return known.buffer;
    const rows = angleRows(
      rope.inverseFrequency,
      rope.magnitude,
      2 ** Math.ceil(Math.log2(Math.max(FIRST_POSITIONS, positions))),
    );
    const buffer = this.#runner.buffers.create(rows.byteLength, 'kv');
    this.#runner.upload(buffer, 0, rows);
    if (known !== undefined) this.#runner.destroy(known.buffer);
    this.#angles.set(rope, { buffer, positions: anglePositions(rows.length / (2 * rope.inverseFrequency.length)) });
    return buffer;
  }

  #convert(batch: PageBatch): void {
    const from = this.#memories.get(batch.from);
    const to = this.#memories.get(batch.to);
    if (from === undefined || to === undefined) return;
    if (from === to) {
      // One dispatch cannot read and write the same buffer, so the pages go through a scratch buffer.
      const bytes = this.pageBytes(batch.to);
      const scratch = this.#runner.buffers.take(batch.pairs.length * bytes);
      const pairs = Uint32Array.from(batch.pairs.flatMap(([source], i) => [source, i]));
      this.#runner.run(convert, { headDim: this.spec.headDim, from, to: { ...to, buffer: scratch }, pairs });
      batch.pairs.forEach(([, target], i) =>
        this.#runner.copy(scratch, i * bytes, to.buffer, pageIndex(target) * bytes, bytes),
      );
      this.#runner.buffers.give(scratch);
      return;
    }
    const pairs = Uint32Array.from(batch.pairs.flatMap(([source, target]) => [source, pageIndex(target)]));
    this.#runner.run(convert, { headDim: this.spec.headDim, from, to, pairs });
  }

  /** Returns where an existing page is. */
  #part(page: number): BufferPart {
    const format = pageFormat(page);
    const memory = this.#memories.get(format);
    if (memory === undefined) throw wrong('kvPool', `there are no pages of ${format}; reserve some first`);
    const bytes = this.pageBytes(format);
    return { buffer: memory.buffer, offset: pageIndex(page) * bytes, bytes };
  }

  /** Returns where pages are, with neighbours joined. */
  #runs(pages: Int32Array): BufferPart[] {
    const runs: { buffer: DeviceBuffer; offset: number; bytes: number }[] = [];
    for (const page of pages) {
      const { buffer, offset, bytes } = this.#part(page);
      const last = runs.at(-1);
      if (last !== undefined && last.buffer === buffer && last.offset + last.bytes === offset) last.bytes += bytes;
      else runs.push({ buffer, offset, bytes });
    }
    return runs;
  }

  #check(): void {
    this.#runner.device.check();
    if (this.#ended) throw freed('kvPool', 'the KV pool');
  }
}

/** The view's pool, if it is this kind of backend's. */
export function poolOf(operation: string, { pool }: KvView): GpuKvPool {
  if (!(pool instanceof GpuKvPool)) throw foreign(operation, "the view's pool");
  return pool;
}
