/**
 * The CPU engine: contract 1 over one WASM instance, with a pool of threads where memory can be shared.
 * Every operation is one call into WASM on an argument block, and is done when it returns.
 * Longer than most files, since the thirty methods of one contract are best read together; what they use lies in wasm/.
 */
import { InputError } from '../errors.ts';
import type { Wasm } from '../wasm.ts';
import type {
  Activation,
  AttentionSpec,
  Backend,
  Conv2dOptions,
  DenoiseSpec,
  GroupNormSpec,
  KvPool,
  KvSpec,
  KvView,
  LinearOptions,
  MemoryUse,
  ModulateSpec,
  NormSpec,
  ProbeSpec,
  Ranges,
  RopeSpec,
  Sampler,
  SampleSpec,
  Tensor,
  Weight,
  WeightWriter,
} from './backend.ts';
import { KV_FORMATS, PAGE_TOKENS } from './backend.ts';
import type { SpawnPoolWorker } from './pool.ts';
import type { WeightSpec } from './weight.ts';
import { Attending } from './wasm/attending.ts';
import {
  ACTIVATIONS,
  matrixOf,
  NO_NORM,
  normOf,
  productWeight,
  ringOf,
  tensorOf,
  vectorOf,
  type NormWords,
} from './wasm/checks.ts';
import { Engine, MAX_PARTS } from './wasm/engine.ts';
import { notOpen, poolOf, WasmPool, writePages } from './wasm/kv.ts';
import { Pictures } from './wasm/pictures.ts';
import type { Profile } from './wasm/profile.ts';
import { RopeTables } from './wasm/rope.ts';
import { WasmSampler } from './wasm/sampler.ts';
import { Tensors, type WasmTensor } from './wasm/tensors.ts';
import { Weights, type WasmWeight } from './wasm/weights.ts';

export interface WasmBackendOptions {
  /** Instantiated; used by this backend alone for as long as that lives, but for the tokenizer's tables. */
  readonly wasm: Wasm;
  /** With the caller's own; default 1. More than 1 needs a threaded build and `spawn`. */
  readonly threads?: number;
  readonly spawn?: SpawnPoolWorker;
}

/** A backend with what only the CPU engine has. */
export interface WasmBackend extends Backend {
  readonly kind: 'wasm';
  readonly threads: number;
  /** Time and calls by operation, once `enabled`. */
  readonly profile: Profile;
}

/** Throws `DeviceError('self-check')` where a relaxed build computes wrongly, `DeviceError('unavailable')` where threads cannot start. */
export async function createWasmBackend(options: WasmBackendOptions): Promise<WasmBackend> {
  const { wasm, threads = 1, spawn } = options;
  return new CpuBackend(await Engine.create(wasm, threads, spawn));
}

/** Words of the fixed part of assembly/kernels/linear.ts's block, and of one of its parts. */
const LINEAR_WORDS = 17;
const PART_WORDS = 5;
/** Weight bytes of one tile: fits a second-level cache beside the activations. */
const TILE_BYTES = 64 << 10;
/** Tiles a thread should get of a product, so that uneven threads end together. */
const TILES_PER_THREAD = 4;
/** Tokens of one product call (BLOCK in assembly/kernels/linear.ts). */
const BLOCK = 256;

