/**
 * Records kernels and copies into one command encoder and submits them together. This is the only file that dispatches.
 *
 * Bind groups are cached by pipeline layout and buffers. A decode step uses the same buffers as the step before, so it
 * makes no bind groups. Parameters are kept in the arena, which is written once a submit.
 */
import { ARENA_BYTES, Arena, equalWords, MAXIMUM_DATA_BYTES, WINDOW_BYTES } from './arena.ts';
import { Buffers, type DeviceBuffer, type Purpose } from './buffers.ts';
import type { Device } from './device.ts';
import { Forms, type Form } from './forms.ts';
import { MAXIMUM_GROUPS, type Kernel } from './kernel.ts';
import { Pipelines, type Pipeline } from './pipelines.ts';
import { Profile } from './profile.ts';
import { Readback } from './readback.ts';

/**
 * The runner submits after this many dispatches, so that the GPU starts while the host still records. A decode step has
 * far fewer.
 */
const SUBMIT_AFTER = 1024;

/** Uploads up to this size use the arena, in order with the recorded commands. Larger ones force a submit first. */
const INLINE_UPLOAD = 1 << 16;

/** Totals since the runner was created; tests compare them. */
export interface Counters {
  dispatches: number;
  submits: number;
  bindGroups: number;
  pipelines: number;
  /**
   * How often the host waited for the device (`download`, `idle`, weight back-pressure). Reading ids does not count.
   */
  waits: number;
  /** Bytes of the weights that dispatches were given, each buffer once a dispatch: what a decode step has to read of them. */
  weightBytes: number;
  /** Existing device buffers, and their bytes. */
  buffers: number;
  bytes: number;
}

/** A byte range of a buffer. */
export interface BufferPart {
  readonly buffer: DeviceBuffer;
  readonly offset: number;
  readonly bytes: number;
}

export class Runner {
  readonly device: Device;
  readonly buffers: Buffers;
  readonly profile: Profile;
  /** The forms of kernels in use. */
  readonly forms: Forms;
  readonly #pipelines: Pipelines;
  readonly #readback: Readback;
  readonly #arena = new Arena();
  readonly #arenaBuffer: DeviceBuffer;
  readonly #groups = new Map<string, GPUBindGroup>();
  /** The last host data that exceeded an arena window, kept for dispatches that read the same data. */
  #large: { readonly words: Uint32Array; readonly buffer: DeviceBuffer } | undefined;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #current: Pipeline | undefined;
  #recorded = 0;
  #dispatches = 0;
  #submits = 0;
  #made = 0;
  #waits = 0;
  #weightBytes = 0;

  constructor(device: Device) {
    this.device = device;
    this.buffers = new Buffers(device);
    this.profile = new Profile(device, this.buffers);
    this.forms = new Forms(device.gpu.features, device.adapter.subgroup);
    this.#pipelines = new Pipelines(device);
    this.#readback = new Readback(device, this.buffers);
    device.exhausted = () => this.trim();
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = GPUBufferUsage;
    this.#arenaBuffer = this.buffers.create(ARENA_BYTES, 'runtime', STORAGE | UNIFORM | COPY_DST | COPY_SRC);
  }

  counters(): Counters {
    const bytes = (['weights', 'kv', 'activations', 'runtime'] satisfies Purpose[]).reduce(
      (sum, purpose) => sum + this.buffers.held(purpose),
      0,
    );
    return {
      dispatches: this.#dispatches,
      submits: this.#submits,
      bindGroups: this.#made,
      pipelines: this.#pipelines.made,
      waits: this.#waits,
      weightBytes: this.#weightBytes,
      buffers: this.buffers.count,
      bytes,
    };
  }

