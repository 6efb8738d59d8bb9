/**
 * Contract 1, Backend: the interface between model graphs and devices.
 *
 * - Each operation is as large as a fast kernel can be. Models are written once against this interface; `wasm`,
 *   `webgpu` and the test suite's `reference` (f64 loops) implement it and pass one conformance suite.
 * - An operation may return before the device has computed it. Only `download`, `read` and `WeightWriter.finish` wait.
 * - Tensors are activations: row-major f32 (or i32 for ids), owned by the scope in which they were made and freed at
 *   its end. What `body` returns from `scope` moves to the enclosing scope. `keep` takes a tensor out of all scopes;
 *   the code that keeps it frees it. Weights, KV pools and samplers live until their `free`.
 * - Arguments are checked before anything is dispatched (checks.ts, for all devices). A mismatch throws
 *   `InputError('argument')`, which names operation and tensor.
 * - After a device is lost, every call throws `DeviceError('lost')`.
 *
 * The file is long because it is the whole contract, which every device implements and which is read as one page.
 */
import type { WeightFormat, WeightSpec } from './weight.ts';

/** The kinds of devices; `reference` is that of the tests. */
export type BackendKind = 'wasm' | 'webgpu' | 'reference';

export interface Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
}

/** A weight on the device, in a layout that the backend chooses. */
export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  /** Bytes held on the device. */
  readonly bytes: number;
  free(): void;
}

/**
 * Receives the file bytes of a weight in order, in chunks of any size, and repacks them as they arrive, so that two
 * full copies never exist.
 */
export interface WeightWriter {
  /** Copies from `chunk`, which may be reused after the promise settles. Waiting for it provides back-pressure. */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws `FileError('truncated')` when fewer bytes arrived than the spec requires. */
  finish(): Promise<Weight>;
  /** Frees what was written, for aborts. */
  abort(): void;
}

/** `silu`, `gelu` (exact), `geluTanh`, `sigmoid`, `tanh`, or none. */
export type Activation = 'silu' | 'gelu' | 'geluTanh' | 'sigmoid' | 'tanh';

export interface NormSpec {
  readonly kind: 'rms' | 'layer';
  /** [cols]; F32 */
  readonly weight: Weight;
  /** [cols]; F32; layer norm only */
  readonly bias?: Weight;
  readonly epsilon: number;
}

export interface LinearOptions {
  /** Normalises x's rows before the product (fused). */
  readonly norm?: NormSpec;
  /** One entry for each weight, each [rows of that weight]; F32. */
  readonly bias?: readonly (Weight | undefined)[];
  readonly activation?: Activation;
  /** The factor of the activation's result; default 1. The argument of `tanh` is divided by it: a soft cap. */
  readonly scale?: number;
  /** [T, rows], added last. */
  readonly residual?: Tensor;
}

/**
 * RoPE. The angle of pair i at position p is `p * inverseFrequency[i]`; cos and sin are multiplied by `magnitude`
 * (YaRN's mscale, otherwise 1).
 */
export interface RopeSpec {
  /** [rotaryDim / 2], f64 on the host. The backend uploads it once for each spec object. */
  readonly inverseFrequency: Float64Array;
  readonly magnitude: number;
  /** `half`: pairs (i, i + rotaryDim/2), as in Hugging Face weights and GGUF qwen2/qwen3; `interleaved`: pairs (2i, 2i+1), as in GGUF llama. */
  readonly style: 'half' | 'interleaved';
  /**
   * Which axis of a position rotates a pair, for positions with several axes (M-RoPE, Wang et al. 2024). By default
   * axis 0 rotates all pairs.
   */
  readonly sections?: RopeSections;
}

/**
 * The axes are time, height and width. `consecutive` (Qwen2-VL, Qwen2.5-VL): time rotates the first `pairs[0]` pairs,
 * height the next `pairs[1]`, width the last `pairs[2]`. `interleaved` (Qwen3-VL, Qwen3.5): height rotates pair i where
 * i % 3 = 1 and i < 3 pairs[1], width where i % 3 = 2 and i < 3 pairs[2], time all others.
 */
export interface RopeSections {
  readonly order: 'consecutive' | 'interleaved';
  readonly pairs: readonly [time: number, height: number, width: number];
}

