/**
 * Contract 1 on WebGPU: operations become kernels of `gpu/kernels`, which `gpu/runtime` records and submits together.
 * Values that the host computes for each call are passed in the parameter arena, so a decode step creates no GPU
 * object. This file owns the memory; the operations are in webgpu/, grouped as in wasm/.
 */
import type { DeviceBuffer } from '../../gpu/runtime/buffers.ts';
import { openDevice, type DeviceOptions } from '../../gpu/runtime/device.ts';
import type { Forms } from '../../gpu/runtime/forms.ts';
import type { KernelTime } from '../../gpu/runtime/profile.ts';
import { Runner, type Counters } from '../../gpu/runtime/runner.ts';
import type {
  Activation,
  AppendSpec,
  AttentionSpec,
  Backend,
  KvPool,
  KvSpec,
  KvView,
  LinearOptions,
  MemoryUse,
  ModulateSpec,
  NormSpec,
  PictureOperations,
  ProbeSpec,
  Ranges,
  SampleSpec,
  Sampler,
  StateOperations,
  Tensor,
  Weight,
  WeightWriter,
} from './backend.ts';
import * as checks from './checks.ts';
import type { WeightSpec } from './weight.ts';
import { Attending } from './webgpu/attending.ts';
import { Biases } from './webgpu/biases.ts';
import { CacheContents } from './webgpu/cache-contents.ts';
import { Diversity } from './webgpu/diversity.ts';
import { errorOf } from './webgpu/errors.ts';
import { GpuKvPool } from './webgpu/kv-pool.ts';
import { Pictures } from './webgpu/pictures.ts';
import { Products } from './webgpu/products.ts';
import { Recurrent } from './webgpu/recurrent.ts';
import { Rows } from './webgpu/rows.ts';
import { GpuSampler, sample } from './webgpu/sampler.ts';
import { Tensors, resident, ring as ringOf } from './webgpu/tensors.ts';
import { GpuWeight, GpuWeightWriter } from './webgpu/weights.ts';

export { describeAdapter } from '../../gpu/runtime/adapter.ts';
export { selfCheck } from './self-check.ts';
export { SMALL_SIZES, tuneForms, type FormReport, type TuningSizes } from './webgpu/tuning.ts';

export interface WebGpuOptions extends Omit<DeviceOptions, 'error'> {
  /**
   * Weights above this many bytes are split; by default what a binding of the device holds. Used by tests of the
   * splitting.
   */
  readonly largestPart?: number;
}

export async function createWebGpuBackend(options: WebGpuOptions): Promise<WebGpuBackend> {
  return new WebGpuBackend(new Runner(await openDevice({ ...options, error: errorOf })), options.largestPart);
}

export class WebGpuBackend implements Backend {
  readonly kind = 'webgpu';
  readonly description: string;
  readonly lost: Promise<Error>;
  /** A CPU behind WebGPU's interface (SwiftShader, llvmpipe, WARP): correct, but slower than WASM. */
  readonly software: boolean;
  readonly #runner: Runner;
  readonly #tensors: Tensors;
  readonly #largestPart: number;
  /** Bound where a kernel's operand is absent. */
  readonly #none: DeviceBuffer;
  readonly #weights = new Set<GpuWeight>();
  readonly #pools = new Set<GpuKvPool>();
  readonly #biases: Biases;
  readonly #products: Products;
  readonly #rows: Rows;
  readonly #diversity: Diversity;
  readonly #pictures: Pictures;
  readonly #attending: Attending;
  readonly #recurrent: Recurrent;
  readonly #contents: CacheContents;
  #samplers = 0;
  #ended = false;

