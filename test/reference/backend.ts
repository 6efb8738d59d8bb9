/**
 * The Backend contract in naive f64 loops: the truth of the conformance suite, never shipped.
 * Activations, weights and KV pages are f64 whatever format the spec names; only uploads and downloads are f32.
 * One file, though long: it is read beside the contract, in the contract's order.
 */
import type {
  Activation,
  AppendSpec,
  AttentionSpec,
  Backend,
  Conv2dOptions,
  DeltaSpec,
  DenoiseSpec,
  GroupNormSpec,
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
  ShortConvOptions,
  StateOperations,
  Tensor,
  Weight,
  WeightWriter,
} from '../../src/backend/backend.ts';
import * as checks from '../../src/backend/checks.ts';
import * as pageChecks from '../../src/backend/page-checks.ts';
import * as pictureChecks from '../../src/backend/picture-checks.ts';
import * as stateChecks from '../../src/backend/state-checks.ts';
import { weightBytes, type WeightFormat, type WeightSpec } from '../../src/backend/weight.ts';
import { FileError, InputError } from '../../src/errors.ts';
import { dequantise } from './dequantise.ts';
import { activate, attend, hadamard, means, normalise, product, rotate, softmax } from './maths.ts';
import { ReferencePool } from './pages.ts';
import { convolve, denoised, groupMoments, groupNormalise } from './pictures.ts';
import { distribution, draw } from './sample.ts';
import { causalConvolution, deltaToken } from './state.ts';

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

class ReferenceTensor implements Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
  values: Float64Array | undefined;
  scope: Set<ReferenceTensor> | undefined;
  constructor(shape: readonly number[], type: 'f32' | 'i32', values: Float64Array) {
    this.shape = shape;
    this.type = type;
    this.values = values;
  }
}

class ReferenceWeight implements Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: number;
  values: Float64Array | undefined;
  readonly #freed: (weight: ReferenceWeight) => void;
  constructor(spec: WeightSpec, values: Float64Array, freed: (weight: ReferenceWeight) => void) {
    this.name = spec.name;
    this.shape = spec.shape;
    this.format = spec.format;
    this.bytes = weightBytes(spec);
    this.values = values;
    this.#freed = freed;
  }
  free(): void {
    if (this.values === undefined) return;
    this.values = undefined;
    this.#freed(this);
  }
}

interface ReferenceSampler extends Sampler {
  readonly seen: Set<number>;
  bits: Uint32Array | undefined;
}

class ReferenceBackend implements Backend, PictureOperations, StateOperations {
  readonly kind = 'reference';
  readonly description = 'f64 loops';
  readonly lost = new Promise<Error>(() => {});
  readonly #scopes: Set<ReferenceTensor>[] = [];
  readonly #tensors = new Set<ReferenceTensor>();
  readonly #weights = new Set<ReferenceWeight>();
  readonly #pools = new Set<ReferencePool>();
  #samplers = 0;
  #destroyed = false;

  // ---- memory

  weight(spec: WeightSpec): WeightWriter {
    this.#alive();
    checks.weight(spec);
    const wanted = weightBytes(spec);
    const bytes = new Uint8Array(wanted);
    let at = 0;
    return {
      write: async (chunk) => {
        if (at + chunk.length > wanted)
          throw new FileError('malformed', { file: '', field: spec.name, offset: at }, `more than ${wanted} bytes`);
        bytes.set(chunk, at);
        at += chunk.length;
      },
      finish: async () => {
        if (at !== wanted)
          throw new FileError('truncated', { file: '', field: spec.name, offset: at }, `${at} of ${wanted} bytes`);
        const weight = new ReferenceWeight(spec, dequantise(spec.format, bytes, size(spec.shape)), (w) =>
          this.#weights.delete(w),
        );
        this.#weights.add(weight);
        return weight;
      },
      abort: () => {},
    };
  }

  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor {
    checks.upload(data, shape);
    return this.#tensor(shape, Float64Array.from(data), data instanceof Int32Array ? 'i32' : 'f32');
  }