class CpuBackend implements WasmBackend {
  readonly kind = 'wasm';
  readonly description: string;
  readonly #engine: Engine;
  readonly #tensors: Tensors;
  readonly #weights: Weights;
  readonly #ropes: RopeTables;
  readonly #pictures: Pictures;
  readonly #attending: Attending;
  readonly #pools = new Set<WasmPool>();
  readonly #samplers = new Set<WasmSampler>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#tensors = new Tensors(engine);
    this.#weights = new Weights(engine);
    this.#ropes = new RopeTables(engine);
    this.#pictures = new Pictures(engine, this.#tensors);
    this.#attending = new Attending(engine, this.#tensors);
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
    if (data.length !== shape.reduce((a, b) => a * b, 1))
      throw new InputError('argument', `upload: ${data.length} values for shape [${shape.join(', ')}]`);
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
    const { pointer } = ringOf('writeIds', ring, offset, offset + ids.length);
    this.#engine.wasm.i32(pointer + 4 * offset, ids.length).set(ids);
  }

  async download(tensor: Tensor): Promise<Float32Array> {
    this.#engine.alive();
    const { pointer, length, type } = tensorOf('download', 'tensor', tensor);
    const { wasm } = this.#engine;
    return type === 'f32' ? new Float32Array(wasm.f32(pointer, length)) : Float32Array.from(wasm.i32(pointer, length));
  }

  async readIds(ring: Tensor, start: number, end: number): Promise<Int32Array> {
    this.#engine.alive();
    const { pointer } = ringOf('readIds', ring, start, end);
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

  /** `activations` are the live tensors; scratch and kept blocks are in `allocated` of the instance only. */
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
    this.#ropes.destroy();
    for (const pool of [...this.#pools]) pool.free();
    for (const sampler of [...this.#samplers]) sampler.free();
    this.#engine.destroy();
  }

  // ---- operations

  embed(table: Weight, ring: Tensor, start: number, count: number, scale = 1): Tensor {
    this.#engine.alive();
    const cols = table.shape[1] ?? 0;
    const weight = productWeight('embed', table, cols);
    const ids = ringOf('embed', ring, start, start + count);
    if (!(Number.isInteger(count) && count > 0))
      throw new InputError('argument', `embed: ${count} ids; at least 1 is needed`);
    const out = this.#tensors.make([count, cols]);
    const words = this.#rowwise(out, ids.pointer + 4 * start, cols, count, NO_NORM);
    this.#engine.floats()[16] = scale;
    writePart(words, 0, weight, 0, 0);
    this.#engine.run('embed', this.#engine.wasm.exports.embed);
    return out;
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions = {}): Tensor {
    this.#engine.alive();
    return this.#linear('linear', x, weights, options);
  }

  #linear(operation: string, x: Tensor, weights: readonly Weight[], options: LinearOptions): Tensor {
    const input = matrixOf(operation, 'x', x);
    const [count = 0, cols = 0] = input.shape;
    if (weights.length === 0 || weights.length > MAX_PARTS)
      throw new InputError('argument', `${operation}: ${weights.length} weights; 1 to ${MAX_PARTS} are possible`);
    let rows = 0;
    const parts = weights.map((weight) => {
      const part = productWeight(operation, weight, cols);
      rows += part.rows;
      return part;
    });
    const norm = normOf(operation, options.norm, cols);
    const biases = parts.map((part, i) => {
      const bias = options.bias?.[i];
      return bias === undefined ? 0 : vectorOf(operation, 'bias', bias, part.rows);
    });
    const residual = options.residual === undefined ? 0 : residualOf(operation, options.residual, count, rows);
    this.#prepare(parts, count, cols, norm, rows);
    const out = this.#tensors.make([count, rows]);
    const words = this.#product(out, input, parts, norm, rows);
    words[12] = options.activation === undefined ? 0 : ACTIVATIONS[options.activation];
    this.#engine.floats()[16] = options.scale ?? 1;
    words[13] = residual;
    let first = 0;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      if (part === undefined) break;
      writePart(words, i, part, first, biases[i] ?? 0);
      first += part.rows;
    }
    this.#engine.run(operation, this.#engine.wasm.exports.linear);
    return out;
  }

  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    this.#engine.alive();
    const input = matrixOf('gatedMlp', 'x', x);
    const [count = 0, cols = 0] = input.shape;
    const parts = [productWeight('gatedMlp', gate, cols), productWeight('gatedMlp', up, cols)] as const;
    const { rows } = parts[0];
    if (parts[1].rows !== rows) {
      throw new InputError(
        'argument',
        `gatedMlp: ${gate.name} [${gate.shape.join(', ')}] and ${up.name} [${up.shape.join(', ')}] differ`,
      );
    }
    const norm = normOf('gatedMlp', options.norm, cols);
    this.#prepare(parts, count, cols, norm, rows);
    const out = this.#tensors.make([count, rows]);
    const words = this.#product(out, input, parts, norm, rows);
    words[12] = ACTIVATIONS[options.activation];
    words[13] = 0;
    writePart(words, 0, parts[0], 0, 0);
    writePart(words, 1, parts[1], 0, 0);
    this.#engine.run('gatedMlp', this.#engine.wasm.exports.gatedMlp);
    return out;
  }

  norm(x: Tensor, spec: NormSpec, residual?: Tensor): Tensor {
    this.#engine.alive();
    const input = matrixOf('norm', 'x', x);
    const [count = 0, cols = 0] = input.shape;
    const norm = normOf('norm', spec, cols);
    const added = residual === undefined ? 0 : residualOf('norm', residual, count, cols);
    const out = this.#tensors.make([count, cols]);
    const words = this.#rowwise(out, input.pointer, cols, count, norm);
    words[13] = added;
    this.#engine.run('norm', this.#engine.wasm.exports.norm);
    return out;
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    this.#engine.alive();
    const input = matrixOf('rows', 'x', x);
    const [total = 0, cols = 0] = input.shape;
    if (!(Number.isInteger(start) && start >= 0 && count >= 1 && start + count <= total)) {
      throw new InputError('argument', `rows: [${start}, ${start + count}) of x with ${total} rows`);
    }
    const out = this.#tensors.make([count, cols]);
    const { wasm } = this.#engine;
    wasm.f32(out.pointer, out.length).set(wasm.f32(input.pointer + start * cols * 4, out.length));
    return out;
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    this.#engine.alive();
    return this.#pictures.take(x, indices);
  }

  stack(xs: readonly Tensor[]): Tensor {
    this.#engine.alive();
    return this.#pictures.stack(xs);
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    this.#engine.alive();
    return this.#pictures.add(a, b, activation);
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    this.#engine.alive();
    return this.#pictures.modulate(x, spec);
  }

  gatedAdd(x: Tensor, y: Tensor, modulation: Tensor, column: number): Tensor {
    this.#engine.alive();
    return this.#pictures.gatedAdd(x, y, modulation, column);
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    this.#engine.alive();
    return this.#pictures.moments(bands, groups, epsilon);
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    this.#engine.alive();
    return this.#pictures.groupNorm(x, spec);
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    this.#engine.alive();
    const plan = this.#pictures.plan(x, weight, options);
    if (!plan.pointwise) return this.#pictures.conv2d(plan, options);
    const { bias, activation, residual } = options;
    return this.#linear('conv2d', x, [weight], {
      bias: [bias],
      ...(activation && { activation }),
      ...(residual && { residual }),
    });
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    this.#engine.alive();
    return this.#pictures.denoise(x, predicted, noise, spec);
  }

  ropeAppend(
    qkv: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    options: { readonly heads: number; readonly rope?: RopeSpec; readonly qNorm?: NormSpec; readonly kNorm?: NormSpec },
  ): Tensor {
    this.#engine.alive();
    const engine = this.#engine;
    const pool = poolOf('ropeAppend', kv, layer);
    const { kvHeads, headDim, format } = pool.spec;
    const input = matrixOf('ropeAppend', 'qkv', qkv);
    const [count = 0, cols = 0] = input.shape;
    const { heads, rope } = options;
    if (cols !== (heads + 2 * kvHeads) * headDim) {
      throw new InputError(
        'argument',
        `ropeAppend: qkv [${input.shape.join(', ')}] should have (${heads} + 2 * ${kvHeads}) * ${headDim} columns`,
      );
    }
    const pairs = rope?.inverseFrequency.length ?? 0;
    if (2 * pairs > headDim)
      throw new InputError('argument', `ropeAppend: ${pairs} rotary pairs for heads of ${headDim} values`);
    if (!(Number.isInteger(position) && position >= 0 && position + count <= kv.blocks * PAGE_TOKENS)) {
      throw new InputError(
        'argument',
        `ropeAppend: positions ${position} to ${position + count} exceed the view's ${kv.blocks * PAGE_TOKENS}`,
      );
    }
    const qNorm = normOf('ropeAppend', options.qNorm, headDim);
    const kNorm = normOf('ropeAppend', options.kNorm, headDim);
    const from = Math.floor(position / PAGE_TOKENS);
    const to = Math.floor((position + count - 1) / PAGE_TOKENS) + 1;
    const pages = engine.room('pages', kvHeads * (to - from) * 4);
    if (!writePages(engine.wasm.words(), pages >>> 2, pool, kv, layer, from, to, true))
      throw notOpen('ropeAppend', pool, kv, layer, from, to);
    const table = rope === undefined ? 0 : this.#ropes.pointer(rope, position, count, kv.positions);
    engine.scratch(engine.wasm.exports.ropeScratchBytes(headDim));
    const out = this.#tensors.make([count, heads * headDim]);
    const words = engine.words();
    const floats = engine.floats();
    words[1] = out.pointer;
    words[2] = input.pointer;
    words[3] = pages;
    words[4] = from;
    words[5] = to - from;
    words[6] = table;
    words[7] = count;
    words[8] = position;
    words[9] = heads;
    words[10] = kvHeads;
    words[11] = headDim;
    words[12] = pairs;
    words[13] = rope?.style === 'interleaved' ? 1 : 0;
    words[14] = qNorm.weight;
    words[15] = qNorm.bias;
    floats[16] = qNorm.epsilon;
    words[17] = qNorm.kind;
    words[18] = kNorm.weight;
    words[19] = kNorm.bias;
    floats[20] = kNorm.epsilon;
    words[21] = kNorm.kind;
    words[22] = KV_FORMATS.indexOf(format);
    engine.run('ropeAppend', engine.wasm.exports.ropeAppend);
    return out;
  }

  attention(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: AttentionSpec): Tensor {
    this.#engine.alive();
    return this.#attending.attention(q, kv, layer, position, ranges, spec);
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    this.#engine.alive();
    return this.#attending.probe(q, kv, layer, position, ranges, spec);
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    this.#engine.alive();
    return this.#attending.cached(kv, layer, part, start, end);
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    this.#engine.alive();
    return this.#attending.spanMeans(kv, layer, part, spans);
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    this.#engine.alive();
    return this.#attending.rowMeans(x, spans);
  }

  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void {
    this.#engine.alive();
    const engine = this.#engine;
    if (!(sampler instanceof WasmSampler))
      throw new InputError('argument', 'sample: the sampler is of another backend');
    const { vocabulary } = sampler;
    const { shape } = logits;
    if (shape.length !== 2 || shape[0] !== 1 || shape[1] !== vocabulary) {
      throw new InputError('argument', `sample: logits [${shape.join(', ')}] should be [1, ${vocabulary}]`);
    }
    const input = matrixOf('sample', 'logits', logits);
    const ids = ringOf('sample', ring, index, index + 1);
    const work = engine.room('sample', engine.wasm.exports.sampleWorkBytes(vocabulary));
    const words = engine.words();
    const floats = engine.floats();
    words[0] = input.pointer;
    words[1] = vocabulary;
    words[2] = sampler.seen;
    words[3] = sampler.allowed;
    words[4] = work;
    floats[5] = spec.temperature;
    words[6] = spec.topK;
    floats[7] = spec.topP;
    floats[8] = spec.minP;
    floats[9] = spec.repetitionPenalty;
    floats[10] = spec.presencePenalty;
    words[11] = spec.seed >>> 0;
    words[12] = index;
    words[13] = ids.pointer + 4 * index;
    engine.run('sample', engine.wasm.exports.sample);
  }

  // ---- argument blocks (assembly/kernels/linear.ts and attention.ts draw them)

  /** Scratch memory of a product, taken before the block is written since taking it may move the views. */
  #prepare(parts: readonly WasmWeight[], count: number, cols: number, norm: NormWords, rows: number): void {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const quantised = parts.some(isInt8);
    if (quantised) engine.room('prepared', exports.activationBytes(Math.ceil(count / BLOCK) * BLOCK, cols));
    if (norm.kind !== 0) engine.room('normalised', count * cols * 4);
    engine.scratch(exports.linearScratchBytes(this.#tileRows(parts, rows), count));
  }

  /** Weight rows of a tile: about TILE_BYTES, fewer where a thread would get too few tiles. */
  #tileRows(parts: readonly WasmWeight[], rows: number): number {
    const tile = 16;
    let bytes = 0;
    for (const part of parts) bytes += part.bytes;
    const cached = Math.floor((TILE_BYTES * rows) / bytes / tile) * tile;
    const { threads } = this.#engine;
    const fair = threads === 1 ? cached : Math.floor(rows / (threads * TILES_PER_THREAD) / tile) * tile;
    return Math.max(tile, Math.min(cached, fair));
  }

  #rowwise(out: WasmTensor, x: number, cols: number, count: number, norm: NormWords): Uint32Array {
    const words = this.#engine.words();
    words[1] = out.pointer;
    words[2] = cols;
    words[3] = x;
    words[4] = cols;
    words[5] = count;
    words[6] = 0;
    words[7] = 0;
    words[8] = norm.kind;
    words[9] = norm.weight;
    words[10] = norm.bias;
    this.#engine.floats()[11] = norm.epsilon;
    words[12] = 0;
    words[13] = 0;
    words[14] = 1;
    words[15] = 16;
    this.#engine.floats()[16] = 1;
    return words;
  }

  #product(out: WasmTensor, x: WasmTensor, parts: readonly WasmWeight[], norm: NormWords, rows: number): Uint32Array {
    const engine = this.#engine;
    const [count = 0, cols = 0] = x.shape;
    const quantised = parts.some(isInt8);
    const words = this.#rowwise(out, x.pointer, cols, count, norm);
    words[2] = rows;
    words[6] = quantised ? engine.room('prepared', 0) : 0;
    words[7] = norm.kind === 0 ? 0 : engine.room('normalised', 0);
    words[14] = parts.length;
    words[15] = this.#tileRows(parts, rows);
    return words;
  }
}

/** Address of the rows that a result of this shape gets added. */
function residualOf(operation: string, residual: Tensor, count: number, cols: number): number {
  const { shape } = residual;
  if (shape[0] !== count || shape[1] !== cols)
    throw new InputError('argument', `${operation}: residual [${shape.join(', ')}] should be [${count}, ${cols}]`);
  return matrixOf(operation, 'residual', residual).pointer;
}

const isInt8 = (weight: WasmWeight): boolean => weight.int8;

function writePart(words: Uint32Array, index: number, weight: WasmWeight, first: number, bias: number): void {
  const at = LINEAR_WORDS + index * PART_WORDS;
  words[at] = weight.pointer;
  words[at + 1] = weight.ggml;
  words[at + 2] = weight.rows;
  words[at + 3] = first;
  words[at + 4] = bias;
}
