/**
 * Optional timing of kernels by timestamp queries. While it is enabled, each dispatch is a pass of its own, which is
 * slower.
 */
import type { Buffers, DeviceBuffer } from './buffers.ts';
import type { Device } from './device.ts';

/** The most passes that are timed in one submit; further ones run untimed. */
const CAPACITY = 2048;

export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  readonly milliseconds: number;
}

export class Profile {
  readonly #device: Device;
  readonly #buffers: Buffers;
  readonly #times = new Map<string, { calls: number; nanoseconds: number }>();
  readonly #reading = new Set<Promise<void>>();
  #queries: GPUQuerySet | undefined;
  #resolved: DeviceBuffer | undefined;
  #names: string[] = [];
  enabled = false;

  constructor(device: Device, buffers: Buffers) {
    this.#device = device;
    this.#buffers = buffers;
  }

  /** Whether the device has timestamps; `enabled` has no effect if it has not. */
  get available(): boolean {
    return this.#device.gpu.features.has('timestamp-query');
  }

  pass(kernel: string): GPUComputePassDescriptor {
    if (!this.enabled || !this.available || this.#names.length >= CAPACITY) return {};
    this.#queries ??= this.#device.gpu.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY });
    const at = 2 * this.#names.length;
    this.#names.push(kernel);
    return { timestampWrites: { querySet: this.#queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 } };
  }

  /** Records the copy of this submit's timestamps, and reads them once the submit is done. */
  resolve(encoder: GPUCommandEncoder): void {
    const names = this.#names;
    if (this.#queries === undefined || names.length === 0) return;
    this.#names = [];
    const bytes = 16 * names.length;
    this.#resolved ??= this.#buffers.create(
      16 * CAPACITY,
      'runtime',
      GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    );
    const staging = this.#buffers.create(bytes, 'runtime', GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    encoder.resolveQuerySet(this.#queries, 0, 2 * names.length, this.#resolved.gpu, 0);
    encoder.copyBufferToBuffer(this.#resolved.gpu, 0, staging.gpu, 0, bytes);
    // The mapping is requested after the submit, which follows `resolve`.
    const reading = Promise.resolve()
      .then(() => staging.gpu.mapAsync(GPUMapMode.READ))
      .then(() => this.#add(names, new BigUint64Array(staging.gpu.getMappedRange())))
      .catch(() => undefined)
      .finally(() => {
        this.#buffers.destroy(staging);
        this.#reading.delete(reading);
      });
    this.#reading.add(reading);
  }

  /** Returns the times since the last call, the longest first. */
  async take(): Promise<KernelTime[]> {
    await Promise.all(this.#reading);
    const times = [...this.#times].map(([kernel, { calls, nanoseconds }]) => ({
      kernel,
      calls,
      milliseconds: nanoseconds / 1e6,
    }));
    this.#times.clear();
    return times.sort((a, b) => b.milliseconds - a.milliseconds);
  }

  free(): void {
    this.#queries?.destroy();
    if (this.#resolved !== undefined) this.#buffers.destroy(this.#resolved);
    this.#resolved = undefined;
  }

  #add(names: readonly string[], stamps: BigUint64Array): void {
    names.forEach((name, i) => {
      const time = this.#times.get(name) ?? { calls: 0, nanoseconds: 0 };
      time.calls += 1;
      time.nanoseconds += Number((stamps[2 * i + 1] ?? 0n) - (stamps[2 * i] ?? 0n));
      this.#times.set(name, time);
    });
  }
}
