/**
 * Contract 1 on WebGPU: operations become kernels of `gpu/kernels`, recorded by `gpu/runtime` and submitted together.
 * Whatever the host decides per call travels in the parameter arena, so a decode step makes no GPU object.
 *
 * One file, because the contract is one interface; what many operations share lies beside it: `webgpu/products.ts`, `rows.ts`, `pictures.ts`.
 */
import { embed } from '../../gpu/kernels/embed.ts';
import { ropeAppend, ropeAppendRows } from '../../gpu/kernels/rope-append.ts';
import { sampleDraw, sampleParts, samplePrepare } from '../../gpu/kernels/sample.ts';
import { WEIGHT_SLOTS } from '../../gpu/lib/weights.ts';
import type { DeviceBuffer } from '../../gpu/runtime/buffers.ts';
import { openDevice, type DeviceOptions } from '../../gpu/runtime/device.ts';
import type { KernelTime } from '../../gpu/runtime/profile.ts';
import { Runner, type Counters } from '../../gpu/runtime/runner.ts';
import { InputError } from '../errors.ts';
import { uniform } from './random.ts';
import {
  PAGE_TOKENS,
  type Activation,
  type AttentionSpec,
  type Backend,
  type Conv2dOptions,
  type DenoiseSpec,
  type GroupNormSpec,
  type KvPool,
  type KvSpec,
  type KvView,
  type LinearOptions,
  type MemoryUse,
  type ModulateSpec,
  type NormSpec,
  type ProbeSpec,
  type Ranges,
  type RopeSpec,
  type SampleSpec,
  type Sampler,
  type Tensor,
  type Weight,
  type WeightWriter,
} from './backend.ts';
import type { WeightSpec } from './weight.ts';
import { Attending } from './webgpu/attending.ts';
import { Biases } from './webgpu/biases.ts';
import { poolOf, rms } from './webgpu/checks.ts';
import { CacheContents } from './webgpu/cache-contents.ts';
import { Diversity } from './webgpu/diversity.ts';
import { errorOf } from './webgpu/errors.ts';
import { GpuKvPool } from './webgpu/kv-pool.ts';
import { Pictures } from './webgpu/pictures.ts';
import { Products } from './webgpu/products.ts';
import { Rows } from './webgpu/rows.ts';
import { GpuSampler } from './webgpu/sampler.ts';
import { Tensors, matrix, resident, ring as ringOf } from './webgpu/tensors.ts';
import { GpuWeight, GpuWeightWriter, weightOf } from './webgpu/weights.ts';

export { describeAdapter } from '../../gpu/runtime/adapter.ts';
export { selfCheck } from './self-check.ts';

export interface WebGpuOptions extends Omit<DeviceOptions, 'error'> {
  /** Weights above this many bytes are split; by default what a binding of the device holds. For tests of the splitting. */
  readonly largestPart?: number;
}

export async function createWebGpuBackend(options: WebGpuOptions): Promise<WebGpuBackend> {
  return new WebGpuBackend(new Runner(await openDevice({ ...options, error: errorOf })), options.largestPart);
}