  /**
   * Records one dispatch. Throws `unsupported` for inputs that the kernel cannot compute, and the error of a failed
   * device.
   */
  run<Inputs>(kernel: Kernel<Inputs>, inputs: Inputs): void {
    this.device.check();
    const form = this.forms.of(kernel.family);
    const grid = this.#grid(kernel, inputs, form);
    const pipeline = this.#pipelines.get(kernel, inputs, form);
    const words = kernel.hostData?.(inputs).words;
    const large = words === undefined || words.byteLength <= MAXIMUM_DATA_BYTES ? undefined : this.#uploaded(words);
    const window = words === undefined || large !== undefined ? 0 : dataWindow(words.byteLength);
    if (this.#recorded >= SUBMIT_AFTER || !this.#arena.fits(WINDOW_BYTES + window)) this.submit();

    const offset = this.#arena.take(WINDOW_BYTES);
    const values = kernel.values(inputs, form);
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i] ?? 0;
      if (kernel.params[i] === 'f32') this.#arena.f32[offset / 4 + i] = value;
      else this.#arena.u32[offset / 4 + i] = value;
    }
    const offsets =
      words === undefined ? [offset] : [offset, large === undefined ? this.#arena.place(words, window) : 0];

    const buffers = kernel.buffers(inputs);
    const group = this.#group(pipeline, buffers);
    for (const buffer of new Set(buffers)) if (buffer.purpose === 'weights') this.#weightBytes += buffer.bytes;
    const parameters = this.#parameters(pipeline, window, large);
    const pass = this.#compute(pipeline);
    if (this.#current !== pipeline) {
      pass.setPipeline(pipeline.gpu);
      this.#current = pipeline;
    }
    pass.setBindGroup(0, group);
    pass.setBindGroup(1, parameters, offsets);
    pass.dispatchWorkgroups(...grid);
    this.#dispatches += 1;
    this.#recorded += 1;
    if (this.profile.enabled) this.#endPass();
  }

  copy(from: DeviceBuffer, fromOffset: number, to: DeviceBuffer, toOffset: number, bytes: number): void {
    this.device.check();
    if (bytes > 0) this.#commands().copyBufferToBuffer(from.gpu, fromOffset, to.gpu, toOffset, bytes);
  }

