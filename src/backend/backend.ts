/**
 * Contract 1, Backend: the seam between model graphs and devices.
 *
 * - Each operation is as large as a fast kernel can be. Models are written once against this interface;
 *   `wasm`, `webgpu` and the test suite's `reference` (f64 loops) implement it and pass one conformance suite.
 * - An operation may return before the device has computed it. Only `download`, `read` and `WeightWriter.finish` wait.
 * - Tensors are activations: row-major f32 (or i32 for ids), owned by the scope in which they were made and freed at its
 *   end; what `body` returns from `scope` moves to the enclosing scope. `keep` takes a tensor out of all scopes;
 *   whoever keeps it frees it. Weights, KV pools and samplers live until their `free`.
 * - Arguments are checked before anything is dispatched (checks.ts, for all devices); a mismatch throws `InputError('argument')` naming operation and tensor.
 * - After a device is lost every call throws `DeviceError('lost')`.
 *
 * Longer than most files: the contract is read as one page, and nearly all of it is types.
 */
import type { WeightFormat, WeightSpec } from './weight.ts';

export type BackendKind = 'wasm' | 'webgpu' | 'reference';

export interface Tensor {
  readonly shape: readonly number[];
  readonly type: 'f32' | 'i32';
}

/** A weight on the device, in the layout that the backend chose for it. */
export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  /** Bytes held on the device. */
  readonly bytes: number;
  free(): void;
}

/** Takes a weight's file bytes in order, in chunks of any size, and repacks them as they come: never two full copies. */
export interface WeightWriter {
  /** Copies from `chunk`, which may be reused after the promise settles; waiting on it is the back-pressure. */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws `FileError('truncated')` if fewer bytes came than the spec says. */
  finish(): Promise<Weight>;
  /** Frees what was written; for aborts. */
  abort(): void;
}

/** `silu`, `gelu` (exact), `geluTanh`, or none. */
export type Activation = 'silu' | 'gelu' | 'geluTanh';

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
  /** One entry a weight, each [rows of that weight]; F32. */
  readonly bias?: readonly (Weight | undefined)[];
  readonly activation?: Activation;
  /** Multiplies what the activation gives; default 1. */
  readonly scale?: number;
  /** [T, rows], added last. */
  readonly residual?: Tensor;
}

/** RoPE. Angle of pair i at position p: `p * inverseFrequency[i]`; cos and sin are multiplied by `magnitude` (YaRN's mscale, else 1). */
export interface RopeSpec {
  /** [rotaryDim / 2], f64 on the host: the backend puts it where it wants it, once per spec object. */
  readonly inverseFrequency: Float64Array;
  readonly magnitude: number;
  /** `half`: pairs (i, i + rotaryDim/2), as in Hugging Face weights and GGUF qwen2/qwen3; `interleaved`: pairs (2i, 2i+1), as in GGUF llama. */
  readonly style: 'half' | 'interleaved';
  /** Which axis of a position turns a pair, where positions have several (M-RoPE, Wang et al. 2024). Default: axis 0 turns all. */
  readonly sections?: RopeSections;
}

/**
 * Axes are time, height and width. `consecutive` (Qwen2-VL, Qwen2.5-VL): the first `pairs[0]` pairs turn by time, the next `pairs[1]` by height, the
 * last `pairs[2]` by width. `interleaved` (Qwen3-VL, Qwen3.5): pair i turns by height where i % 3 = 1 and i < 3 pairs[1], by width where i % 3 = 2 and
 * i < 3 pairs[2], else by time.
 */
export interface RopeSections {
  readonly order: 'consecutive' | 'interleaved';
  readonly pairs: readonly [time: number, height: number, width: number];
}

/** Formats of KV pages, by their code in a page's number. The bytes of each: `assembly/kv/layout.ts`. */
export const KV_FORMATS = ['f32', 'f16', 'q8', 'q4', 'q2'] as const;
export type KvFormat = (typeof KV_FORMATS)[number];

/** Contract 3: pages of 32 tokens of one layer and one KV head, keys after RoPE. */
export interface KvSpec {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of pages that are written token by token; pages of the other formats are made by `KvPool.convert` and `KvPool.write`. */
  readonly format: 'f32' | 'f16';
}
export const PAGE_TOKENS = 32;

