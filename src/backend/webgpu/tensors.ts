/** Activations on the device and the scopes that own them. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { Matrix } from '../../../gpu/kernels/operands.ts';
import { InputError } from '../../errors.ts';
import type { Tensor } from '../backend.ts';

/** Rows of f32 tensors start at multiples of four values, so that kernels read vec4; i32 tensors are dense. */
export class GpuTensor implements Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
  /** Bytes that a binding of its device holds. */
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

  /** Tensors alive, and their bytes. */
  get count(): number {
    return this.#count;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** An uninitialised tensor of the innermost scope; `behind` bytes of its buffer after its values are scratch for the kernels that make it. */
  make(shape: readonly number[], type: 'f32' | 'i32' = 'f32', behind = 0): GpuTensor {
    for (const n of shape) {
      if (!Number.isInteger(n) || n < 1)
        throw new InputError(
          'argument',
          `a tensor of shape [${shape.join()}]: every dimension must be a positive integer`,
        );
    }
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
  if (!(tensor instanceof GpuTensor)) throw new InputError('argument', `${operation}: ${name} is of another backend`);
  if (!held(tensor)) throw new InputError('destroyed', `${operation}: ${name} was freed`);
  return tensor;
}

function held(tensor: GpuTensor): tensor is GpuTensor & { buffer: DeviceBuffer } {
  return tensor.buffer !== undefined;
}

/** An f32 matrix as kernels take it; throws for one that is larger than a binding. */
export function matrix(operation: string, name: string, tensor: Tensor): Matrix {
  const made = copied(operation, name, tensor);
  const { bytes } = made.buffer;
  if (bytes > made.bindable) {
    throw new InputError(
      'argument',
      `${operation}: ${name} [${made.shape.join()}] lies in a buffer of ${bytes} bytes, but a binding of this GPU holds ${made.bindable}; work on fewer rows at a time (a picture: in bands)`,
      { operation, tensor: name, bytes, limit: made.bindable },
    );
  }
  return made;
}

/** An f32 matrix of any size, for copies. */
export function copied(operation: string, name: string, tensor: Tensor): GpuTensor & { buffer: DeviceBuffer } {
  const { type, shape } = tensor;
  if (type !== 'f32' || shape.length !== 2) {
    throw new InputError('argument', `${operation}: ${name} [${shape.join()}] of ${type} should be an f32 matrix`);
  }
  return resident(operation, name, tensor);
}

/** The buffer of an id ring that has ids `[start, end)`. */
export function ring(operation: string, tensor: Tensor, start: number, end: number): DeviceBuffer {
  const length = tensor.shape[0] ?? 0;
  if (tensor.type !== 'i32' || tensor.shape.length !== 1)
    throw new InputError(
      'argument',
      `${operation}: ring should be an i32 vector, is ${tensor.type} [${tensor.shape.join()}]`,
    );
  if (start < 0 || end < start || end > length)
    throw new InputError('argument', `${operation}: ids [${start}, ${end}) of a ring of ${length}`);
  return resident(operation, 'ring', tensor).buffer;
}
