/** Blocks of WASM memory for one selection, freed together. */
import type { Wasm } from '../../wasm.ts';

export class Blocks {
  readonly wasm: Wasm;
  readonly #held: number[] = [];

  constructor(wasm: Wasm) {
    this.wasm = wasm;
  }

  /** Throws `DeviceError('out-of-memory')`. */
  bytes(length: number): number {
    const pointer = this.wasm.alloc(Math.max(1, length));
    this.#held.push(pointer);
    return pointer;
  }

  floats(values: Float32Array): number {
    const pointer = this.bytes(values.byteLength);
    this.wasm.f32(pointer, values.length).set(values);
    return pointer;
  }

  words(values: ArrayLike<number>): number {
    const pointer = this.bytes(4 * values.length);
    this.wasm.u32(pointer, values.length).set(values);
    return pointer;
  }

  free(): void {
    for (const pointer of this.#held.splice(0)) this.wasm.free(pointer);
  }
}
