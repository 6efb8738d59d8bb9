/**
 * The CPU engine: contract 1 over one WASM instance, with a pool of threads where memory can be shared. Every operation
 * is one call into WASM with an argument record, and is complete when it returns. This file owns the memory; the
 * operations are in wasm/, grouped as the kernels are in assembly/.
 */
import type { Wasm } from '../wasm.ts';
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
  Sampler,
  SampleSpec,
  StateOperations,
  Tensor,
  Weight,
  WeightWriter,
} from './backend.ts';
import * as checks from './checks.ts';
import type { SpawnPoolWorker } from './pool.ts';
import type { WeightSpec } from './weight.ts';
import { Attending } from './wasm/attending.ts';
import { CacheContents } from './wasm/cache-contents.ts';
import { Engine } from './wasm/engine.ts';
import { WasmPool } from './wasm/kv.ts';
import { Products } from './wasm/products.ts';
import type { Profile } from './wasm/profile.ts';
import { tensorOf } from './wasm/residence.ts';
import { Rows } from './wasm/rows.ts';
import { sample, WasmSampler } from './wasm/sampler.ts';
import { Tensors } from './wasm/tensors.ts';
import { Weights } from './wasm/weights.ts';

export interface WasmBackendOptions {
  /** The instance. Only this backend uses it during its lifetime, except for the tokenizer's tables. */
  readonly wasm: Wasm;
  /** The number of threads, including the caller's own; default 1. More than 1 needs a threaded build and `spawn`. */
  readonly threads?: number;
  readonly spawn?: SpawnPoolWorker;
}

/** A backend with the additional members of the CPU engine. */
export interface WasmBackend extends Backend {
  readonly kind: 'wasm';
  readonly threads: number;
  /** Time and calls by operation, once `enabled`. */
  readonly profile: Profile;
}

/**
 * Throws `DeviceError('self-check')` when a relaxed build computes wrong results, `DeviceError('unavailable')` when
 * threads cannot start.
 */
export async function createWasmBackend(options: WasmBackendOptions): Promise<WasmBackend> {
  const { wasm, threads = 1, spawn } = options;
  return new CpuBackend(await Engine.create(wasm, threads, spawn));
}

