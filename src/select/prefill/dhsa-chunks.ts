/**
 * Mean keys of a sequence's chunks, layer by layer, kept in WASM memory. Only those of new chunks are read back from
 * the device.
 */
import type { PlannedCall } from '../../kv/plan.ts';
import type { Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import { readBack } from './dhsa-scratch.ts';

/** Where chunks begin. */
export interface Chunks {
  /** First positions, ascending from 0. Every chunk but the last is closed and never changes. */
  readonly starts: readonly number[];
  /** End of the last chunk. */
  readonly end: number;
}

/** Mean keys of one layer. */
interface Layer {
  pointer: number;
  /** Rows that the memory holds. */
  capacity: number;
  /** Rows of closed chunks. */
  closed: number;
  /** The end of the open chunk whose mean is in the row after them; 0 for none. */
  end: number;
}

const GROWTH = 1.5;

export class ChunkMeans {
  readonly #wasm: Wasm;
  readonly #layers = new Map<number, Layer>();

  constructor(wasm: Wasm) {
    this.#wasm = wasm;
  }

  /**
   * Reads the means of `layer`'s chunks that are not known yet, and the tensors that `more` makes, in one wait. Returns
   * the address of f32 [chunks, kvHeads * headDim], valid until the next call for this layer, and what `more` made.
   */
  async read(
    call: PlannedCall,
    layer: number,
    { starts, end }: Chunks,
    more: () => readonly Tensor[],
  ): Promise<{ vectors: number; rest: Float32Array[] }> {
    const { backend, kv } = call;
    const table = this.#layer(layer);
    const known = table.end === end && table.closed === starts.length - 1;
    const from = table.closed;
    const spans = new Uint32Array(known ? 0 : 2 * (starts.length - from));
    for (let i = 0; i < spans.length / 2; i++) {
      spans[2 * i] = starts[from + i] ?? 0;
      spans[2 * i + 1] = starts[from + i + 1] ?? end;
    }
    const [first, ...others] = await readBack(backend, () => [
      ...(known ? [] : [backend.spanMeans(kv, layer, 'keys', spans)]),
      ...more(),
    ]);
    if (known || first === undefined)
      return { vectors: table.pointer, rest: first === undefined ? [] : [first, ...others] };
    const { kvHeads, headDim } = kv.pool.spec;
    const bytes = 4 * kvHeads * headDim;
    this.#reserve(table, starts.length, bytes);
    this.#wasm.f32(table.pointer + from * bytes, first.length).set(first);
    table.closed = starts.length - 1;
    table.end = end;
    return { vectors: table.pointer, rest: others };
  }

  /** All but the last of `chunks` chunks are unchanged. */
  truncated(chunks: number): void {
    for (const table of this.#layers.values()) {
      table.closed = Math.min(table.closed, chunks - 1);
      table.end = 0;
    }
  }

  /** Copies. */
  fork(rowBytes: number): ChunkMeans {
    const copy = new ChunkMeans(this.#wasm);
    try {
      for (const [layer, { pointer, closed }] of this.#layers) {
        if (closed === 0) continue;
        const table = copy.#layer(layer);
        copy.#reserve(table, closed, rowBytes);
        this.#wasm.bytes(table.pointer, closed * rowBytes).set(this.#wasm.bytes(pointer, closed * rowBytes));
        table.closed = closed;
      }
    } catch (error) {
      copy.free();
      throw error;
    }
    return copy;
  }

  free(): void {
    for (const { pointer } of this.#layers.values()) this.#wasm.free(pointer);
    this.#layers.clear();
  }

  #layer(layer: number): Layer {
    let table = this.#layers.get(layer);
    if (table === undefined) {
      table = { pointer: 0, capacity: 0, closed: 0, end: 0 };
      this.#layers.set(layer, table);
    }
    return table;
  }

  #reserve(table: Layer, rows: number, rowBytes: number): void {
    if (rows <= table.capacity) return;
    const capacity = Math.ceil(rows * GROWTH);
    const pointer = this.#wasm.alloc(capacity * rowBytes);
    if (table.closed > 0)
      this.#wasm.bytes(pointer, table.closed * rowBytes).set(this.#wasm.bytes(table.pointer, table.closed * rowBytes));
    this.#wasm.free(table.pointer);
    table.pointer = pointer;
    table.capacity = capacity;
  }
}
