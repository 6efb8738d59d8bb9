/** Weights on the device: repacked while they stream in, and split by rows when one binding cannot hold them. */
import type { RmsOperand, WeightPart } from '../../../gpu/kernels/operands.ts';
import { rowLayout, type RowLayout } from '../../../gpu/lib/rows.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import { DeviceError, FileError } from '../../errors.ts';
import type { NormSpec, Weight, WeightWriter } from '../backend.ts';
import * as checks from '../checks.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat, type WeightSpec } from '../weight.ts';

/** Repacked rows are passed to the queue in pieces of about this size. */
const STAGE_BYTES = 2 << 20;
/** Bytes passed to the queue before the host waits for the device; the browser may hold them twice. */
const IN_FLIGHT_BYTES = 32 << 20;

export class GpuWeight implements Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: number;
  /** Rows in order, each part in a buffer of its own; empty once freed. */
  parts: readonly WeightPart[];
  readonly #freed: (weight: GpuWeight) => void;

  constructor(spec: WeightSpec, parts: readonly WeightPart[], freed: (weight: GpuWeight) => void) {
    this.name = spec.name;
    this.shape = spec.shape;
    this.format = spec.format;
    this.parts = parts;
    this.bytes = parts.reduce((sum, part) => sum + part.buffer.bytes, 0);
    this.#freed = freed;
  }

  free(): void {
    if (this.parts.length > 0) this.#freed(this);
  }
}

export class GpuWeightWriter implements WeightWriter {
  readonly #runner: Runner;
  readonly #spec: WeightSpec;
  readonly #cols: number;
  readonly #rows: number;
  readonly #layout: RowLayout;
  readonly #parts: WeightPart[] = [];
  readonly #done: (parts: readonly WeightPart[]) => Weight;
  /** File bytes that do not fill a block yet. */
  readonly #rest: Uint8Array;
  #resting = 0;
  /** Whole packed rows that were not passed to the queue yet. */
  #stage: Uint32Array<ArrayBuffer>;
  #stageRow = 0;
  readonly #stageRows: number;
  /** The number of blocks (values, for plain formats) placed so far. */
  #row = 0;
  #block = 0;
  #written = 0;
  #inFlight = 0;
  #closed = false;