/** A page's number: the code of its format above, its index in the pool's memory of that format below. */
const FORMAT_SHIFT = 27;
export function pageNumber(format: KvFormat, index: number): number {
  return (KV_FORMATS.indexOf(format) << FORMAT_SHIFT) | index;
}
/** The place of a page's format in KV_FORMATS; -1 for a number below 0, which is no page. */
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
 * The device's page memory for one model: one memory a format, each grown by `reserve`; contents survive. The host decides which
 * page belongs to which sequence (`src/kv/sequence.ts` counts references). All operations are ordered with the backend's others.
 */
export interface KvPool {
  readonly spec: KvSpec;
  /** Pages of `format` (default: the spec's) that exist. */
  pages(format?: KvFormat): number;
  /** Bytes of a page of `format`, the same on every device and on disk. */
  pageBytes(format?: KvFormat): number;
  /** Grows the memory of `format` to at least `pages` pages. */
  reserve(pages: number, format?: KvFormat): void;
  /** Gives back memory of pages from index `pages` on, of which the caller holds none; a device may keep a part of it. */
  shrink(pages: number, format?: KvFormat): void;
  /** Device copy of a whole page, for copy on write; both of one format. */
  copy(from: number, to: number): void;
  /** Decodes each page `from[i]` and encodes it into `to[i]`, in a format of its own: quantising, requantising, reopening. */
  convert(from: Int32Array, to: Int32Array): void;
  /** The bytes of `pages`, one after the other, once the operations issued so far are done. */
  read(pages: Int32Array): Promise<Uint8Array>;
  /** Sets the bytes of `pages`; `bytes` may be reused after the call. */
  write(pages: Int32Array, bytes: Uint8Array): void;
  free(): void;
}

/**
 * A sequence's view of a pool. `table[(layer * kvHeads + head) * blocks + block]` is the page that holds positions
 * `[32 block, 32 block + 32)`. The host changes `table` and bumps `version`; the backend uploads it when the version it saw is old.
 */
export interface KvView {
  readonly pool: KvPool;
  /** Capacity in blocks; `table.length = layers * kvHeads * blocks`. */
  readonly blocks: number;
  readonly table: Int32Array;
  readonly version: number;
  /** Formats that the table's pages have, the pool's own among them; default: only that. A kernel decodes no others. */
  readonly formats?: readonly KvFormat[];
  /**
   * RoPE's position of each slot up to the last that is appended, where slots are not their own positions: visual tokens that were dropped leave
   * gaps, and those of a picture stand in rows and columns. Everything but RoPE (ranges, causality, spans, the ring) counts slots. Default: slot p is
   * at position p on every axis.
   */
  readonly positions?: SlotPositions | undefined;
  /** Of models that have layers with state. */
  readonly state?: StateView | undefined;
}

/**
 * What layers that carry a state instead of keys (short convolutions, gated delta nets) read and give in one forward call: a fixed-size
 * tensor a layer, zeros at the beginning. An operation makes a new state of the one before and never changes it (`src/kv/state.ts`).
 */
export interface StateView {
  /** A layer's state before the call's first token; undefined: zeros. */
  before(layer: number): Tensor | undefined;
  /** Takes over the layer's state after the call's last token. Once a layer and call. */
  after(layer: number, state: Tensor): void;
}

/** [axes, slots]: 1 axis for text, 3 for M-RoPE. The host may change `values` between calls. */
export interface SlotPositions {
  readonly axes: number;
  readonly values: Int32Array;
}

/**
 * Contract 4, Ranges: for query block b (queries `[b * queryBlock, (b+1) * queryBlock)` of this call) and KV head h the keys that may be
 * seen are the runs `runs[2r], runs[2r+1])` (sorted, disjoint, `[start, end)` key positions) for r in
 * `[offsets[b * heads + h], offsets[b * heads + h + 1])`, `heads` being kvHeads, or 1 when `shared`. `causal` further limits every query to keys at or before its own position.
 * `dense(...)` in `src/kv/ranges.ts` makes the usual ones.
 */
