/** Weights in WASM memory: matrices in the packed layout of assembly/kernels/matmul, vectors as plain f32. Packed row by row while they stream in. */
import { FileError } from '../../errors.ts';
import type { Weight, WeightWriter } from '../backend.ts';
import * as checks from '../checks.ts';
import { rowBytes, WEIGHT_FORMATS, weightBytes, type WeightFormat, type WeightSpec } from '../weight.ts';
import type { Engine } from './engine.ts';

/** File bytes that are staged before they are packed: a few tiles of rows. */
const STAGING_BYTES = 256 << 10;
/** The most bytes of one weight, which leaves space in 32 bits for padding and repacking. */
const MAX_BYTES = 0xe0000000;

/** Rows in the packed layout, as operations read them. */
export interface PackedRows {
  readonly pointer: number;
  readonly ggml: number;
  readonly rows: number;
}

/** Some packed rows, which the ids at `ids` name: those of the ids from `from` on. */
export interface HostedTile {
  readonly from: number;
  readonly rows: number;
  readonly ids: number;
  readonly weight: PackedRows;
}

/** A table outside of WASM memory (host-table.ts), of which `tiles` packs the rows that the `count` ids at `ids` name. */
export interface HostedTable extends Weight {
  tiles(ids: number, count: number): Iterable<HostedTile>;
}

export const isHosted = (weight: Weight): weight is HostedTable => 'tiles' in weight;

export class WasmWeight implements Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: number;
  readonly rows: number;
  readonly cols: number;
  /** 0 once freed. */
  pointer: number;
  /** ggml's number of the format. */
  readonly ggml: number;
  /** Whether products read quantised activations. */
  readonly int8: boolean;
  readonly #freed: (weight: WasmWeight) => void;
  constructor(
    spec: WeightSpec,
    rows: number,
    cols: number,
    bytes: number,
    pointer: number,
    int8: boolean,
    freed: (weight: WasmWeight) => void,
  ) {
    this.name = spec.name;
    this.shape = spec.shape;
    this.format = spec.format;
    this.rows = rows;
    this.cols = cols;
    this.bytes = bytes;
    this.pointer = pointer;
    this.ggml = WEIGHT_FORMATS[spec.format].ggml;
    this.int8 = int8;
    this.#freed = freed;
  }
  free(): void {
    if (this.pointer === 0) return;
    this.#freed(this);
    this.pointer = 0;
  }
}

export class Weights {
  readonly #engine: Engine;
  readonly #live = new Set<Weight>();
  readonly #open = new Set<Writer>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get bytes(): number {
    let bytes = 0;
    for (const weight of this.#live) bytes += weight.bytes;
    return bytes;
  }
  get count(): number {
    return this.#live.size;
  }

