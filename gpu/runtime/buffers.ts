/**
 * Device buffers and the pool of activation buffers.
 *
 * The pool hands out the free buffer of the smallest number in a size class, so that equal sequences of `take` and
 * `give` that start from the same state get the same buffers, and a decode step reuses the bind groups of the step before.
 * Giving a buffer back before the GPU has read it is safe, since one queue runs everything in order.
 */
import type { Device } from './device.ts';

export type Purpose = 'weights' | 'kv' | 'activations' | 'runtime';

/** The smallest buffer. Smaller ones would only add size classes. */
const MINIMUM_BYTES = 256;

export class DeviceBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly bytes: number;
  readonly purpose: Purpose;
  /** Keys of the bind groups that use this buffer. They are dropped when it is destroyed. */
  readonly groups = new Set<string>();
  /** Whether the GPU had memory for it, as far as is known. */
  valid = true;
  constructor(id: number, gpu: GPUBuffer, bytes: number, purpose: Purpose) {
    this.id = id;
    this.gpu = gpu;
    this.bytes = bytes;
    this.purpose = purpose;
  }
}

export class Buffers {
  readonly #device: Device;
  readonly #free = new Map<number, DeviceBuffer[]>();
  /** Given back, and of no use. */
  readonly #invalid: DeviceBuffer[] = [];
  readonly #bytes = new Map<Purpose, number>();
  #nextId = 0;
  #count = 0;

  constructor(device: Device) {
    this.#device = device;
  }

  /** The number of existing buffers, including the free ones of the pool. */
  get count(): number {
    return this.#count;
  }

  /** Returns the bytes of all existing buffers of one purpose. */
  held(purpose: Purpose): number {
    return this.#bytes.get(purpose) ?? 0;
  }

  create(
    bytes: number,
    purpose: Purpose,
    usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  ): DeviceBuffer {
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    const { maxBufferSize } = this.#device.gpu.limits;
    if (size > maxBufferSize) {
      throw this.#device.error({
        code: 'out-of-memory',
        problem: `GPU: a ${purpose} buffer of ${size} bytes is needed, but this device allows ${maxBufferSize}`,
        facts: { bytes: size, limit: maxBufferSize },
      });
    }
    const settled = this.#device.guard('out-of-memory', `${size} bytes of ${purpose}`);
    const gpu = this.#device.gpu.createBuffer({ size, usage });
    this.#count += 1;
    this.#bytes.set(purpose, this.held(purpose) + size);
    this.#nextId += 1;
    const buffer = new DeviceBuffer(this.#nextId, gpu, size, purpose);
    this.#device.await(
      settled().then((error) => {
        if (error === undefined || !this.#device.alive) return;
        buffer.valid = false;
        this.#device.failMemory(error, purpose === 'kv');
      }),
    );
    return buffer;
  }

  /** Precondition: no command that is recorded but not submitted uses the buffer. */
  destroy(buffer: DeviceBuffer): void {
    buffer.gpu.destroy();
    this.#count -= 1;
    this.#bytes.set(buffer.purpose, this.held(buffer.purpose) - buffer.bytes);
  }

  take(bytes: number): DeviceBuffer {
    const size = sizeClass(bytes);
    const free = this.#free.get(size);
    const buffer = free?.shift();
    return buffer ?? this.create(size, 'activations');
  }

  give(buffer: DeviceBuffer): void {
    if (!buffer.valid) {
      this.#invalid.push(buffer);
      return;
    }
    const free = this.#free.get(buffer.bytes);
    if (free === undefined) {
      this.#free.set(buffer.bytes, [buffer]);
      return;
    }
    let at = free.length;
    while (at > 0 && (free[at - 1]?.id ?? 0) > buffer.id) at -= 1;
    free.splice(at, 0, buffer);
  }

  /** Removes all free buffers from the pool and returns them, for the caller to destroy. */
  drain(): DeviceBuffer[] {
    const all = [...this.#free.values(), this.#invalid.splice(0)].flat();
    this.#free.clear();
    return all;
  }
}

/** Rounds up to a power of two or 1.25, 1.5 or 1.75 times one, so that at most a quarter is wasted. */
function sizeClass(bytes: number): number {
  if (bytes <= MINIMUM_BYTES) return MINIMUM_BYTES;
  const quarter = 2 ** Math.floor(Math.log2(bytes)) / 4;
  return Math.ceil(bytes / quarter) * quarter;
}