export interface Ranges {
  readonly queryBlock: number;
  readonly shared: boolean;
  readonly causal: boolean;
  readonly offsets: Uint32Array;
  readonly runs: Uint32Array;
  /** [runs]; added to the scores of a run's keys after `scale`: ln(n) makes a key count n times (RazorAttention's compensation token). */
  readonly bias?: Float32Array;
}

/** Statistics of a group norm (Wu & He 2018) and what follows it: `act((x - mean) / sqrt(variance + epsilon) * weight + bias)`. */
export interface GroupNormSpec {
  /** [groups, 2] of `moments`, over the whole picture even where x is a band of it. */
  readonly moments: Tensor;
  /** [channels]; F32 */
  readonly weight: Weight;
  /** [channels]; F32 */
  readonly bias: Weight;
  readonly activation?: Activation;
}

/** Pictures are [height * width, channels], row-major; a kernel's rows are in (y, x, channel) order. */
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
  /** Applied to x before all else. */
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
  /** Undefined: no unconditional rows. */
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
  /** Multiplies q.k before the softmax. */
  readonly scale: number;
}

/** Contract 5, Probe: how much attention keys receive. */
export interface ProbeSpec extends AttentionSpec {
  /** Spans `[spans[2 i], spans[2 i + 1])` of key positions, in any order, overlapping or not; undefined: every key from 0 to the last that a query may see. */
  readonly spans?: Uint32Array;
}

/**
 * Parameters of one `sample` step. Order of application: mask, penalties, temperature, top-k, top-p, min-p, draw.
 * Equal logits are kept or dropped together: top-k keeps what reaches the k-th highest, top-p what has less than topP above it.
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

/** Device state of one generation: which ids were seen (for the penalties) and the token mask. */
export interface Sampler {
  readonly vocabulary: number;
  /** Forgets all ids, then marks `ids` as seen; those outside the vocabulary are ignored. */
  reset(ids: Int32Array): void;
  /** Bit i of word i >> 5 set: id i is allowed. `undefined` allows all. Length ceil(vocabulary / 32). */
  mask(bits: Uint32Array | undefined): void;
  free(): void;
}

export interface MemoryUse {
  /** Bytes on the device by purpose, and how many allocations they are. */
  readonly weights: number;
  readonly kv: number;
  readonly activations: number;
  readonly allocations: number;
}

export interface Backend {
  readonly kind: BackendKind;
  /** A description for people: the WASM build and its threads, or the adapter's name. */
  readonly description: string;
  /** Resolves with the error when the device is lost; never rejects. */
  readonly lost: Promise<Error>;

  // memory
  weight(spec: WeightSpec): WeightWriter;
  /** A tensor from host values (copied). */
  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor;
  /** An uninitialised i32 tensor outside all scopes: the id ring of a session. */
  ids(length: number): Tensor;
  /** Writes host ids into `ring` at `offset`, ordered with the operations around it. */
  writeIds(ring: Tensor, offset: number, ids: Int32Array): void;
  /** Waits for the device, then copies out. */
  download(tensor: Tensor): Promise<Float32Array>;
  /** Ids `[start, end)` of the ring once the operations issued so far are done; later operations may be issued meanwhile. */
  readIds(ring: Tensor, start: number, end: number): Promise<Int32Array>;
  scope<T extends Tensor | readonly Tensor[] | void>(body: () => T): T;
  keep<T extends Tensor>(tensor: T): T;
  free(tensor: Tensor): void;
  kvPool(spec: KvSpec): KvPool;
  sampler(vocabulary: number): Sampler;
  /** Hands issued operations to the device without waiting. */
  flush(): void;
  /** Resolves when everything issued so far is done. */
  idle(): Promise<void>;
  memory(): MemoryUse;
  destroy(): void;

