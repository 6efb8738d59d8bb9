/** Copies from the device to the host through staging buffers, while later submits continue. */
import type { Device } from './device.ts';
import type { Buffers, DeviceBuffer } from './buffers.ts';

/** The number of staging buffers that are kept for reuse. More may be in use at a time. */
const KEPT = 8;
/** Larger buffers are destroyed after use, since large downloads are rare. */
const KEPT_BYTES = 1 << 16;

export class Readback {
  readonly #device: Device;
  readonly #buffers: Buffers;
  readonly #free: DeviceBuffer[] = [];

  constructor(device: Device, buffers: Buffers) {
    this.#device = device;
    this.#buffers = buffers;
  }

  /** Returns a staging buffer of at least `bytes`, for a copy that the caller records and submits. */
  stage(bytes: number): DeviceBuffer {
    const at = this.#free.findIndex((buffer) => buffer.bytes >= bytes);
    const found = at < 0 ? undefined : this.#free.splice(at, 1)[0];
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
    return (
      found ??
      this.#buffers.create(
        bytes > KEPT_BYTES ? bytes : size,
        'runtime',
        GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      )
    );
  }

  /** Resolves with the first `bytes` of a staged copy, once the GPU has made it. */
  async take(staging: DeviceBuffer, bytes: number): Promise<ArrayBuffer> {
    try {
      await staging.gpu.mapAsync(GPUMapMode.READ, 0, bytes);
    } catch (cause) {
      this.#buffers.destroy(staging);
      throw this.#device.explain(cause);
    }
    const copy = staging.gpu.getMappedRange(0, bytes).slice(0);
    staging.gpu.unmap();
    if (staging.bytes > KEPT_BYTES || this.#free.length >= KEPT) this.#buffers.destroy(staging);
    else this.#free.push(staging);
    return copy;
  }

  /** Destroys the staging buffers that are kept. */
  drain(): void {
    for (const buffer of this.#free.splice(0)) this.#buffers.destroy(buffer);
  }
}