/** Formats of KV pages, by their code in a page's number. The bytes of each: `assembly/kv/layout.ts`. */
export const KV_FORMATS = ['f32', 'f16', 'q8', 'q4', 'q2', 'k8v4', 'k4v2'] as const;
export type KvFormat = (typeof KV_FORMATS)[number];

/** Contract 3: pages of 32 tokens of one layer and one KV head, keys after RoPE. */
export interface KvSpec {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /**
   * The format of pages that are written token by token. Pages of the other formats are made by `KvPool.convert` and
   * `KvPool.write`.
   */
  readonly format: 'f32' | 'f16';
}
export const PAGE_TOKENS = 32;

/** A page number holds the code of its format above, and its index in the pool's memory of that format below. */
const FORMAT_SHIFT = 27;
export function pageNumber(format: KvFormat, index: number): number {
  return (KV_FORMATS.indexOf(format) << FORMAT_SHIFT) | index;
}
/** Returns the index of a page's format in KV_FORMATS; -1 for a number below 0, which is no page. */
export function pageCode(page: number): number {
  return page >> FORMAT_SHIFT;
}
export function pageFormat(page: number): KvFormat {
  const format = KV_FORMATS[pageCode(page)];
  if (format === undefined) throw new RangeError(`page ${page} has no format`);
  return format;
}
export function pageIndex(page: number): number {
  return page & (2 ** FORMAT_SHIFT - 1);
}

/**
 * The device's page memory for one model: one memory for each format, grown by `reserve`; contents survive. The host
 * decides which page belongs to which sequence (`src/kv/sequence.ts` counts references). All operations are ordered
 * with those of the backend.
 */
export interface KvPool {
  readonly spec: KvSpec;
  /** The number of pages of `format` (default: the spec's). */
  pages(format?: KvFormat): number;
  /** Bytes of a page of `format`, the same on every device and on disk. */
  pageBytes(format?: KvFormat): number;
  /** Grows the memory of `format` to at least `pages` pages. */
  reserve(pages: number, format?: KvFormat): void;
  /**
   * Returns the memory of pages from index `pages` on, of which the caller holds none. A device may keep a part of it.
   */
  shrink(pages: number, format?: KvFormat): void;
  /** Copies a whole page on the device, for copy on write; both pages have the same format. */
  copy(from: number, to: number): void;
  /**
   * Decodes each page `from[i]` and encodes it into `to[i]`, in that page's format: quantising, requantising or
   * reopening it.
   */
  convert(from: Int32Array, to: Int32Array): void;
  /** Resolves with the bytes of `pages`, one after the other, once the operations issued so far are done. */
  read(pages: Int32Array): Promise<Uint8Array>;
  /** Sets the bytes of `pages`; `bytes` may be reused after the call. */
  write(pages: Int32Array, bytes: Uint8Array): void;
  free(): void;
}

/**
 * A sequence's view of a pool. `table[(layer * kvHeads + head) * blocks + block]` is the page that holds positions `[32
 * block, 32 block + 32)`. The host changes `table` and increments `version`; the backend uploads the table when the
 * version it saw is outdated.
 */
export interface KvView {
  readonly pool: KvPool;
  /** Capacity in blocks; `table.length = layers * kvHeads * blocks`. */
  readonly blocks: number;
  readonly table: Int32Array;
  readonly version: number;
  /** The formats of the table's pages, including the pool's own; default: only that. A kernel decodes no others. */
  readonly formats?: readonly KvFormat[];
  /**
   * The position of each slot for RoPE, up to the last one appended, when slots are not their own positions: dropped
   * visual tokens leave gaps, and those of an image are arranged in rows and columns. Everything except RoPE (ranges,
   * causality, spans, the ring) counts slots. Default: slot p is at position p on every axis.
   */
  readonly positions?: SlotPositions | undefined;
  /**
   * Whether each head's values are multiplied by a normalised Hadamard matrix, of blocks of the largest power of two that
   * divides the layer's head, before they are written; `attention` multiplies its result by the inverse, the same matrix.
   * It spreads the outliers of single channels, so that fewer bits do. `cached` and `spanMeans` return values as they are
   * in the pages. Keys are not transformed: their scales are a channel's, so that its outliers harm no other.
   */
  readonly hadamard?: boolean | undefined;
  /** For models with layers that have states. */
  readonly state?: StateView | undefined;
}

/**
 * What layers that carry a state instead of keys (short convolutions, gated delta nets) read and write in one forward
 * call: fixed-size tensors, each in a slot of its own, zeros at the beginning. An operation makes a new state from the
 * previous one and never modifies it (`src/kv/state.ts`).
 */
