/** Activations on the device and the scopes that own them. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { Matrix } from '../../../gpu/kernels/operands.ts';
import type { Tensor } from '../backend.ts';
import * as checks from '../checks.ts';

/** Rows of f32 tensors start at multiples of four values, so that kernels read vec4; i32 tensors are dense. */
export class GpuTensor implements Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
  /** The bytes that a binding of its device holds. */
  readonly bindable: number;
  /** Undefined once freed. */
  buffer: DeviceBuffer | undefined;
  scope: Set<GpuTensor> | undefined;

  constructor(shape: readonly number[], type: 'f32' | 'i32', buffer: DeviceBuffer, bindable: number) {
    this.shape = shape;
    this.type = type;
    this.bindable = bindable;
    this.buffer = buffer;
    this.cols = shape[shape.length - 1] ?? 1;
    this.rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
    this.stride = rowStride(type, this.cols);
  }

  get bytes(): number {
    return 4 * this.rows * this.stride;
  }
}

const rowStride = (type: 'f32' | 'i32', cols: number): number => (type === 'f32' ? 4 * Math.ceil(cols / 4) : cols);

export class Tensors {
  readonly #runner: Runner;
  readonly #scopes: Set<GpuTensor>[] = [];
  #count = 0;
  #bytes = 0;

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** The number of live tensors, and their bytes. */
  get count(): number {
    return this.#count;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Makes an uninitialised tensor in the innermost scope; `behind` bytes of its buffer after its values are scratch for
   * the kernels that compute it.
   */
  make(shape: readonly number[], type: 'f32' | 'i32' = 'f32', behind = 0): GpuTensor {
    checks.shape(shape);
    const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
    const buffer = this.#runner.buffers.take(4 * rows * rowStride(type, shape[shape.length - 1] ?? 1) + behind);
    const tensor = new GpuTensor([...shape], type, buffer, this.#runner.device.gpu.limits.maxStorageBufferBindingSize);
    tensor.scope = this.#scopes.at(-1);
    tensor.scope?.add(tensor);
    this.#count += 1;
    this.#bytes += tensor.bytes;
    return tensor;
  }

  free(tensor: Tensor): void {
    if (!(tensor instanceof GpuTensor) || tensor.buffer === undefined) return;
    tensor.scope?.delete(tensor);
    this.#runner.buffers.give(tensor.buffer);
    tensor.buffer = undefined;
    this.#count -= 1;
    this.#bytes -= tensor.bytes;
  }

  keep(tensor: Tensor): void {
    if (!(tensor instanceof GpuTensor)) return;
    tensor.scope?.delete(tensor);
    tensor.scope = undefined;
  }

  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T {
    const mine = new Set<GpuTensor>();
    this.#scopes.push(mine);
    let results: readonly unknown[] = [];
    try {
      const result = body();
      results = Array.isArray(result) ? result : [result];
      return result;
    } finally {
      this.#scopes.pop();
      const outer = this.#scopes.at(-1);
      for (const tensor of [...mine]) {
        if (results.includes(tensor)) {
          tensor.scope = outer;
          outer?.add(tensor);
        } else this.free(tensor);
      }
    }
  }
}

/** The tensor's device side; throws for tensors of other backends and for freed ones. */
export function resident(operation: string, name: string, tensor: Tensor): GpuTensor & { buffer: DeviceBuffer } {
  if (!(tensor instanceof GpuTensor)) throw checks.foreign(operation, name);
  if (!held(tensor)) throw checks.freed(operation, name);
  return tensor;
}

function held(tensor: GpuTensor): tensor is GpuTensor & { buffer: DeviceBuffer } {
  return tensor.buffer !== undefined;
}

/** Returns a matrix for kernels; throws for one that is larger than a binding. */
export function matrix(operation: string, name: string, tensor: Tensor): Matrix {
  const made = resident(operation, name, tensor);
  const { bytes } = made.buffer;
  if (bytes > made.bindable)
    throw checks.wrong(
      operation,
      `${name} [${made.shape.join(', ')}] lies in a buffer of ${bytes} bytes, but a binding of this GPU holds ${made.bindable}; work on fewer rows at a time (a picture: in bands)`,
      { operation, tensor: name, bytes, limit: made.bindable },
    );
  return made;
}

/** A matrix as kernels take it, if there is one. */
export function optional(operation: string, name: string, tensor: Tensor | undefined): Matrix | undefined {
  return tensor === undefined ? undefined : matrix(operation, name, tensor);
}

/** The buffer of an id ring. */
export function ring(operation: string, tensor: Tensor): DeviceBuffer {
  return resident(operation, 'ring', tensor).buffer;
}