  constructor(runner: Runner, largestPart?: number) {
    const { adapter, gpu, lost } = runner.device;
    this.#runner = runner;
    this.#tensors = new Tensors(runner);
    this.#biases = new Biases(runner);
    this.#largestPart = Math.min(
      largestPart ?? Infinity,
      gpu.limits.maxStorageBufferBindingSize,
      gpu.limits.maxBufferSize,
    );
    this.#none = runner.buffers.create(256, 'runtime');
    const context = { runner, tensors: this.#tensors, none: this.#none };
    this.#products = new Products(context, this.#biases);
    this.#rows = new Rows(context);
    this.#diversity = new Diversity(context, async (x, rows) => {
      const taken = this.keep(this.scope(() => this.take(x, rows)));
      try {
        return await this.download(taken);
      } finally {
        this.free(taken);
      }
    });
    this.#pictures = new Pictures(context, this.#products);
    this.#attending = new Attending(context);
    this.#recurrent = new Recurrent(context);
    this.#contents = new CacheContents(context);
    this.description = adapter.name;
    this.software = adapter.software;
    this.lost = lost;
  }

  /** The forms of kernels in use (webgpu/tuning.ts chooses them). */
  get forms(): Forms {
    return this.#runner.forms;
  }

  /** How often the device was used since the start, and what it holds. */
  counters(): Counters {
    return this.#runner.counters();
  }

  /** Times kernels while `body` runs; empty when the device has no timestamps. */
  async profile(body: () => Promise<void>): Promise<KernelTime[]> {
    const { profile } = this.#runner;
    await this.#runner.idle();
    profile.enabled = true;
    try {
      await body();
      await this.#runner.idle();
    } finally {
      profile.enabled = false;
    }
    return profile.take();
  }

  // ---- memory

  weight(spec: WeightSpec): WeightWriter {
    this.#runner.device.check();
    return new GpuWeightWriter(this.#runner, spec, this.#largestPart, (parts) => {
      const weight = new GpuWeight(spec, parts, (freed) => this.#freeWeight(freed));
      this.#weights.add(weight);
      return weight;
    });
  }

  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor {
    this.#runner.device.check();
    checks.upload(data, shape);
    const tensor = this.#tensors.make(shape, data instanceof Int32Array ? 'i32' : 'f32');
    const { buffer, rows, cols, stride } = resident('upload', 'tensor', tensor);
    if (stride === cols) this.#runner.upload(buffer, 0, data);
    else {
      const padded = new Float32Array(rows * stride);
      for (let row = 0; row < rows; row += 1) padded.set(data.subarray(row * cols, (row + 1) * cols), row * stride);
      this.#runner.upload(buffer, 0, padded);
    }
    return tensor;
  }

  ids(length: number): Tensor {
    this.#runner.device.check();
    return this.keep(this.#tensors.make([length], 'i32'));
  }

  writeIds(ring: Tensor, offset: number, ids: Int32Array): void {
    this.#runner.device.check();
    checks.ids('writeIds', ring, offset, offset + ids.length);
    this.#runner.upload(ringOf('writeIds', ring), 4 * offset, ids);
  }

  async download(tensor: Tensor): Promise<Float32Array> {
    const { buffer, rows, cols, stride, type, bytes } = resident('download', 'tensor', tensor);
    const copy = await this.#runner.read(buffer, 0, bytes, true);
    if (type === 'i32') return Float32Array.from(new Int32Array(copy));
    const padded = new Float32Array(copy);
    if (stride === cols) return padded;
    const out = new Float32Array(rows * cols);
    for (let row = 0; row < rows; row += 1) out.set(padded.subarray(row * stride, row * stride + cols), row * cols);
    return out;
  }

  async readIds(ring: Tensor, start: number, end: number): Promise<Int32Array> {
    checks.ids('readIds', ring, start, end);
    const buffer = ringOf('readIds', ring);
    return new Int32Array(await this.#runner.read(buffer, 4 * start, 4 * (end - start), false));
  }

  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T {
    return this.#tensors.scope(body);
  }

  keep<T extends Tensor>(tensor: T): T {
    this.#tensors.keep(tensor);
    return tensor;
  }

  free(tensor: Tensor): void {
    this.#tensors.free(tensor);
  }

  kvPool(spec: KvSpec): KvPool {
    this.#runner.device.check();
    const pool = new GpuKvPool(this.#runner, spec, (freed) => {
      this.#pools.delete(freed);
      this.#trim();
    });
    this.#pools.add(pool);
    return pool;
  }

  sampler(vocabulary: number): Sampler {
    this.#runner.device.check();
    this.#samplers += 1;
    return new GpuSampler(this.#runner, vocabulary, () => {
      this.#samplers -= 1;
    });
  }

  flush(): void {
    this.#runner.device.check();
    this.#runner.submit();
  }

  async idle(): Promise<void> {
    await this.#runner.idle();
  }

  memory(): MemoryUse {
    const weights = [...this.#weights].reduce((sum, weight) => sum + weight.bytes, 0);
    const kv = [...this.#pools].reduce((sum, pool) => sum + pool.bytes, 0);
    return {
      weights,
      kv,
      activations: this.#tensors.bytes,
      allocations: this.#weights.size + this.#pools.size + this.#tensors.count + this.#samplers,
    };
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const weight of [...this.#weights]) weight.free();
    for (const pool of [...this.#pools]) pool.free();
    this.#runner.destroy(this.#none);
    this.#runner.end();
  }

  // ---- operations

  embed(table: Weight, ring: Tensor, start: number, count: number, scale = 1): Tensor {
    return this.#products.embed(table, ring, start, count, scale);
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions = {}): Tensor {
    return this.#products.linear(x, weights, options);
  }

  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    return this.#products.gatedMlp(x, gate, up, options);
  }

  norm(x: Tensor, spec: NormSpec, residual?: Tensor, scale = 1): Tensor {
    return this.#products.norm(x, spec, residual, scale);
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    return this.#rows.rows(x, start, count);
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    return this.#rows.take(x, indices);
  }

  diverse(
    x: Tensor,
    rows: Int32Array,
    k: number,
    pivot: number,
    spread: 'sum' | 'center',
  ): Promise<Int32Array | undefined> {
    return this.#diversity.choose(x, rows, k, pivot, spread);
  }

  stack(xs: readonly Tensor[]): Tensor {
    return this.#rows.stack(xs);
  }

  fold(x: Tensor, count: number): Tensor {
    return this.#rows.fold(x, count);
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    return this.#rows.add(a, b, activation);
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    return this.#rows.modulate(x, spec);
  }

  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor {
    return this.#rows.gatedAdd(x, y, modulation, column);
  }

  async pictureOperations(): Promise<PictureOperations> {
    return this.#pictures;
  }

  async stateOperations(): Promise<StateOperations> {
    return this.#recurrent;
  }

  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): Tensor {
    return this.#attending.ropeAppend(qkv, kv, layer, position, options);
  }

  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor {
    return this.#attending.attention(q, kv, layer, position, ranges, spec);
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    return this.#attending.probe(q, kv, layer, position, ranges, spec);
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    return this.#contents.cached(kv, layer, part, start, end);
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    return this.#contents.spanMeans(kv, layer, part, spans);
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    return this.#contents.rowMeans(x, spans);
  }

  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void {
    sample(this.#runner, logits, sampler, spec, ring, index);
  }

  #freeWeight(weight: GpuWeight): void {
    const buffers = weight.parts.map((part) => part.buffer);
    weight.parts = [];
    this.#weights.delete(weight);
    this.#runner.destroy(...buffers, ...this.#biases.without(weight));
    this.#trim();
  }

  /** Frees the memory of activations when the last model is freed. */
  #trim(): void {
    if (this.#weights.size === 0 && this.#pools.size === 0) this.#runner.trim();
  }
}