export interface StateView {
  /** A slot's state before the call's first token; undefined: zeros. */
  before(slot: number): Tensor | undefined;
  /** Takes over the slot's state after the call's last token. Called once for each slot and call. */
  after(slot: number, state: Tensor): void;
}

export interface ShortConvOptions {
  /** x begins with b, c and u side by side: b * u is convolved, and the result multiplied by c (LFM2). */
  readonly gated?: boolean;
  /** Applied to the sum. */
  readonly activation?: Activation;
}

/**
 * A gated delta net (Yang et al. 2025). Each value head has a state S [keyDim, valueDim]. For each token, q and k are
 * divided by their lengths (x / sqrt(sum x^2 + 1e-6)), q also by sqrt(keyDim), and then
 * `S *= exp(decay * softplus(a + timeBias))`; `d = sigmoid(b) * (v - k S)`; `S += k^T d`; `o = q S`.
 * The head's result is `norm(o) * silu(z)`.
 */
export interface DeltaSpec {
  readonly keyHeads: number;
  /** A multiple of `keyHeads`. */
  readonly valueHeads: number;
  /** Both multiples of 4; at most 256. */
  readonly keyDim: number;
  readonly valueDim: number;
  /** Whether value head n reads key head n % keyHeads, as in GGUF, and not floor(n * keyHeads / valueHeads). */
  readonly tiled: boolean;
  /** [valueHeads]; F32; below 0 */
  readonly decay: Weight;
  /** [valueHeads]; F32 */
  readonly timeBias: Weight;
  /** [valueDim]; RMS */
  readonly norm: NormSpec;
}

/** [axes, slots]: 1 axis for text, 3 for M-RoPE. The host may change `values` between calls. */
export interface SlotPositions {
  readonly axes: number;
  readonly values: Int32Array;
}

/**
 * Contract 4, Ranges. For query block b (queries `[b * queryBlock, (b+1) * queryBlock)` of this call) and KV head h,
 * the visible keys are the runs `runs[2r], runs[2r+1])` (sorted, disjoint, `[start, end)` key positions) for r in
 * `[offsets[b * heads + h], offsets[b * heads + h + 1])`, where `heads` is kvHeads, or 1 when `shared`. `causal`
 * further limits every query to keys at or before its own position. `dense(...)` in `src/kv/ranges.ts` makes the usual
 * ones.
 */
export interface Ranges {
  readonly queryBlock: number;
  readonly shared: boolean;
  readonly causal: boolean;
  readonly offsets: Uint32Array;
  readonly runs: Uint32Array;
  /**
   * [runs]; added to the scores of a run's keys after `scale`. ln(n) makes a key count n times (RazorAttention's
   * compensation token).
   */
  readonly bias?: Float32Array;
}

/**
 * Statistics of a group norm (Wu & He 2018) and the operations after it: `act((x - mean) / sqrt(variance + epsilon) *
 * weight + bias)`.
 */
export interface GroupNormSpec {
  /** [groups, 2] of `moments`, over the whole image even when x is a band of it. */
  readonly moments: Tensor;
  /** [channels]; F32 */
  readonly weight: Weight;
  /** [channels]; F32 */
  readonly bias: Weight;
  readonly activation?: Activation;
}

/** Images are [height * width, channels], row-major; the rows of a kernel are in (y, x, channel) order. */
export interface Conv2dOptions {
  /** Of x. `height * width` is x's number of rows. */
  readonly height: number;
  readonly width: number;
  /** Side of the kernel, 1 to 7. */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: 1 | 2;
  /** Zeros around x (after the norm and the upsampling): top, right, bottom, left. */
  readonly padding: readonly [top: number, right: number, bottom: number, left: number];
  /** Every pixel of x counts as 2 x 2 (nearest neighbour), before the padding. */
  readonly upsample?: boolean;
  /** Applied to x before everything else. */
  readonly norm?: GroupNormSpec;
  /** [rows of the weight]; F32 */
  readonly bias?: Weight;
  readonly activation?: Activation;
  /** [out height * out width, rows], added after the activation. */
  readonly residual?: Tensor;
}