  constructor(runner: Runner, spec: WeightSpec, largestPart: number, done: (parts: readonly WeightPart[]) => Weight) {
    const { format, name } = spec;
    const { rows, cols } = checks.weight(spec);
    const { bytes } = WEIGHT_FORMATS[format];
    this.#runner = runner;
    this.#spec = spec;
    this.#cols = cols;
    this.#rows = rows;
    this.#done = done;
    this.#layout = rowLayout(format, cols);
    this.#rest = new Uint8Array(bytes);
    const packed = 4 * this.#layout.words;
    const partRows = Math.floor(largestPart / packed);
    if (partRows < 1) {
      throw new DeviceError(
        'out-of-memory',
        `weight ${name}: one row takes ${packed} bytes, but a binding of this GPU holds ${largestPart}`,
        {
          bytes: packed,
          limit: largestPart,
        },
      );
    }
    for (let first = 0; first < rows; first += partRows) {
      const count = Math.min(partRows, rows - first);
      this.#parts.push({ buffer: runner.buffers.create(count * packed, 'weights'), format, rows: count, first });
    }
    this.#stageRows = Math.min(rows, Math.max(1, Math.floor(STAGE_BYTES / packed)));
    this.#stage = new Uint32Array(this.#stageRows * this.#layout.words);
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#closed) throw checks.freed('write', `the writer of weight ${this.#spec.name}`);
    const total = weightBytes(this.#spec);
    if (this.#written + chunk.length > total) {
      throw new FileError(
        'malformed',
        { file: this.#spec.name, field: 'bytes', offset: this.#written },
        `more than the ${total} bytes that its shape needs`,
      );
    }
    this.#written += chunk.length;
    let at = 0;
    const size = this.#rest.length;
    if (this.#resting > 0) {
      at = Math.min(size - this.#resting, chunk.length);
      this.#rest.set(chunk.subarray(0, at), this.#resting);
      this.#resting += at;
      if (this.#resting < size) return;
      this.#resting = 0;
      await this.#take(this.#rest, size);
    }
    const whole = Math.floor((chunk.length - at) / size) * size;
    if (whole > 0) await this.#take(chunk.subarray(at, at + whole), whole);
    this.#rest.set(chunk.subarray(at + whole));
    this.#resting = chunk.length - at - whole;
  }

  async finish(): Promise<Weight> {
    const total = weightBytes(this.#spec);
    if (this.#written !== total) {
      this.abort();
      throw new FileError(
        'truncated',
        { file: this.#spec.name, field: 'bytes', offset: this.#written },
        `${this.#written} of ${total} bytes were received`,
      );
    }
    this.#closed = true;
    this.#stage = new Uint32Array(0);
    try {
      await this.#runner.device.settled();
      this.#runner.device.check();
    } catch (error) {
      this.#runner.destroy(...this.#parts.map((part) => part.buffer));
      throw error;
    }
    return this.#done(this.#parts);
  }

  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stage = new Uint32Array(0);
    this.#runner.destroy(...this.#parts.map((part) => part.buffer));
  }

  /** Packs whole blocks. */
  async #take(bytes: Uint8Array, length: number): Promise<void> {
    const { plain } = this.#layout;
    // Halves are read as 16-bit numbers, so the bytes must lie at an even address.
    const source = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
    if (plain !== undefined) return this.#copy(source, length, plain);
    const { block, bytes: size } = WEIGHT_FORMATS[this.#spec.format];
    const blocks = this.#cols / block;
    const view = { u8: source, u16: new Uint16Array(source.buffer, source.byteOffset, length >> 1) };
    for (let at = 0; at < length; at += size) {
      this.#layout.place(view, at, this.#stage, this.#stageRow * this.#layout.words, this.#block);
      this.#block += 1;
      if (this.#block === blocks) await this.#rowDone();
    }
  }

  /** Formats without blocks: rows are copied, padded to whole units. */
  async #copy(source: Uint8Array, length: number, valueBytes: number): Promise<void> {
    for (let at = 0; at < length;) {
      const count = Math.min(this.#cols - this.#block, (length - at) / valueBytes);
      const to = 4 * this.#stageRow * this.#layout.words + this.#block * valueBytes;
      new Uint8Array(this.#stage.buffer).set(source.subarray(at, at + count * valueBytes), to);
      at += count * valueBytes;
      this.#block += count;
      if (this.#block === this.#cols) await this.#rowDone();
    }
  }

  async #rowDone(): Promise<void> {
    this.#block = 0;
    this.#row += 1;
    this.#stageRow += 1;
    if (this.#stageRow < this.#stageRows && this.#row < this.#rows) return;
    this.#send();
    if (this.#inFlight < IN_FLIGHT_BYTES) return;
    this.#inFlight = 0;
    await this.#runner.idle();
    if (this.#closed) throw checks.freed('write', `the writer of weight ${this.#spec.name}`);
  }

  /** Passes the staged rows to the queue, each to its part. */
  #send(): void {
    const { words } = this.#layout;
    for (let sent = 0; sent < this.#stageRow;) {
      const row = this.#row - this.#stageRow + sent;
      const part = this.#parts.find(({ first, rows }) => row >= first && row < first + rows);
      if (part === undefined) break;
      const count = Math.min(this.#stageRow - sent, part.first + part.rows - row);
      this.#runner.upload(
        part.buffer,
        4 * words * (row - part.first),
        this.#stage.subarray(sent * words, (sent + count) * words),
      );
      sent += count;
    }
    this.#inFlight += 4 * words * this.#stageRow;
    this.#stageRow = 0;
    this.#stage.fill(0);
  }
}

/** The weight's device side; throws for weights of other backends and freed ones. */
export function weightOf(operation: string, weight: Weight): GpuWeight {
  if (!(weight instanceof GpuWeight)) throw checks.foreign(operation, `weight ${weight.name}`);
  if (weight.parts.length === 0) throw checks.freed(operation, `weight ${weight.name}`);
  return weight;
}

/** The buffer of a vector (a norm's weight, a bias). */
export function vectorOf(operation: string, weight: Weight): DeviceBuffer {
  const buffer = weightOf(operation, weight).parts[0]?.buffer;
  if (buffer === undefined) throw checks.freed(operation, `weight ${weight.name}`);
  return buffer;
}

/** The buffer of a vector, if there is one. */
export function optionalVector(operation: string, weight: Weight | undefined): DeviceBuffer | undefined {
  return weight === undefined ? undefined : vectorOf(operation, weight);
}

/** Returns an RMS norm for kernels that fuse it, if there is one. */
export function rmsOf(operation: string, norm: NormSpec | undefined): RmsOperand | undefined {
  return norm === undefined ? undefined : { weight: vectorOf(operation, norm.weight), epsilon: norm.epsilon };
}