  // operations; T is the number of rows (tokens)
  /** ids `[start, start + count)` of `ring` -> rows of `table` [vocabulary, cols], decoded, times `scale` (default 1): [count, cols]. For an id outside the table (-1 after a failed sample) the row is NaN, and nothing outside the table is read. */
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
  /** Rows of x normalised, with `residual` (of x's shape) added where it is given: same shape. */
  norm(x: Tensor, spec: NormSpec, residual?: Tensor): Tensor;
  /** Rows `[start, start + count)` of x: a copy. */
  rows(x: Tensor, start: number, count: number): Tensor;
  /**
   * ToDRE's choice (2505.18757) of k among the rows of x that `rows` names, by the least sum of cosines with those chosen before: places in `rows`, in the order
   * of choice, the same as `assembly/select/todre.ts` makes; `pivot` as there. Resolves with undefined where rounding on this device leaves the choice open. Absent on
   * backends whose memory the host reads directly, where the host chooses.
   */
  diverse?(x: Tensor, rows: Int32Array, k: number, pivot: number): Promise<Int32Array | undefined>;
  /** The rows of x that `indices` name, in their order: [indices.length, cols]; zeros for -1. */
  take(x: Tensor, indices: Int32Array): Tensor;
  /** All rows of the first, then all of the second, ...: [sum T_i, cols]. */
  stack(xs: readonly Tensor[]): Tensor;
  /** Each `count` rows of x, of which there is a multiple, side by side: [T / count, count * cols]. */
  fold(x: Tensor, count: number): Tensor;
  /** act(a + b): the shape of a; b has as many rows, or one that serves all. */
  add(a: Tensor, b: Tensor, activation?: Activation): Tensor;
  /** Layer norm with scale and shift a row: the shape of x. */
  modulate(x: Tensor, spec: ModulateSpec): Tensor;
  /** x + y * gate, gate being `x`'s width of columns of `modulation` [T, any] from `column` on: the shape of x. */
  gatedAdd(x: Tensor, y: Tensor, modulation: Tensor, column: number): Tensor;
  /** Mean and 1 / sqrt(variance + epsilon) of each of `groups` equal groups of channels over all rows of all bands: [groups, 2]. */
  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor;
  /** A group norm by itself: the shape of x. */
  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor;
  /** Convolution (cross-correlation) of a picture with weight [rows, kernel * kernel * channels]: [out height * out width, rows]. */
  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor;
  /** x [n, C], predicted [n or, with guidance, 2 n: conditional rows first, 2 C: prediction then variance], noise [n, C]: the next x, [n, C]. */
  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor;
  /**
   * Splits qkv [T, (heads + 2 kvHeads) * headDim]; normalises each head's q and k (when given, RMS over headDim), rotates both (when `rope` is given) by their
   * positions (`position .. position + T - 1`, or what the view's `positions` say of these slots), writes k and v into the view's pages of `layer`, and returns q [T, heads * headDim].
   */
  ropeAppend(
    qkv: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    options: { readonly heads: number; readonly rope?: RopeSpec; readonly qNorm?: NormSpec; readonly kNorm?: NormSpec },
  ): Tensor;
  /** q [T, heads * headDim] at positions `position ..` over the view's pages of `layer`: [T, heads * headDim]; zeros where a query sees no key. */
  attention(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: AttentionSpec): Tensor;
  /**
   * For the queries q [T, heads * headDim] at positions `position ..`: the attention mass (after the softmax over what `ranges` lets each see) on every
   * key or span, per query head, averaged over the queries: [heads, keys or spans]. The matrix [T, keys] is never made. Queries that see no key count as zeros.
   */
  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor;
  /** Keys or values `[start, end)` of `layer`, decoded, KV heads side by side: [end - start, kvHeads * headDim]; zeros where there is no page. */
  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor;
  /** Mean of the keys (or values) in each span of positions, zeros for an empty one: [spans, kvHeads * headDim]. */
  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor;
  /** Mean of the rows of x in each span of rows, zeros for an empty one: [spans, cols]. */
  rowMeans(x: Tensor, spans: Uint32Array): Tensor;
  /**
   * Draws one id from logits [1, vocabulary] and writes it to `ring[index]`; marks it as seen. The draw is the inverse CDF over the kept ids in id order at
   * u = uniform(seed, index) of `src/backend/random.ts`, so that equal logits give equal ids on every backend.
   * NaN or +Infinity among the allowed logits, or no id allowed above -Infinity, writes -1.
   */
  sample(logits: Tensor, sampler: Sampler, spec: SampleSpec, ring: Tensor, index: number): void;
}