/** Adaptive layer norm (DiT, Peebles & Xie 2022): `norm(x) * (1 + scale) + shift`, scale and shift being columns of `modulation` [T, any]. */
export interface ModulateSpec {
  readonly modulation: Tensor;
  /** First column of the shift and of the scale; each is as wide as x. */
  readonly shift: number;
  readonly scale: number;
  readonly epsilon: number;
  /** [cols]; F32; both or neither. */
  readonly weight?: Weight;
  readonly bias?: Weight;
}

/**
 * One step of ancestral sampling with a learned variance (Nichol & Dhariwal 2021) and classifier-free guidance (Ho & Salimans 2022):
 * eps (or v) = unconditional + guidance * (conditional - unconditional); from v: `eps = sigma x + alpha v`;
 * `x0 = x0FromX x - x0FromEps eps`; `mean = meanFromX0 x0 + meanFromX x`; f = (variance column + 1) / 2 of the conditional row;
 * `x' = mean + noise * noiseScale * exp((f * highLogVariance + (1 - f) * lowLogVariance) / 2)`.
 */
export interface DenoiseSpec {
  readonly prediction: 'eps' | 'v';
  /** Undefined when there are no unconditional rows. */
  readonly guidance?: number;
  readonly alpha: number;
  readonly sigma: number;
  readonly x0FromX: number;
  readonly x0FromEps: number;
  readonly meanFromX0: number;
  readonly meanFromX: number;
  readonly lowLogVariance: number;
  readonly highLogVariance: number;
  /** 0 in the last step. */
  readonly noiseScale: number;
}

export interface AttentionSpec {
  readonly heads: number;
  /** The factor of q.k before the softmax. */
  readonly scale: number;
}

/**
 * The heads of a layer. Those of a layer may be smaller and fewer than those of the pool, whose pages have one shape:
 * in q and in the pages zeros follow the values of a head, and a KV head is written to several of the pool's.
 */
export interface AppendSpec {
  readonly heads: number;
  /** KV heads of qkv: a divisor of the pool's, which is the default; 0 for queries only, where no page is written. */
  readonly kvHeads?: number;
  /** Values of a head of qkv: at most the pool's, which is the default; a multiple of 4. */
  readonly headDim?: number;
  readonly rope?: RopeSpec;
  readonly qNorm?: NormSpec;
  readonly kNorm?: NormSpec;
  /** Given: the values of each head are divided by their root mean square, to whose square it is added. */
  readonly vEpsilon?: number;
}

/** A layer's keys at 7 bits (assembly/kernels/coarse.ts), with room for all blocks that are probed. */
export interface CoarseKeys {
  readonly keys: Tensor;
  /** Its first blocks that are coded; the probe codes the others. */
  readonly coded: number;
}

/** Contract 8, Probe: how much attention keys receive. */
export interface ProbeSpec extends AttentionSpec {
  /**
   * Spans `[spans[2 i], spans[2 i + 1])` of key positions, in any order, overlapping or not. Undefined for every key
   * from 0 to the last that a query may see.
   */
  readonly spans?: Uint32Array;
  /**
   * From these WASM takes the scores of whole blocks for one query, whose ranges have no biases; other backends do not
   * read them.
   */
  readonly coarse?: CoarseKeys | undefined;
}

/**
 * Parameters of one `sample` step. Order of application: mask, penalties, temperature, top-k, top-p, min-p, draw. Equal
 * logits are kept or dropped together: top-k keeps logits that reach the k-th highest, top-p those with a mass of less
 * than topP above them.
 */
export interface SampleSpec {
  /** 0 is greedy: the highest logit after mask and penalties, the lowest id among equals. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. Keeps tokens of probability at least minP times the highest's. */
  readonly minP: number;
  /** 1: off. Divides positive and multiplies negative logits of ids seen (CTRL, Keskar 2019; as in Hugging Face). */
  readonly repetitionPenalty: number;
  /** 0: off. Subtracted from the logits of ids seen at least once. */
  readonly presencePenalty: number;
  readonly seed: number;
}

/** The device state of one answer: which ids were seen (for the penalties), and the token mask. */
export interface Sampler {
  readonly vocabulary: number;
  /** Forgets all ids, then marks `ids` as seen; those outside the vocabulary are ignored. */
  reset(ids: Int32Array): void;
  /** Bit i of word i >> 5 set: id i is allowed. `undefined` allows all. Length ceil(vocabulary / 32). */
  mask(bits: Uint32Array | undefined): void;
  free(): void;
}

