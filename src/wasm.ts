/**
 * The bridge to WASM, and the only file that accesses the instance. Pointers are unsigned byte addresses. Views are
 * made again whenever the memory's buffer changes identity, so no view may be kept across a call that allocates.
 */
import { DeviceError } from './errors.ts';
import type { WasmExports } from './wasm-exports.ts';

export const WASM_BUILDS = ['relaxed-threads', 'simd-threads', 'relaxed', 'simd', 'scalar'] as const;
export type WasmBuild = (typeof WASM_BUILDS)[number];

const PAGE = 65536;
/** 4 GiB: what a 32-bit memory can address. */
const MAXIMUM_PAGES = 65536;

export class Wasm {
  readonly build: WasmBuild;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly exports: WasmExports;
  #u8 = new Uint8Array(0);
  #i32 = new Int32Array(0);
  #u32 = new Uint32Array(0);
  #f32 = new Float32Array(0);

  constructor(build: WasmBuild, module: WebAssembly.Module, memory: WebAssembly.Memory, exports: WasmExports) {
    this.build = build;
    this.module = module;
    this.memory = memory;
    this.exports = exports;
  }

  /** Bytes `[pointer, pointer + length)`; valid until the next allocation. */
  bytes(pointer: number, length: number): Uint8Array {
    if (this.#u8.buffer !== this.memory.buffer) this.#refresh();
    return this.#u8.subarray(pointer, pointer + length);
  }
  /** The whole memory as words, and as f32: index by `pointer >>> 2`. Valid until the next allocation. */
  words(): Uint32Array {
    if (this.#u32.buffer !== this.memory.buffer) this.#refresh();
    return this.#u32;
  }
  floats(): Float32Array {
    if (this.#f32.buffer !== this.memory.buffer) this.#refresh();
    return this.#f32;
  }
  i32(pointer: number, length: number): Int32Array {
    if (this.#i32.buffer !== this.memory.buffer) this.#refresh();
    return this.#i32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }
  u32(pointer: number, length: number): Uint32Array {
    if (this.#u32.buffer !== this.memory.buffer) this.#refresh();
    return this.#u32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }
  f32(pointer: number, length: number): Float32Array {
    if (this.#f32.buffer !== this.memory.buffer) this.#refresh();
    return this.#f32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }

  /** Returns a 64-byte aligned, uninitialised block, which the caller frees. Throws `DeviceError('out-of-memory')`. */
  alloc(size: number): number {
    const pointer = this.tryAlloc(size);
    if (pointer === 0) {
      const held = this.exports.allocated() >>> 0;
      throw new DeviceError(
        'out-of-memory',
        `WASM memory: no room for ${size} more bytes with ${held} in use (4 GiB at most, less where the browser refuses to grow); ` +
          'use a smaller model or weight format, a shorter context, or free other models',
        { size, held },
      );
    }
    return pointer;
  }
  /** As `alloc`, but returns 0 when there is no memory. Sizes beyond 32 bits are accepted and never fit. */
  tryAlloc(size: number): number {
    return size < MAXIMUM_PAGES * PAGE ? this.exports.alloc(size) >>> 0 : 0;
  }
  free(pointer: number): void {
    this.exports.release(pointer);
  }

  #refresh(): void {
    const { buffer } = this.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f32 = new Float32Array(buffer);
  }
}

/** The memory that a build imports, shared for the threaded builds. */
export function createMemory(build: WasmBuild): WebAssembly.Memory {
  const shared = build.endsWith('-threads');
  try {
    return new WebAssembly.Memory({ initial: 64, maximum: MAXIMUM_PAGES, shared });
  } catch (cause) {
    throw new DeviceError(
      'out-of-memory',
      `WASM memory: the engine refuses to reserve ${MAXIMUM_PAGES * PAGE} bytes of address space`,
      {},
      { cause },
    );
  }
}

/** Instantiates one build's module; every instance of a threaded build shares `memory`. */
export async function instantiate(
  build: WasmBuild,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory = createMemory(build),
): Promise<Wasm> {
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  // The types are generated from the module's sources (tools/layouts.mjs).
  return new Wasm(build, module, memory, instance.exports as unknown as WasmExports);
}