class CpuBackend implements WasmBackend {
  readonly kind = 'wasm';
  readonly description: string;
  readonly #engine: Engine;
  readonly #tensors: Tensors;
  readonly #weights: Weights;
  readonly #products: Products;
  readonly #rows: Rows;
  readonly #attending: Attending;
  readonly #contents: CacheContents;
  readonly #pools = new Set<WasmPool>();
  readonly #samplers = new Set<WasmSampler>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#tensors = new Tensors(engine);
    this.#weights = new Weights(engine);
    this.#products = new Products(engine, this.#tensors);
    this.#rows = new Rows(engine, this.#tensors);
    this.#attending = new Attending(engine, this.#tensors);
    this.#contents = new CacheContents(engine, this.#tensors);
    engine.relieve = () => this.#tensors.trim();
    const { threads } = engine;
    this.description = `WASM (${engine.wasm.build}), ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  }

  get lost(): Promise<Error> {
    return this.#engine.lost;
  }
  get threads(): number {
    return this.#engine.threads;
  }
  get profile(): Profile {
    return this.#engine.profile;
  }

  // ---- memory

  weight(spec: WeightSpec): WeightWriter {
    this.#engine.alive();
    return this.#weights.writer(spec);
  }

  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor {
    this.#engine.alive();
    checks.upload(data, shape);
    const floats = data instanceof Float32Array;
    const tensor = this.#tensors.make([...shape], floats ? 'f32' : 'i32');
    if (floats) this.#engine.wasm.f32(tensor.pointer, data.length).set(data);
    else this.#engine.wasm.i32(tensor.pointer, data.length).set(data);
    return tensor;
  }

  ids(length: number): Tensor {
    this.#engine.alive();
    const ring = this.#tensors.keep(this.#tensors.make([length], 'i32'));
    this.#engine.wasm.i32(ring.pointer, length).fill(0);
    return ring;
  }

  writeIds(ring: Tensor, offset: number, ids: Int32Array): void {
    this.#engine.alive();
    checks.ids('writeIds', ring, offset, offset + ids.length);
    const { pointer } = tensorOf('writeIds', 'ring', ring);
    this.#engine.wasm.i32(pointer + 4 * offset, ids.length).set(ids);
  }

  async download(tensor: Tensor): Promise<Float32Array> {
    this.#engine.alive();
    const { pointer, length, type } = tensorOf('download', 'tensor', tensor);
    const { wasm } = this.#engine;
    return type === 'f32' ? new Float32Array(wasm.f32(pointer, length)) : Float32Array.from(wasm.i32(pointer, length));
  }

  addressIn(memory: WebAssembly.Memory, tensor: Tensor): number | undefined {
    this.#engine.alive();
    return memory === this.#engine.wasm.memory ? tensorOf('addressIn', 'tensor', tensor).pointer : undefined;
  }

  async readIds(ring: Tensor, start: number, end: number): Promise<Int32Array> {
    this.#engine.alive();
    checks.ids('readIds', ring, start, end);
    const { pointer } = tensorOf('readIds', 'ring', ring);
    return new Int32Array(this.#engine.wasm.i32(pointer + 4 * start, end - start));
  }

  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T {
    return this.#tensors.scope(body);
  }
  keep<T extends Tensor>(tensor: T): T {
    return this.#tensors.keep(tensor);
  }
  free(tensor: Tensor): void {
    this.#tensors.free(tensor);
  }

  kvPool(spec: KvSpec): KvPool {
    this.#engine.alive();
    const pool = new WasmPool(this.#engine, spec, (freed) => this.#pools.delete(freed));
    this.#pools.add(pool);
    return pool;
  }

  sampler(vocabulary: number): Sampler {
    this.#engine.alive();
    const sampler = new WasmSampler(this.#engine, vocabulary, (freed) => this.#samplers.delete(freed));
    this.#samplers.add(sampler);
    return sampler;
  }

  flush(): void {}
  async idle(): Promise<void> {
    this.#engine.alive();
  }

  /** `activations` counts the live tensors; scratch and kept blocks are only in `allocated` of the instance. */
  memory(): MemoryUse {
    let kv = 0;
    let slabs = 0;
    for (const pool of this.#pools) {
      kv += pool.bytes;
      slabs += pool.slabs;
    }
    return {
      weights: this.#weights.bytes,
      kv,
      activations: this.#tensors.bytes,
      allocations: this.#weights.count + slabs + this.#tensors.count + this.#samplers.size,
    };
  }

  destroy(): void {
    this.#tensors.destroy();
    this.#weights.destroy();
    this.#attending.destroy();
    for (const pool of [...this.#pools]) pool.free();
    for (const sampler of [...this.#samplers]) sampler.free();
    this.#engine.destroy();
  }

  // ---- operations

  embed(table: Weight, ring: Tensor, start: number, count: number, scale = 1): Tensor {
    return this.#alive(this.#products).embed(table, ring, start, count, scale);
  }
  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions = {}): Tensor {
    return this.#alive(this.#products).linear(x, weights, options);
  }
  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    return this.#alive(this.#products).gatedMlp(x, gate, up, options);
  }
  norm(x: Tensor, spec: NormSpec, residual?: Tensor, scale = 1): Tensor {
    return this.#alive(this.#products).norm(x, spec, residual, scale);
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    return this.#alive(this.#rows).rows(x, start, count);
  }
  take(x: Tensor, indices: Int32Array): Tensor {
    return this.#alive(this.#rows).take(x, indices);
  }
  stack(xs: readonly Tensor[]): Tensor {
    return this.#alive(this.#rows).stack(xs);
  }
  fold(x: Tensor, count: number): Tensor {
    return this.#alive(this.#rows).fold(x, count);
  }
  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    return this.#alive(this.#rows).add(a, b, activation);
  }
  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    return this.#alive(this.#rows).modulate(x, spec);
  }
  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor {
    return this.#alive(this.#rows).gatedAdd(x, y, modulation, column);
  }

  async pictureOperations(): Promise<PictureOperations> {
    const { Pictures } = await import('./wasm/pictures.ts');
    return new Pictures(this.#engine, this.#tensors, this.#products);
  }
  async stateOperations(): Promise<StateOperations> {
    const { Recurrent } = await import('./wasm/recurrent.ts');
    return new Recurrent(this.#engine, this.#tensors);
  }

  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): Tensor {
    return this.#alive(this.#attending).ropeAppend(qkv, kv, layer, position, options);
  }
  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor {
    return this.#alive(this.#attending).attention(q, kv, layer, position, ranges, spec);
  }
  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    return this.#alive(this.#attending).probe(q, kv, layer, position, ranges, spec);
  }
  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    return this.#alive(this.#contents).cached(kv, layer, part, start, end);
  }
  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    return this.#alive(this.#contents).spanMeans(kv, layer, part, spans);
  }
  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    return this.#alive(this.#contents).rowMeans(x, spans);
  }

  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void {
    sample(this.#alive(this.#engine), logits, sampler, spec, ring, index);
  }

  /** Returns a group of operations after checking that the engine can run them. */
  #alive<Group>(group: Group): Group {
    this.#engine.alive();
    return group;
  }
}