/** Operations on images [height * width, channels]; the rules of `Backend` apply to them. */
export interface PictureOperations {
  /** Mean and 1 / sqrt(variance + epsilon) of each of `groups` equal groups of channels over all rows of all bands: [groups, 2]. */
  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor;
  /** Group norm as a separate operation: the shape of x. */
  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor;
  /**
   * Convolution (cross-correlation) of an image with weight [rows, kernel * kernel * channels]: [out height * out
   * width, rows].
   */
  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor;
  /** x [n, C], predicted [n or, with guidance, 2 n: conditional rows first, 2 C: prediction then variance], noise [n, C]: the next x, [n, C]. */
  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor;
}

/** Operations of layers that carry a state from token to token; the rules of `Backend` apply to them. */
export interface StateOperations {
  /**
   * Causal depthwise convolution over the tokens of a sequence:
   * `act(sum over k of weight[k, c] * u[t + k - taps + 1, c])`. u [T, channels] is the first columns of x (see `gated`);
   * before the first token it is `state` [taps - 1, channels], or zeros. `weight` is F32 [taps * channels], tap by tap;
   * the number of channels is a multiple of 4. Returns the result [T, channels], and the state after the last token.
   */
  shortConv(
    x: Tensor,
    weight: Weight,
    taps: number,
    state: Tensor | undefined,
    options?: ShortConvOptions,
  ): readonly [result: Tensor, state: Tensor];
  /**
   * The gated delta rule over the tokens of a sequence. The first columns of qkv are q [keyHeads * keyDim], k (as many)
   * and v [valueHeads * valueDim]; those of `rest` from `column` on are z [valueHeads * valueDim], b [valueHeads] and
   * a [valueHeads]. `state` is [valueHeads * keyDim, valueDim], undefined for zeros. Returns the result
   * [T, valueHeads * valueDim], and the state after the last token.
   */
  deltaRule(
    qkv: Tensor,
    rest: Tensor,
    column: number,
    state: Tensor | undefined,
    spec: DeltaSpec,
  ): readonly [result: Tensor, state: Tensor];
}

export interface MemoryUse {
  /** Bytes of weights on the device. */
  readonly weights: number;
  /** Bytes of KV pages on the device. */
  readonly kv: number;
  /** Bytes of everything else on the device. */
  readonly activations: number;
  /** The number of allocations. */
  readonly allocations: number;
}

export interface Backend {
  readonly kind: BackendKind;
  /** A description for users: the WASM build and its threads, or the adapter's name. */
  readonly description: string;
  /** Resolves with the error when the device is lost; never rejects. */
  readonly lost: Promise<Error>;

  // memory
  weight(spec: WeightSpec): WeightWriter;
  /** Makes a tensor from host values, which are copied. */
  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor;
  /** Makes an uninitialised i32 tensor outside all scopes: the id ring of a session. */
  ids(length: number): Tensor;
  /** Writes host ids into `ring` at `offset`, ordered with the operations around it. */
  writeIds(ring: Tensor, offset: number, ids: Int32Array): void;
  /** Waits for the device, then copies out. */
  download(tensor: Tensor): Promise<Float32Array>;
  /** Where a tensor lies in `memory`, valid until it is freed; undefined if it lies elsewhere. For work of the host that needs no copy. */
  addressIn?(memory: WebAssembly.Memory, tensor: Tensor): number | undefined;
  /** Ids `[start, end)` of the ring once the operations issued so far are done; later operations may be issued meanwhile. */
  readIds(ring: Tensor, start: number, end: number): Promise<Int32Array>;
  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T;
  keep<T extends Tensor>(tensor: T): T;
  free(tensor: Tensor): void;
  kvPool(spec: KvSpec): KvPool;
  sampler(vocabulary: number): Sampler;
  /** Submits issued operations to the device without waiting. */
  flush(): void;
  /** Resolves when everything issued so far is done. */
  idle(): Promise<void>;
  memory(): MemoryUse;
  destroy(): void;