export class WebGpuBackend implements Backend {
  readonly kind = 'webgpu';
  readonly description: string;
  readonly lost: Promise<Error>;
  /** A CPU behind WebGPU's interface (SwiftShader, llvmpipe, WARP): right, but slower than WASM. */
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
    this.#contents = new CacheContents(context);
    this.description = adapter.name;
    this.software = adapter.software;
    this.lost = lost;
  }

  /** What was dispatched, submitted, made and waited for since the start. */
  counters(): Counters {
    return this.#runner.counters();
  }

  /** Times kernels while `body` runs; empty where the device has no timestamps. */
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
    const count = shape.reduce((product, n) => product * n, 1);
    if (count !== data.length)
      throw new InputError('argument', `upload: ${data.length} values for shape [${shape.join()}]`);
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
    this.#runner.upload(ringOf('writeIds', ring, offset, offset + ids.length), 4 * offset, ids);
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
    const buffer = ringOf('readIds', ring, start, end);
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
    const [vocabulary = 0, cols = 0] = table.shape;
    const ids = ringOf('embed', ring, start, start + count);
    const { parts } = weightOf('embed', table);
    const out = this.#tensors.make([count, cols]);
    const target = matrix('embed', 'out', out);
    for (let i = 0; i < parts.length; i += WEIGHT_SLOTS) {
      const some = parts.slice(i, i + WEIGHT_SLOTS);
      this.#runner.run(embed, {
        ring: ids,
        start,
        table: some,
        vocabulary,
        clear: i === 0,
        scale,
        out: target,
        none: this.#none,
      });
    }
    return out;
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

  norm(x: Tensor, spec: NormSpec, residual?: Tensor): Tensor {
    return this.#products.norm(x, spec, residual);
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    return this.#rows.rows(x, start, count);
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    return this.#rows.take(x, indices);
  }

  diverse(x: Tensor, rows: Int32Array, k: number, pivot: number): Promise<Int32Array | undefined> {
    return this.#diversity.choose(x, rows, k, pivot);
  }

  stack(xs: readonly Tensor[]): Tensor {
    return this.#rows.stack(xs);
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    return this.#rows.add(a, b, activation);
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    return this.#rows.modulate(x, spec);
  }

  gatedAdd(x: Tensor, y: Tensor, modulation: Tensor, column: number): Tensor {
    return this.#rows.gatedAdd(x, y, modulation, column);
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    return this.#pictures.moments(bands, groups, epsilon);
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    return this.#pictures.groupNorm(x, spec);
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    return this.#pictures.conv2d(x, weight, options);
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    return this.#pictures.denoise(x, predicted, noise, spec);
  }

  ropeAppend(
    qkv: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    options: { readonly heads: number; readonly rope?: RopeSpec; readonly qNorm?: NormSpec; readonly kNorm?: NormSpec },
  ): Tensor {
    const input = matrix('ropeAppend', 'qkv', qkv);
    const pool = poolOf('ropeAppend', kv);
    const { kvHeads, headDim } = pool.spec;
    const { heads, rope } = options;
    if (input.cols !== (heads + 2 * kvHeads) * headDim) {
      throw new InputError(
        'argument',
        `ropeAppend: qkv [${qkv.shape.join()}] should have (${heads} + 2 * ${kvHeads}) * ${headDim} columns`,
      );
    }
    const end = position + input.rows;
    if (!Number.isInteger(position) || position < 0 || end > kv.blocks * PAGE_TOKENS) {
      throw new InputError(
        'argument',
        `ropeAppend: positions ${position} to ${end} exceed the view's ${kv.blocks * PAGE_TOKENS}`,
      );
    }
    const rotary = rope === undefined ? 0 : 2 * rope.inverseFrequency.length;
    if (rope !== undefined && (rotary < 2 || rotary > headDim))
      throw new InputError('argument', `ropeAppend: RoPE over ${rotary} of ${headDim} values of a head`);
    const operand = pool.operand('ropeAppend', kv, layer);
    const open = pool.openMemory('ropeAppend', kv, layer, [
      Math.floor(position / PAGE_TOKENS),
      Math.ceil(end / PAGE_TOKENS),
    ]);
    const positions = kv.positions?.subarray(position, end);
    const first = positions?.[0] ?? position;
    const follow = positions?.every((value, i) => value === first + i) ?? true;
    const out = this.#tensors.make([input.rows, heads * headDim]);
    this.#runner.run(follow ? ropeAppend : ropeAppendRows, {
      qkv: input,
      heads,
      kv: operand,
      open,
      position,
      first,
      positions,
      rotary,
      interleaved: rope?.style === 'interleaved',
      angles:
        rope === undefined
          ? this.#none
          : pool.angles(rope, positions?.reduce((most, value) => Math.max(most, value + 1), 0) ?? end),
      qNorm: rms('ropeAppend', options.qNorm, headDim),
      kNorm: rms('ropeAppend', options.kNorm, headDim),
      q: matrix('ropeAppend', 'out', out),
      none: this.#none,
    });
    return out;
  }

  attention(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: AttentionSpec): Tensor {
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
    if (!(sampler instanceof GpuSampler)) throw new InputError('argument', 'sample: the sampler is of another backend');
    const { vocabulary } = sampler;
    const input = matrix('sample', 'logits', logits);
    if (input.rows !== 1 || input.cols !== vocabulary) {
      throw new InputError('argument', `sample: logits [${logits.shape.join()}] should be [1,${vocabulary}]`);
    }
    const { buffers } = this.#runner;
    const values = buffers.take(4 * vocabulary);
    const parts = buffers.take(16 * sampleParts(vocabulary));
    const inputs = {
      ...sampler.buffers(),
      vocabulary,
      logits: input.buffer,
      spec,
      values,
      parts,
      ring: ringOf('sample', ring, index, index + 1),
      index,
      uniform: uniform(spec.seed, index),
    };
    this.#runner.run(samplePrepare, inputs);
    this.#runner.run(sampleDraw, inputs);
    buffers.give(values);
    buffers.give(parts);
  }

  #freeWeight(weight: GpuWeight): void {
    const buffers = weight.parts.map((part) => part.buffer);
    weight.parts = [];
    this.#weights.delete(weight);
    this.#runner.destroy(...buffers, ...this.#biases.without(weight));
    this.#trim();
  }

  /** When the last model is gone, so is the memory that its activations took. */
  #trim(): void {
    if (this.#weights.size === 0 && this.#pools.size === 0) this.#runner.trim();
  }
}
