/** Page memory on the device, one buffer a format, with what belongs to it: page tables of the sequences in use, and angle tables. */
import { convert } from '../../../gpu/kernels/convert.ts';
import { anglePositions, angleRows } from '../../../gpu/kernels/rope-append.ts';
import { PAGE_SLOTS, pageWords, type KvOperand, type OpenMemory, type PageMemory } from '../../../gpu/lib/pages.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { BufferPart, Runner } from '../../../gpu/runtime/runner.ts';
import { DeviceError, InputError } from '../../errors.ts';
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageIndex,
  pageNumber,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
  type RopeSpec,
} from '../backend.ts';
import { PageTables, type Readable } from './page-tables.ts';

/** Positions that the first angle table serves; it doubles when a sequence outgrows it. */
const FIRST_POSITIONS = 8192;

/** Conversions of one pair of formats. */
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
  /** By the formats that a view names; forgotten when memory grows. */
  readonly #readable = new Map<string, Readable>();
  #ended = false;

  constructor(runner: Runner, spec: KvSpec, freed: (pool: GpuKvPool) => void) {
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

  copy(from: number, to: number): void {
    this.#check();
    const source = this.#part('copy', from);
    const target = this.#part('copy', to);
    if (source.buffer !== target.buffer) {
      throw new InputError(
        'argument',
        `kvPool.copy: pages of ${pageFormat(from)} and ${pageFormat(to)}; convert them`,
        { from, to },
      );
    }
    if (from === to) return;
    // A copy within one buffer is not allowed; a scratch page stands between.
    const scratch = this.#runner.buffers.take(source.bytes);
    this.#runner.copy(source.buffer, source.offset, scratch, 0, source.bytes);
    this.#runner.copy(scratch, 0, target.buffer, target.offset, target.bytes);
    this.#runner.buffers.give(scratch);
  }

  convert(from: Int32Array, to: Int32Array): void {
    this.#check();
    if (from.length !== to.length)
      throw new InputError('argument', `kvPool.convert: ${from.length} pages into ${to.length}`);
    for (const page of from) this.#part('convert', page);
    for (const page of to) this.#part('convert', page);
    // Pages of one pair of formats go together; in the given order where one is read after it was written.
    const written = new Set(to);
    const ordered = from.some((page) => written.has(page));
    const batches: PageBatch[] = [];
    for (let i = 0; i < from.length; i += 1) {
      const [source, target] = [from[i] ?? 0, to[i] ?? 0];
      const [fromFormat, toFormat] = [pageFormat(source), pageFormat(target)];
      const same = (batch: PageBatch | undefined): boolean => batch?.from === fromFormat && batch.to === toFormat;
      const last = batches.at(-1);
      let batch = ordered ? (same(last) ? last : undefined) : batches.find(same);
      if (batch === undefined) {
        batch = { from: fromFormat, to: toFormat, pairs: [] };
        batches.push(batch);
      }
      batch.pairs.push([source, target]);
    }
    for (const batch of batches) this.#convert(batch);
  }

  async read(pages: Int32Array): Promise<Uint8Array> {
    this.#check();
    return new Uint8Array(await this.#runner.gather(this.#runs('read', pages)));
  }

  write(pages: Int32Array, bytes: Uint8Array): void {
    this.#check();
    const runs = this.#runs('write', pages);
    const wanted = runs.reduce((sum, run) => sum + run.bytes, 0);
    if (bytes.length !== wanted)
      throw new InputError('argument', `kvPool.write: ${bytes.length} bytes for ${pages.length} pages of ${wanted}`, {
        bytes: bytes.length,
        wanted,
      });
    const [first] = runs;
    if (first !== undefined && runs.length === 1) {
      this.#runner.upload(first.buffer, first.offset, bytes);
      return;
    }
    if (wanted === 0) return;
    const scratch = this.#runner.buffers.take(wanted);
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

  /** The sequence's view on the device, its page table brought up to date. */
  operand(operation: string, kv: KvView, layer: number): KvOperand {
    this.#check();
    const { layers, kvHeads } = this.spec;
    if (!Number.isInteger(layer) || layer < 0 || layer >= layers)
      throw new InputError('argument', `${operation}: layer ${layer} of ${layers}`);
    if (kv.table.length !== layers * kvHeads * kv.blocks) {
      throw new InputError(
        'argument',
        `${operation}: a page table of ${kv.table.length} entries; ${layers} layers, ${kvHeads} heads and ${kv.blocks} blocks need ${layers * kvHeads * kv.blocks}`,
      );
    }
    const readable = this.readable(kv);
    const memories = KV_FORMATS.flatMap((name, code) => {
      const memory = (readable[code] ?? 0) > 0 ? this.#memories.get(name) : undefined;
      return memory === undefined ? [] : [memory];
    });
    if (memories.length === 0)
      throw new InputError(
        'argument',
        `${operation}: the KV pool has no pages of the view's formats; reserve some first`,
      );
    if (memories.length > PAGE_SLOTS) {
      throw new InputError(
        'argument',
        `${operation}: a view of pages in ${memories.length} formats, at most ${PAGE_SLOTS}; convert some`,
        { formats: memories.length, limit: PAGE_SLOTS },
      );
    }
    return {
      spec: this.spec,
      memories,
      table: this.#tables.buffer(kv, readable),
      tableStart: layer * kvHeads * kv.blocks,
      blocks: kv.blocks,
    };
  }

  /** Blocks of a layer's KV head before the first that a kernel may not read. */
  wholeBlocks(kv: KvView, layer: number, head: number): number {
    return this.#tables.whole(kv, layer * this.spec.kvHeads + head, this.readable(kv));
  }

  /** Throws unless blocks [from, to) of a layer's KV head have pages that a kernel may read; `holes`: or have none. */
  checkBlocks(
    operation: string,
    kv: KvView,
    layer: number,
    head: number,
    blocks: readonly [number, number],
    holes = false,
  ): void {
    this.#tables.check(operation, kv, layer * this.spec.kvHeads + head, blocks, this.readable(kv), holes);
  }

  /** The memory of open pages; throws unless blocks [from, to) of every KV head of a layer are among them. */
  openMemory(operation: string, kv: KvView, layer: number, [from, to]: readonly [number, number]): OpenMemory {
    const { kvHeads, format } = this.spec;
    const memory = this.#memories.get(format);
    const first = pageNumber(format, 0);
    for (let head = 0; head < kvHeads; head += 1) {
      for (let block = from; block < to; block += 1) {
        const page = kv.table[(layer * kvHeads + head) * kv.blocks + block] ?? -1;
        if (page >= first && page - first < this.pages()) continue;
        const found =
          page < 0 ? 'no page' : `page ${page}, which is not one of the ${this.pages()} open ones of ${format}`;
        throw new InputError(
          'argument',
          `${operation}: position ${block * PAGE_TOKENS}, layer ${layer}, head ${head}: ${found}`,
          { page, block, layer, head },
        );
      }
    }
    if (memory === undefined)
      throw new InputError('argument', `${operation}: the KV pool has no pages of ${format}; reserve some first`);
    return { ...memory, format };
  }

  /** Pages of each format that the view's kernels may read: the same array until memory grows. */
  readable({ formats }: KvView): Readable {
    const key = formats?.join() ?? '';
    let readable = this.#readable.get(key);
    if (readable === undefined) {
      readable = KV_FORMATS.map((format) =>
        format === this.spec.format || formats?.includes(format) === true ? this.pages(format) : 0,
      );
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
      // A buffer cannot be read and written by one dispatch; scratch pages stand between.
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

  /** Where a page lies. */
  #part(operation: string, page: number): BufferPart {
    const format = Number.isInteger(page) && page >= 0 ? KV_FORMATS[page >> 27] : undefined;
    const memory = format === undefined ? undefined : this.#memories.get(format);
    if (format === undefined || memory === undefined || pageIndex(page) >= memory.pages) {
      throw new InputError(
        'argument',
        `kvPool.${operation}: page ${page}; of ${format ?? this.spec.format} there are ${this.pages(format)}`,
        { page },
      );
    }
    const bytes = this.pageBytes(format);
    return { buffer: memory.buffer, offset: pageIndex(page) * bytes, bytes };
  }

  /** Where pages lie, neighbours joined. */
  #runs(operation: string, pages: Int32Array): BufferPart[] {
    const runs: { buffer: DeviceBuffer; offset: number; bytes: number }[] = [];
    for (const page of pages) {
      const { buffer, offset, bytes } = this.#part(operation, page);
      const last = runs.at(-1);
      if (last !== undefined && last.buffer === buffer && last.offset + last.bytes === offset) last.bytes += bytes;
      else runs.push({ buffer, offset, bytes });
    }
    return runs;
  }

  #check(): void {
    this.#runner.device.check();
    if (this.#ended) throw new InputError('destroyed', 'the KV pool was freed');
  }
}