  // operations; T is the number of rows (tokens)
  /**
   * Rows of `table` [vocabulary, cols] for the ids `[start, start + count)` of `ring`, decoded, times `scale` (default
   * 1): [count, cols]. For an id outside the table (-1 after a failed sample) the row is NaN, and nothing outside the
   * table is read.
   */
  embed(table: Weight, ring: Tensor, start: number, count: number, scale?: number): Tensor;
  /** x [T, cols] times the transpose of the row-wise concatenation of `weights` (each [rows_i, cols]): [T, sum rows_i]. */
  linear(x: Tensor, weights: readonly Weight[], options?: LinearOptions): Tensor;
  /** act(norm(x) gate^T) * (norm(x) up^T): [T, rows]. */
  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor;
  /**
   * Rows of x, normalised, plus `residual` (of x's shape) if given, times `scale` (default 1): same shape. Where x has
   * several times the columns of the norm's weight, each part of a row is normalised on its own.
   */
  norm(x: Tensor, spec: NormSpec, residual?: Tensor, scale?: number): Tensor;
  /** A copy of rows `[start, start + count)` of x. */
  rows(x: Tensor, start: number, count: number): Tensor;
  /**
   * ToDRE's selection (2505.18757) of k among the rows of x that `rows` names, by the least largest cosine (`center`)
   * or the least sum of cosines (`sum`) with those selected before. Resolves with indices into `rows`, in the order of
   * selection, the same as those of `assembly/select`; `pivot` as there. Resolves with undefined when rounding on this
   * device leaves the choice open. Absent on backends whose memory the host reads directly, where the host selects.
   */
  diverse?(
    x: Tensor,
    rows: Int32Array,
    k: number,
    pivot: number,
    spread: 'sum' | 'center',
  ): Promise<Int32Array | undefined>;
  /** The rows of x that `indices` name, in their order: [indices.length, cols]; zeros for -1. */
  take(x: Tensor, indices: Int32Array): Tensor;
  /** All rows of the first, then all of the second, and so on: [sum T_i, cols]. */
  stack(xs: readonly Tensor[]): Tensor;
  /**
   * Every `count` consecutive rows of x side by side; the number of rows is a multiple of `count`: [T / count, count *
   * cols].
   */
  fold(x: Tensor, count: number): Tensor;
  /** act(a + b): the shape of a. b has as many rows, or one row that is added to all. */
  add(a: Tensor, b: Tensor, activation?: Activation): Tensor;
  /** Layer norm with a scale and shift for each row: the shape of x. */
  modulate(x: Tensor, spec: ModulateSpec): Tensor;
  /**
   * x + y * gate, where gate is the columns of `modulation` [T, any] from `column` on: the shape of y. Without x: y * gate.
   */
  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor;
  /** The operations on images, fetched by models that paint. */
  pictureOperations(): Promise<PictureOperations>;
  /** The operations of layers that carry a state, fetched by models that have some. */
  stateOperations(): Promise<StateOperations>;
  /**
   * Splits qkv [T, (heads + 2 kvHeads) * headDim]; normalises each head of q and k (if given, RMS over headDim),
   * rotates both (if `rope` is given) by their positions (`position .. position + T - 1`, or the view's `positions` of
   * these slots), writes k and v into the view's pages of `layer`, and returns q [T, heads * the pool's headDim].
   */
  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, spec: AppendSpec): Tensor;
  /**
   * Attention of q [T, heads * headDim] at positions `position ..` over the view's pages of `layer`: [T, heads *
   * headDim], or of each head the first `spec.headDim` values; zeros where a query sees no key.
   */
  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor;
  /**
   * For the queries q [T, heads * headDim] at positions `position ..`: the attention mass (after the softmax over the
   * keys that `ranges` lets each see) on every key or span, for each query head, averaged over the queries: [heads,
   * keys or spans]. The matrix [T, keys] is never made. Queries that see no key count as zeros.
   */
  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor;
  /** Keys or values `[start, end)` of `layer`, decoded, KV heads side by side: [end - start, kvHeads * headDim]; zeros where there is no page. */
  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor;
  /** The mean of the keys (or values) in each span of positions, zeros for an empty one: [spans, kvHeads * headDim]. */
  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor;
  /** Mean of the rows of x in each span of rows, zeros for an empty one: [spans, cols]. */
  rowMeans(x: Tensor, spans: Uint32Array): Tensor;
  /**
   * Draws one id from logits [1, vocabulary], writes it to `ring[index]` and marks it as seen. The draw is the inverse
   * CDF over the kept ids in id order at u = uniform(seed, index) of `src/backend/random.ts`, so that equal logits give
   * equal ids on every backend. NaN or +Infinity among the allowed logits, or no allowed id above -Infinity, writes -1.
   */
  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void;
}