  ids(length: number): Tensor {
    return this.keep(this.#tensor([length], new Float64Array(length), 'i32'));
  }

  writeIds(ring: Tensor, offset: number, ids: Int32Array): void {
    checks.ids('writeIds', ring, offset, offset + ids.length);
    this.#values('writeIds', 'ring', ring).set(ids, offset);
  }

  async download(tensor: Tensor): Promise<Float32Array> {
    return Float32Array.from(this.#values('download', 'tensor', tensor));
  }

  async readIds(ring: Tensor, start: number, end: number): Promise<Int32Array> {
    checks.ids('readIds', ring, start, end);
    return Int32Array.from(this.#values('readIds', 'ring', ring).subarray(start, end));
  }

  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T {
    const mine = new Set<ReferenceTensor>();
    this.#scopes.push(mine);
    let results: readonly unknown[] = [];
    try {
      const result = body();
      results = Array.isArray(result) ? result : [result];
      return result;
    } finally {
      this.#scopes.pop();
      const outer = this.#scopes.at(-1);
      for (const tensor of mine) {
        if (!results.includes(tensor)) this.free(tensor);
        else {
          tensor.scope = outer;
          outer?.add(tensor);
        }
      }
    }
  }

  keep<T extends Tensor>(tensor: T): T {
    if (tensor instanceof ReferenceTensor) {
      tensor.scope?.delete(tensor);
      tensor.scope = undefined;
    }
    return tensor;
  }

  free(tensor: Tensor): void {
    if (!(tensor instanceof ReferenceTensor)) return;
    tensor.scope?.delete(tensor);
    tensor.values = undefined;
    this.#tensors.delete(tensor);
  }

  kvPool(spec: KvSpec): KvPool {
    this.#alive();
    const pool = new ReferencePool(spec, (freed) => this.#pools.delete(freed));
    this.#pools.add(pool);
    return pool;
  }

  sampler(vocabulary: number): Sampler {
    this.#alive();
    checks.sampler(vocabulary);
    this.#samplers++;
    let freed = false;
    const sampler: ReferenceSampler = {
      vocabulary,
      seen: new Set<number>(),
      bits: undefined,
      reset: (ids) => {
        sampler.seen.clear();
        for (const id of ids) sampler.seen.add(id);
      },
      mask: (bits) => {
        checks.mask(vocabulary, bits);
        sampler.bits = bits?.slice();
      },
      free: () => {
        if (!freed) this.#samplers--;
        freed = true;
      },
    };
    return sampler;
  }

  flush(): void {}
  async idle(): Promise<void> {}

  memory(): MemoryUse {
    const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
    return {
      weights: sum([...this.#weights].map((w) => w.bytes)),
      kv: sum([...this.#pools].map((p) => p.bytes)),
      activations: sum([...this.#tensors].map((t) => 4 * size(t.shape))),
      allocations: this.#weights.size + this.#pools.size + this.#tensors.size + this.#samplers,
    };
  }

  destroy(): void {
    this.#destroyed = true;
  }

  // ---- operations

  embed(table: Weight, ring: Tensor, start: number, count: number, scale = 1): Tensor {
    const { cols } = checks.embed(table, ring, start, count);
    const [vocabulary = 0] = table.shape;
    const ids = this.#values('embed', 'ring', ring);
    const rows = this.#weight('embed', table);
    const out = new Float64Array(count * cols).fill(NaN);
    for (let i = 0; i < count; i++) {
      const id = ids[start + i]!;
      // An id that is none (-1 after a failed sample) gives NaN, which the next sample finds.
      if (id >= 0 && id < vocabulary) for (let c = 0; c < cols; c++) out[i * cols + c] = scale * rows[id * cols + c]!;
    }
    return this.#tensor([count, cols], out);
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions = {}): Tensor {
    const { count: t, cols, rows: total } = checks.linear(x, weights, options);
    const input = options.norm ? this.#normalised('linear', x, options.norm) : this.#values('linear', 'x', x);
    const residual = options.residual && this.#values('linear', 'residual', options.residual);
    const out = new Float64Array(t * total);
    let first = 0;
    weights.forEach((weight, w) => {
      const n = weight.shape[0]!;
      const part = product(input, this.#weight('linear', weight), t, n, cols);
      const bias = options.bias?.[w];
      const added = bias && this.#weight('linear', bias);
      for (let i = 0; i < t; i++) {
        for (let r = 0; r < n; r++) {
          const at = i * total + first + r;
          const { activation, scale = 1 } = options;
          const before = activation === 'tanh' ? scale : 1;
          const value = activate(activation, (part[i * n + r]! + (added?.[r] ?? 0)) / before);
          out[at] = value * scale + (residual?.[at] ?? 0);
        }
      }
      first += n;
    });
    return this.#tensor([t, total], out);
  }

  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    const { count: t, cols, rows } = checks.gatedMlp(x, gate, up, options);
    const input = options.norm ? this.#normalised('gatedMlp', x, options.norm) : this.#values('gatedMlp', 'x', x);
    const g = product(input, this.#weight('gatedMlp', gate), t, rows, cols);
    const u = product(input, this.#weight('gatedMlp', up), t, rows, cols);
    return this.#tensor(
      [t, rows],
      g.map((v, i) => activate(options.activation, v) * u[i]!),
    );
  }

  norm(x: Tensor, spec: NormSpec, residual?: Tensor, scale = 1): Tensor {
    checks.normRows(x, spec, residual);
    const added = residual && this.#values('norm', 'residual', residual);
    return this.#tensor(
      x.shape,
      this.#normalised('norm', x, spec).map((value, i) => scale * (value + (added?.[i] ?? 0))),
    );
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    checks.rows(x, start, count);
    const [, cols = 0] = x.shape;
    return this.#tensor([count, cols], this.#values('rows', 'x', x).slice(start * cols, (start + count) * cols));
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    checks.take(x, indices);
    const [, cols = 0] = x.shape;
    const values = this.#values('take', 'x', x);
    const out = new Float64Array(indices.length * cols);
    indices.forEach((row, i) => {
      if (row >= 0) out.set(values.subarray(row * cols, (row + 1) * cols), i * cols);
    });
    return this.#tensor([indices.length, cols], out);
  }

  stack(xs: readonly Tensor[]): Tensor {
    const cols = checks.alike('stack', 'xs', xs);
    const parts = xs.map((x, i) => this.#values('stack', `xs[${i}]`, x));
    return this.#tensor(
      [parts.reduce((sum, part) => sum + part.length / cols, 0), cols],
      Float64Array.from(parts.flatMap((part) => [...part])),
    );
  }

  fold(x: Tensor, count: number): Tensor {
    checks.fold(x, count);
    const [rows = 0, cols = 0] = x.shape;
    return this.#tensor([rows / count, count * cols], this.#values('fold', 'x', x).slice());
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    checks.add(a, b, activation);
    const added = this.#values('add', 'b', b);
    return this.#tensor(
      a.shape,
      this.#values('add', 'a', a).map((v, i) => activate(activation, v + added[i % added.length]!)),
    );
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    checks.modulate(x, spec);
    const [t = 0, cols = 0] = x.shape;
    const shift = this.#columns('modulate', spec.modulation, spec.shift, t, cols);
    const scale = this.#columns('modulate', spec.modulation, spec.scale, t, cols);
    const affine = spec.weight
      ? this.#norm('modulate', {
          kind: 'layer',
          weight: spec.weight,
          ...(spec.bias ? { bias: spec.bias } : {}),
          epsilon: spec.epsilon,
        })
      : { kind: 'layer' as const, weight: new Float64Array(cols).fill(1), epsilon: spec.epsilon };
    const normed = normalise(this.#values('modulate', 'x', x), t, cols, affine);
    return this.#tensor(
      x.shape,
      normed.map((v, i) => v * (1 + scale[i]!) + shift[i]!),
    );
  }

  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor {
    checks.gatedAdd(x, y, modulation, column);
    const [t = 0, cols = 0] = y.shape;
    const gate = this.#columns('gatedAdd', modulation, column, t, cols);
    const to = x && this.#values('gatedAdd', 'x', x);
    return this.#tensor(
      y.shape,
      this.#values('gatedAdd', 'y', y).map((v, i) => (to?.[i] ?? 0) + v * gate[i]!),
    );
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    const cols = pictureChecks.moments(bands, groups);
    const parts = bands.map((band, i) => this.#values('moments', `bands[${i}]`, band));
    return this.#tensor([groups, 2], groupMoments(parts, cols, groups, epsilon));
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    pictureChecks.groupNorm('groupNorm', x, spec);
    return this.#tensor(x.shape, this.#groupNormalised('groupNorm', x, spec));
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    const { channels, outHeight, outWidth, rows } = pictureChecks.conv2d(x, weight, options);
    const { height, width, kernel, stride = 1, padding, upsample = false, bias, residual } = options;
    const shape = { height, width, channels, kernel, stride, padding, upsample };
    const count = outHeight * outWidth;
    const input = options.norm ? this.#groupNormalised('conv2d', x, options.norm) : this.#values('conv2d', 'x', x);
    const out = convolve(input, this.#weight('conv2d', weight), rows, shape);
    const added = bias && this.#weight('conv2d', bias);
    const rest = residual && this.#values('conv2d', 'residual', residual);
    return this.#tensor(
      [count, rows],
      out.map((v, i) => activate(options.activation, v + (added?.[i % rows] ?? 0)) + (rest?.[i] ?? 0)),
    );
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    pictureChecks.denoise(x, predicted, noise, spec);
    const [n = 0, cols = 0] = x.shape;
    const [a, b, c] = [
      this.#values('denoise', 'x', x),
      this.#values('denoise', 'predicted', predicted),
      this.#values('denoise', 'noise', noise),
    ];
    return this.#tensor([n, cols], denoised(a, b, c, cols, spec));
  }

  async pictureOperations(): Promise<PictureOperations> {
    return this;
  }

  async stateOperations(): Promise<StateOperations> {
    return this;
  }

  shortConv(
    x: Tensor,
    weight: Weight,
    taps: number,
    state: Tensor | undefined,
    options: ShortConvOptions = {},
  ): readonly [result: Tensor, state: Tensor] {
    const { count, channels } = stateChecks.shortConv(x, weight, taps, state, options);
    const part = (n: number): Float64Array => this.#columns('shortConv', x, n * channels, count, channels);
    const first = part(0);
    const u = options.gated ? part(2).map((value, i) => value * first[i]!) : first;
    const before = state ? this.#values('shortConv', 'state', state) : new Float64Array((taps - 1) * channels);
    const { sums, after } = causalConvolution(u, this.#weight('shortConv', weight), taps, channels, before);
    const c = options.gated ? part(1) : undefined;
    const result = sums.map((value, i) => activate(options.activation, value) * (c?.[i] ?? 1));
    return [this.#tensor([count, channels], result), this.#tensor([taps - 1, channels], after)];
  }

  deltaRule(
    qkv: Tensor,
    rest: Tensor,
    column: number,
    state: Tensor | undefined,
    spec: DeltaSpec,
  ): readonly [result: Tensor, state: Tensor] {
    const { count } = stateChecks.deltaRule(qkv, rest, column, state, spec);
    const { keyHeads, valueHeads, keyDim, valueDim } = spec;
    const [keys, values] = [keyHeads * keyDim, valueHeads * valueDim];
    const part = (tensor: Tensor, first: number, t: number, cols: number): Float64Array =>
      this.#columns('deltaRule', tensor, first, count, cols).slice(t * cols, (t + 1) * cols);
    const after = state
      ? this.#values('deltaRule', 'state', state).slice()
      : new Float64Array(valueHeads * keyDim * valueDim);
    const gates = {
      decay: this.#weight('deltaRule', spec.decay),
      timeBias: this.#weight('deltaRule', spec.timeBias),
    };
    const norm = { weight: this.#weight('deltaRule', spec.norm.weight), epsilon: spec.norm.epsilon };
    const out = new Float64Array(count * values);
    for (let t = 0; t < count; t++) {
      const token = {
        q: part(qkv, 0, t, keys),
        k: part(qkv, keys, t, keys),
        v: part(qkv, 2 * keys, t, values),
        z: part(rest, column, t, values),
        b: part(rest, column + values, t, valueHeads),
        a: part(rest, column + values + valueHeads, t, valueHeads),
      };
      out.set(deltaToken(spec, token, after, gates, norm), t * values);
    }
    return [this.#tensor([count, values], out), this.#tensor([valueHeads * keyDim, valueDim], after)];
  }

  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): Tensor {
    const t = pageChecks.append(qkv, kv, layer, position, options);
    const pool = this.#pool('ropeAppend', kv);
    const { kvHeads, headDim } = pool.spec;
    const [, cols = 0] = qkv.shape;
    const { heads, kvHeads: given = kvHeads, headDim: width = headDim, vEpsilon } = options;
    const values = this.#values('ropeAppend', 'qkv', qkv);
    const head = (i: number, h: number, norm: NormSpec | undefined): Float64Array => {
      const raw = values.slice(i * cols + h * width, i * cols + (h + 1) * width);
      return norm ? normalise(raw, 1, width, this.#norm('ropeAppend', norm)) : raw;
    };
    const at = (slot: number, axis: number): number => {
      if (!kv.positions) return slot;
      const { axes, values: all } = kv.positions;
      return all[(axes === 1 ? 0 : axis) * (all.length / axes) + slot]!;
    };
    const out = new Float64Array(t * heads * headDim);
    for (let i = 0; i < t; i++) {
      for (let h = 0; h < heads; h++) {
        const q = head(i, h, options.qNorm);
        if (options.rope) rotate(q, (axis) => at(position + i, axis), options.rope);
        out.set(q, (i * heads + h) * headDim);
      }
      for (let h = 0; h < (given === 0 ? 0 : kvHeads); h++) {
        const own = Math.floor((h * given) / kvHeads);
        const k = head(i, heads + own, options.kNorm);
        if (options.rope) rotate(k, (axis) => at(position + i, axis), options.rope);
        const v = head(i, heads + given + own, undefined);
        const root =
          vEpsilon === undefined ? 1 : Math.sqrt(v.reduce((sum, value) => sum + value * value, 0) / width + vEpsilon);
        pool
          .row(kv, layer, h, position + i, 0)
          .fill(0)
          .set(k);
        pool
          .row(kv, layer, h, position + i, 1)
          .fill(0)
          .set(kv.hadamard ? hadamard(v.map((value) => value / root)) : v.map((value) => value / root));
      }
    }
    return this.#tensor([t, heads * headDim], out);
  }

  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor {
    const asked: pageChecks.Queries = { operation: 'attention', q, kv, layer, position, ranges, spec };
    pageChecks.queries(asked);
    const { t, cols, headDim, pool, values } = this.#asked(asked);
    const { kvHeads } = pool.spec;
    const width = spec.headDim ?? headDim;
    const out = new Float64Array(t * spec.heads * width);
    // One view a key and value row, made when first seen.
    const rows = new Map<number, Float64Array>();
    const row = (head: number, key: number, which: 0 | 1): Float64Array => {
      const at = (key * kvHeads + head) * 2 + which;
      const known = rows.get(at) ?? pool.row(kv, layer, head, key, which);
      rows.set(at, known);
      return known;
    };
    const shared = spec.heads / kvHeads;
    for (let i = 0; i < t; i++) {
      for (let group = 0; group < kvHeads; group++) {
        const seen = this.#seen(ranges, kvHeads, i, group, position);
        const keys = seen.map(({ key }) => row(group, key, 0));
        const content = seen.map(({ key }) => row(group, key, 1));
        const bias = ranges.bias && Float64Array.from(seen, (it) => it.bias);
        for (let h = group * shared; h < (group + 1) * shared; h++) {
          const at = i * cols + h * headDim;
          const found = attend(values.subarray(at, at + headDim), keys, content, spec.scale, bias).subarray(0, width);
          out.set(kv.hadamard ? hadamard(found) : found, (i * spec.heads + h) * width);
        }
      }
    }
    return this.#tensor([t, spec.heads * width], out);
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    const asked: pageChecks.Queries = { operation: 'probe', q, kv, layer, position, ranges, spec };
    const { keys: last, count: width } = pageChecks.probe(asked, spec.spans);
    const { t, cols, headDim, pool, group, values } = this.#asked(asked);
    const { kvHeads } = pool.spec;
    const out = new Float64Array(spec.heads * width);
    for (let h = 0; h < spec.heads; h++) {
      const mass = new Float64Array(last);
      for (let i = 0; i < t; i++) {
        const seen = this.#seen(ranges, kvHeads, i, group(h), position);
        const at = i * cols + h * headDim;
        const keys = seen.map(({ key }) => pool.row(kv, layer, group(h), key, 0));
        const weights = softmax(
          values.subarray(at, at + headDim),
          keys,
          spec.scale,
          Float64Array.from(seen, (it) => it.bias),
        );
        seen.forEach(({ key }, j) => (mass[key]! += weights[j]! / t));
      }
      for (let s = 0; s < width; s++) {
        const [start, end] = spec.spans ? [spec.spans[2 * s]!, spec.spans[2 * s + 1]!] : [s, s + 1];
        out[h * width + s] = mass.subarray(Math.min(start, last), Math.min(end, last)).reduce((a, b) => a + b, 0);
      }
    }
    return this.#tensor([spec.heads, width], out);
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    pageChecks.cached(kv, layer, start, end);
    return this.#tensor([end - start, this.#cachedCols(kv)], this.#cached('cached', kv, layer, part, start, end));
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    const [, end] = pageChecks.spanMeans(kv, layer, spans);
    const cols = this.#cachedCols(kv);
    const rows = this.#cached('spanMeans', kv, layer, part, 0, end);
    return this.#tensor([spans.length / 2, cols], means(rows, cols, spans));
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    pageChecks.rowMeans(x, spans);
    const [, cols = 0] = x.shape;
    const count = spans.length / 2;
    return this.#tensor([count, cols], means(this.#values('rowMeans', 'x', x), cols, spans));
  }

  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void {
    checks.sample(logits, sampler.vocabulary, ring, index);
    const ids = this.#values('sample', 'ring', ring);
    const state = sampler as ReferenceSampler;
    const found = distribution(this.#values('sample', 'logits', logits), spec, state.seen, state.bits);
    const id = found ? draw(found, spec.seed, index) : -1;
    if (id >= 0) state.seen.add(id);
    ids[index] = id;
  }

  // ---- checks

  #alive(): void {
    if (this.#destroyed) throw new InputError('destroyed', 'the backend was destroyed');
  }

  #tensor(shape: readonly number[], values: Float64Array, type: 'f32' | 'i32' = 'f32'): ReferenceTensor {
    this.#alive();
    const tensor = new ReferenceTensor([...shape], type, values);
    tensor.scope = this.#scopes.at(-1);
    tensor.scope?.add(tensor);
    this.#tensors.add(tensor);
    return tensor;
  }

  #values(operation: string, name: string, tensor: Tensor): Float64Array {
    this.#alive();
    if (!(tensor instanceof ReferenceTensor)) throw checks.foreign(operation, name);
    if (tensor.values === undefined) throw checks.freed(operation, name);
    return tensor.values;
  }

  #weight(operation: string, weight: Weight): Float64Array {
    if (!(weight instanceof ReferenceWeight)) throw checks.foreign(operation, `weight ${weight.name}`);
    if (weight.values === undefined) throw checks.freed(operation, `weight ${weight.name}`);
    return weight.values;
  }

  #norm(operation: string, spec: NormSpec): Parameters<typeof normalise>[3] {
    return {
      kind: spec.kind,
      epsilon: spec.epsilon,
      weight: this.#weight(operation, spec.weight),
      bias: spec.bias && this.#weight(operation, spec.bias),
    };
  }

  #normalised(operation: string, x: Tensor, spec: NormSpec): Float64Array {
    const [part = 0] = spec.weight.shape;
    const values = this.#values(operation, 'x', x);
    return normalise(values, values.length / part, part, this.#norm(operation, spec));
  }

  /** Columns [first, first + cols) of a modulation of t rows: [t, cols]. */
  #columns(operation: string, modulation: Tensor, first: number, t: number, cols: number): Float64Array {
    const [, width = 0] = modulation.shape;
    const values = this.#values(operation, 'modulation', modulation);
    return Float64Array.from(
      { length: t * cols },
      (_, i) => values[Math.floor(i / cols) * width + first + (i % cols)]!,
    );
  }

  #groupNormalised(operation: string, x: Tensor, spec: GroupNormSpec): Float64Array {
    const [, channels = 0] = x.shape;
    const { weight, bias = new Float64Array(channels) } = this.#norm(operation, {
      kind: 'layer',
      weight: spec.weight,
      bias: spec.bias,
      epsilon: 0,
    });
    const normed = groupNormalise(
      this.#values(operation, 'x', x),
      channels,
      this.#values(operation, 'moments', spec.moments),
      weight,
      bias,
    );
    return normed.map((v) => activate(spec.activation, v));
  }

  /** What attention and probe begin with. `group`: the KV head of a query head. */
  #asked(asked: pageChecks.Queries) {
    const { operation, q, kv, spec } = asked;
    const pool = this.#pool(operation, kv);
    pageChecks.seenPages(asked, () => 0);
    const { kvHeads, headDim } = pool.spec;
    const [t = 0, cols = 0] = q.shape;
    const group = (head: number): number => Math.floor(head / (spec.heads / kvHeads));
    return { t, cols, headDim, pool, group, values: this.#values(operation, 'q', q) };
  }

  /** Keys that query i sees in a KV head, and what is added to their scores. */
  #seen(ranges: Ranges, kvHeads: number, i: number, head: number, position: number): { key: number; bias: number }[] {
    const list = Math.floor(i / ranges.queryBlock) * (ranges.shared ? 1 : kvHeads) + (ranges.shared ? 0 : head);
    const seen: { key: number; bias: number }[] = [];
    for (let r = ranges.offsets[list]!; r < ranges.offsets[list + 1]!; r++) {
      for (let key = ranges.runs[2 * r]!; key < ranges.runs[2 * r + 1]!; key++) {
        if (!ranges.causal || key <= position + i) seen.push({ key, bias: ranges.bias?.[r] ?? 0 });
      }
    }
    return seen;
  }

  #cachedCols({ pool }: KvView): number {
    return pool.spec.kvHeads * pool.spec.headDim;
  }

  /** Keys or values [start, end): [end - start, kvHeads * headDim]. */
  #cached(
    operation: string,
    kv: KvView,
    layer: number,
    part: 'keys' | 'values',
    start: number,
    end: number,
  ): Float64Array {
    const pool = this.#pool(operation, kv);
    const { kvHeads, headDim } = pool.spec;
    const out = new Float64Array((end - start) * kvHeads * headDim);
    for (let p = start; p < end; p++) {
      for (let h = 0; h < kvHeads; h++) {
        const row = pool.find(kv, layer, h, p, part === 'keys' ? 0 : 1);
        if (row) out.set(row, ((p - start) * kvHeads + h) * headDim);
      }
    }
    return out;
  }

  #pool(operation: string, { pool }: KvView): ReferencePool {
    if (!(pool instanceof ReferencePool)) throw checks.foreign(operation, "the view's pool");
    return pool;
  }
}

export function createReferenceBackend(): Backend {
  return new ReferenceBackend();
}