  /** Writes host bytes (a multiple of 4), in order with the recorded commands. */
  upload(buffer: DeviceBuffer, offset: number, data: Uint8Array | Uint32Array | Int32Array | Float32Array): void {
    this.device.check();
    if (data.byteLength === 0) return;
    if (this.#encoder !== undefined && data.byteLength <= INLINE_UPLOAD) {
      if (!this.#arena.fits(data.byteLength)) this.submit();
      const at = this.#arena.take(data.byteLength);
      new Uint8Array(this.#arena.mirror, at, data.byteLength).set(
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
      this.#commands().copyBufferToBuffer(this.#arenaBuffer.gpu, at, buffer.gpu, offset, data.byteLength);
      return;
    }
    this.submit();
    this.device.gpu.queue.writeBuffer(buffer.gpu, offset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Submits the recorded commands and returns at once. */
  submit(): void {
    const encoder = this.#encoder;
    if (encoder === undefined) return;
    this.#endPass();
    this.profile.resolve(encoder);
    this.#encoder = undefined;
    const { queue } = this.device.gpu;
    if (this.#arena.used > 0) queue.writeBuffer(this.#arenaBuffer.gpu, 0, this.#arena.mirror, 0, this.#arena.used);
    queue.submit([encoder.finish()]);
    this.#arena.reset();
    this.#recorded = 0;
    this.#submits += 1;
  }

  /**
   * Reads bytes of a buffer as they are after everything recorded so far. Later commands may be submitted meanwhile.
   */
  async read(buffer: DeviceBuffer, offset: number, bytes: number, wait: boolean): Promise<ArrayBuffer> {
    if (wait && bytes > 0) this.#waits += 1;
    return this.gather([{ buffer, offset, bytes }]);
  }

  /**
   * Reads the bytes of several parts, one after the other, as they are after everything recorded so far. It does not
   * wait; later commands may be submitted meanwhile.
   */
  async gather(parts: readonly BufferPart[]): Promise<ArrayBuffer> {
    this.device.check();
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes === 0) return new ArrayBuffer(0);
    const staging = this.#readback.stage(bytes);
    const commands = this.#commands();
    let at = 0;
    for (const part of parts) {
      commands.copyBufferToBuffer(part.buffer.gpu, part.offset, staging.gpu, at, part.bytes);
      at += part.bytes;
    }
    this.submit();
    const copy = await this.#readback.take(staging, bytes);
    await this.#settled();
    return copy;
  }

  /** Resolves when the device has completed everything recorded so far; rejects with the error if it failed. */
  async idle(): Promise<void> {
    this.device.check();
    this.submit();
    this.#waits += 1;
    try {
      await this.device.gpu.queue.onSubmittedWorkDone();
    } catch (cause) {
      throw this.device.explain(cause);
    }
    await this.#settled();
  }

  /**
   * Destroys buffers that recorded commands may still use, after submitting those commands. On a dead device it only
   * updates the totals.
   */
  destroy(...buffers: readonly DeviceBuffer[]): void {
    if (buffers.length === 0) return;
    if (this.device.alive) this.submit();
    for (const buffer of buffers) {
      for (const key of buffer.groups) this.#groups.delete(key);
      buffer.groups.clear();
      this.buffers.destroy(buffer);
    }
  }

  /** Destroys all free buffers of the pool and the staging buffers. */
  trim(): void {
    if (this.#large !== undefined) this.buffers.give(this.#large.buffer);
    this.#large = undefined;
    this.destroy(...this.buffers.drain());
    this.#readback.drain();
  }

  /** Ends the device; every later call throws. */
  end(): void {
    this.trim();
    this.destroy(this.#arenaBuffer);
    this.profile.free();
    this.#groups.clear();
    this.device.destroy();
  }

  async #settled(): Promise<void> {
    await this.device.settled();
    this.device.check();
  }

  #commands(): GPUCommandEncoder {
    this.#endPass();
    this.#encoder ??= this.device.gpu.createCommandEncoder();
    return this.#encoder;
  }

  #compute(pipeline: Pipeline): GPUComputePassEncoder {
    this.#encoder ??= this.device.gpu.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass(this.profile.pass(pipeline.name));
    return this.#pass;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#current = undefined;
  }

  #grid<Inputs>(kernel: Kernel<Inputs>, inputs: Inputs, form: Form): readonly [x: number, y: number, z: number] {
    const grid = kernel.grid(inputs, form);
    const problem =
      kernel.problem?.(inputs) ??
      (grid.every((n) => n <= MAXIMUM_GROUPS)
        ? undefined
        : `a grid of ${grid.join(' x ')} workgroups, at most ${MAXIMUM_GROUPS} in a dimension`);
    if (problem === undefined) return grid;
    const { name } = kernel;
    throw this.device.error({ code: 'unsupported', problem: `${name}: ${problem}`, facts: { kernel: name } });
  }

  #group(pipeline: Pipeline, buffers: readonly DeviceBuffer[]): GPUBindGroup {
    let key = pipeline.layout.label;
    for (const buffer of buffers) key += ` ${buffer.id}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer: buffer.gpu } }));
    return this.#keep(key, this.device.gpu.createBindGroup({ layout: pipeline.layout, entries }), buffers);
  }

  /** Makes a buffer for host data that is too large for the arena. */
  #uploaded(words: Uint32Array): DeviceBuffer {
    const last = this.#large;
    if (last !== undefined && equalWords(last.words, words)) return last.buffer;
    if (last !== undefined) this.buffers.give(last.buffer);
    const buffer = this.buffers.take(words.byteLength);
    this.upload(buffer, 0, words);
    this.#large = { words: words.slice(), buffer };
    return buffer;
  }

  #parameters(pipeline: Pipeline, window: number, large: DeviceBuffer | undefined): GPUBindGroup {
    const key = large === undefined ? `params ${window}` : `params in ${large.id}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const buffer = this.#arenaBuffer.gpu;
    const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: { buffer, size: WINDOW_BYTES } }];
    if (window > 0) entries.push({ binding: 1, resource: { buffer, size: window } });
    if (large !== undefined) entries.push({ binding: 1, resource: { buffer: large.gpu } });
    const layout = this.#pipelines.paramLayout(pipeline.data);
    return this.#keep(
      key,
      this.device.gpu.createBindGroup({ layout, entries }),
      large === undefined ? [this.#arenaBuffer] : [this.#arenaBuffer, large],
    );
  }

  #keep(key: string, group: GPUBindGroup, buffers: readonly DeviceBuffer[]): GPUBindGroup {
    this.#groups.set(key, group);
    for (const buffer of buffers) buffer.groups.add(key);
    this.#made += 1;
    return group;
  }
}

/** Window sizes are powers of two, so that few bind groups are needed. */
function dataWindow(bytes: number): number {
  return Math.min(MAXIMUM_DATA_BYTES, Math.max(1024, 2 ** Math.ceil(Math.log2(bytes))));
}
