/** Checksums of stored data, by assembly/kv/checksum.ts: XXH64 with a seed that says where each piece belongs. */
import type { Wasm } from '../wasm.ts';

/** Bytes that are hashed at once: about those of a stored part. */
const SCRATCH_BYTES = 1 << 23;

export class Checksums {
  readonly #wasm: Wasm;

  /** Memory of `wasm` is allocated only for the duration of a call. */
  constructor(wasm: Wasm) {
    this.#wasm = wasm;
  }

  /**
   * Returns the XXH64 of consecutive pieces in `bytes`, the low word first: [2 * lengths.length]. Piece i has the seed
   * (`first` + i, `owner`).
   */
  of(bytes: Uint8Array, lengths: Uint32Array, first: number, owner: number): Uint32Array {
    const sums = new Uint32Array(2 * lengths.length);
    let from = 0;
    let at = 0;
    while (from < lengths.length) {
      let to = from;
      let size = 0;
      do size += lengths[to++] ?? 0;
      while (to < lengths.length && size + (lengths[to] ?? 0) <= SCRATCH_BYTES);
      sums.set(this.#some(bytes.subarray(at, at + size), lengths.subarray(from, to), first + from, owner), 2 * from);
      from = to;
      at += size;
    }
    return sums;
  }

  #some(bytes: Uint8Array, lengths: Uint32Array, first: number, owner: number): Uint32Array {
    const wasm = this.#wasm;
    const count = lengths.length;
    // | bytes, to a multiple of 8 | seeds u64 | sums u64 | lengths u32 |
    const data = Math.ceil(bytes.length / 8) * 8;
    const pointer = wasm.alloc(data + count * 20);
    try {
      const seeds = pointer + data;
      const sums = seeds + 8 * count;
      const sizes = sums + 8 * count;
      wasm.bytes(pointer, bytes.length).set(bytes);
      wasm
        .u32(seeds, 2 * count)
        .set(Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? first + (i >> 1) : owner)));
      wasm.u32(sizes, count).set(lengths);
      wasm.exports.checksums(sums, pointer, sizes, seeds, count);
      return wasm.u32(sums, 2 * count).slice();
    } finally {
      wasm.free(pointer);
    }
  }
}

/** Returns a number for the name of a generation or record, which is the high word of its seeds. FNV-1a. */
export function ownerOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