  writer(spec: WeightSpec): WeightWriter {
    const { rows, cols } = checks.weight(spec);
    if (spec.rowsOnly === true && spec.shape.length === 2) return this.#hosted(spec);
    const vector = spec.shape.length === 1;
    const { exports } = this.#engine.wasm;
    const { ggml } = WEIGHT_FORMATS[spec.format];
    // `packedBytes` counts in 32 bits, so weights that cannot fit are refused by their size in the file.
    const fits = weightBytes(spec) < MAX_BYTES;
    const bytes = vector ? cols * 4 : fits ? exports.packedBytes(ggml, rows, cols) >>> 0 : weightBytes(spec);
    const writer = new Writer(this.#engine, spec, rows, cols, bytes, (pointer) => {
      this.#open.delete(writer);
      if (pointer === 0) return undefined;
      const weight = new WasmWeight(spec, rows, cols, bytes, pointer, exports.usesInt8(ggml) !== 0, (freed) => {
        this.#live.delete(freed);
        this.#engine.free(freed.pointer);
      });
      this.#live.add(weight);
      return weight;
    });
    this.#open.add(writer);
    return writer;
  }

  /** Pages whose models have no such table do not download this code. */
  #hosted(spec: WeightSpec): WeightWriter {
    const made = import('./host-table.ts').then(({ hostTableWriter }) =>
      hostTableWriter(this.#engine, spec, this.#live),
    );
    return {
      write: async (chunk) => (await made).write(chunk),
      finish: async () => (await made).finish(),
      abort: () => undefined,
    };
  }

  destroy(): void {
    for (const writer of [...this.#open]) writer.abort();
    for (const weight of [...this.#live]) weight.free();
  }
}

class Writer implements WeightWriter {
  readonly #engine: Engine;
  readonly #spec: WeightSpec;
  readonly #rows: number;
  readonly #cols: number;
  /** Bytes of one row in the file. */
  readonly #rowBytes: number;
  readonly #wanted: number;
  /** Rows that are staged before they are packed, a number of whole tiles. */
  readonly #batch: number;
  readonly #close: (pointer: number) => WasmWeight | undefined;
  #pointer: number;
  #staging = 0;
  #staged = 0;
  #packed = 0;
  #taken = 0;

  constructor(
    engine: Engine,
    spec: WeightSpec,
    rows: number,
    cols: number,
    bytes: number,
    close: (pointer: number) => WasmWeight | undefined,
  ) {
    this.#engine = engine;
    this.#spec = spec;
    this.#rows = rows;
    this.#cols = cols;
    this.#rowBytes = rowBytes(spec.format, cols);
    this.#wanted = weightBytes(spec);
    const tile = spec.shape.length === 1 ? 1 : engine.wasm.exports.rowTile(WEIGHT_FORMATS[spec.format].ggml);
    this.#batch = tile * Math.max(1, Math.floor(STAGING_BYTES / (tile * this.#rowBytes)));
    this.#close = close;
    this.#pointer = engine.alloc(this.#wanted < MAX_BYTES ? bytes : 2 ** 32);
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#engine.alive();
    if (this.#pointer === 0) throw checks.freed('write', `the writer of weight ${this.#spec.name}`);
    if (this.#taken + chunk.length > this.#wanted) {
      throw new FileError(
        'malformed',
        { file: '', field: this.#spec.name, offset: this.#taken },
        `more than the ${this.#wanted} bytes of its shape and format`,
      );
    }
    const room = Math.min(this.#batch, this.#rows) * this.#rowBytes;
    if (this.#staging === 0) this.#staging = this.#engine.alloc(room);
    let at = 0;
    while (at < chunk.length) {
      const take = Math.min(room - this.#staged, chunk.length - at);
      this.#engine.wasm.bytes(this.#staging + this.#staged, take).set(chunk.subarray(at, at + take));
      at += take;
      this.#staged += take;
      this.#taken += take;
      if (this.#staged === room || this.#taken === this.#wanted) this.#pack();
    }
  }

  #pack(): void {
    const rows = this.#staged / this.#rowBytes;
    const { wasm } = this.#engine;
    const { ggml } = WEIGHT_FORMATS[this.#spec.format];
    if (this.#spec.shape.length === 1) this.#vector();
    else wasm.exports.packRows(this.#pointer, this.#staging, ggml, this.#packed, rows, this.#rows, this.#cols);
    this.#packed += rows;
    this.#staged = 0;
  }

  /** A vector is one row, so it arrives whole. */
  #vector(): void {
    const { wasm } = this.#engine;
    switch (this.#spec.format) {
      case 'F16':
        wasm.exports.widen(this.#pointer, this.#staging, this.#cols);
        break;
      case 'BF16': {
        const from = new Uint16Array(wasm.memory.buffer, this.#staging, this.#cols);
        const to = wasm.u32(this.#pointer, this.#cols);
        for (let i = 0; i < this.#cols; i++) to[i] = (from[i] ?? 0) << 16;
        break;
      }
      default:
        wasm.bytes(this.#pointer, this.#cols * 4).set(wasm.bytes(this.#staging, this.#cols * 4));
    }
  }

  async finish(): Promise<Weight> {
    this.#engine.alive();
    if (this.#taken !== this.#wanted) {
      this.abort();
      throw new FileError(
        'truncated',
        { file: '', field: this.#spec.name, offset: this.#taken },
        `${this.#taken} of ${this.#wanted} bytes were received`,
      );
    }
    this.#engine.free(this.#staging);
    this.#staging = 0;
    const weight = this.#close(this.#pointer);
    this.#pointer = 0;
    if (weight === undefined) throw checks.freed('write', `the writer of weight ${this.#spec.name}`);
    return weight;
  }

  abort(): void {
    this.#engine.free(this.#staging);
    this.#engine.free(this.#pointer);
    this.#staging = 0;
    this.#pointer = 0;
    this.#close(0);
  }
}
