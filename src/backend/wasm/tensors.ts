/**
 * Activations in WASM memory: freed blocks that are kept by size for the next tensor, and the scopes that own tensors.
 */
import type { Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Engine } from './engine.ts';

/**
 * Freed blocks are kept for reuse up to this many bytes: about a prefill chunk of a small model, and little compared
 * with its weights.
 */
const CACHE_BYTES = 32 << 20;

export class WasmTensor implements Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
  readonly length: number;
  /** 0 once freed. */
  pointer: number;
  scope: Set<WasmTensor> | undefined;
  constructor(shape: readonly number[], type: 'f32' | 'i32', length: number, pointer: number) {
    this.shape = shape;
    this.type = type;
    this.length = length;
    this.pointer = pointer;
  }
}

export class Tensors {
  readonly #engine: Engine;
  readonly #scopes: Set<WasmTensor>[] = [];
  readonly #live = new Set<WasmTensor>();
  readonly #free = new Map<number, number[]>();
  #freeBytes = 0;
  #liveBytes = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get bytes(): number {
    return this.#liveBytes;
  }
  get count(): number {
    return this.#live.size;
  }

  /** Uninitialised, owned by the innermost scope. */
  make(shape: readonly number[], type: 'f32' | 'i32' = 'f32'): WasmTensor {
    const length = checks.shape(shape);
    const bytes = size(length);
    const kept = this.#free.get(bytes);
    let pointer = kept?.pop();
    if (pointer === undefined) pointer = this.#engine.alloc(bytes);
    else this.#freeBytes -= bytes;
    const tensor = new WasmTensor(shape, type, length, pointer);
    const scope = this.#scopes[this.#scopes.length - 1];
    if (scope !== undefined) {
      scope.add(tensor);
      tensor.scope = scope;
    }
    this.#live.add(tensor);
    this.#liveBytes += length * 4;
    return tensor;
  }

  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T {
    const mine = new Set<WasmTensor>();
    this.#scopes.push(mine);
    let kept: readonly unknown[] = [];
    try {
      const result = body();
      kept = Array.isArray(result) ? result : [result];
      return result;
    } finally {
      this.#scopes.pop();
      const outer = this.#scopes[this.#scopes.length - 1];
      for (const tensor of mine) {
        if (!kept.includes(tensor)) this.free(tensor);
        else {
          tensor.scope = outer;
          outer?.add(tensor);
        }
      }
    }
  }

  keep<T extends Tensor>(tensor: T): T {
    if (tensor instanceof WasmTensor) {
      tensor.scope?.delete(tensor);
      tensor.scope = undefined;
    }
    return tensor;
  }

  free(tensor: Tensor): void {
    if (!(tensor instanceof WasmTensor) || tensor.pointer === 0) return;
    tensor.scope?.delete(tensor);
    tensor.scope = undefined;
    this.#live.delete(tensor);
    this.#liveBytes -= tensor.length * 4;
    const bytes = size(tensor.length);
    const kept = this.#free.get(bytes);
    if (kept === undefined) this.#free.set(bytes, [tensor.pointer]);
    else kept.push(tensor.pointer);
    tensor.pointer = 0;
    this.#freeBytes += bytes;
    if (this.#freeBytes > CACHE_BYTES) this.trim();
  }

  /** Returns the kept blocks to the allocator. */
  trim(): void {
    for (const blocks of this.#free.values()) for (const pointer of blocks) this.#engine.free(pointer);
    this.#free.clear();
    this.#freeBytes = 0;
  }

  destroy(): void {
    for (const tensor of [...this.#live]) this.free(tensor);
    this.trim();
  }
}

/** Returns the bytes of the block for so many values, in the allocator's own steps. */
function size(length: number): number {
  return Math.ceil(length / 16) * 64;
}
