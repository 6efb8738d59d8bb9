/**
 * The bridge: the only file that touches the WASM instance. Pointers are unsigned byte addresses.
 * Views are made anew whenever the memory's buffer changes identity, so none may be kept across a call that allocates.
 */
import { DeviceError } from './errors.ts';

export const WASM_BUILDS = ['relaxed-threads', 'simd-threads', 'relaxed', 'simd', 'scalar'] as const;
export type WasmBuild = (typeof WASM_BUILDS)[number];

/** assembly/memory.ts */
interface MemoryExports {
  alloc(size: number): number;
  release(pointer: number): void;
  allocated(): number;
}

/** assembly/tokenize/ */
export interface TokenizeExports {
  splitPieces(
    automaton: number,
    text: number,
    pieces: number,
    count: number,
    final: number,
    behaviour: number,
    invert: number,
    output: number,
  ): number;
  hashVocabulary(vocabulary: number): void;
  hashMerges(vocabulary: number, text: number, bounds: number, count: number, last: number): number;
  hashSplits(vocabulary: number, ranks: number, insert: number): number;
  clearPairs(vocabulary: number): void;
  findEntry(vocabulary: number, at: number, length: number): number;
  encodePieces(vocabulary: number, text: number, pieces: number, count: number, output: number): number;
}

/** assembly/select/{todre,divprune,cdpruner,showui}.ts: which visual tokens are kept. */
export interface VisualExports {
  todre(
    out: number,
    x: number,
    rows: number,
    n: number,
    d: number,
    k: number,
    pivot: number,
    threshold: number,
    flags: number,
    work: number,
  ): number;
  todreWorkBytes(n: number, d: number): number;
  divprune(
    out: number,
    x: number,
    rows: number,
    n: number,
    d: number,
    k: number,
    pivot: number,
    threshold: number,
    work: number,
  ): number;
  divpruneWorkBytes(n: number): number;
  cdpruner(
    out: number,
    x: number,
    rows: number,
    n: number,
    d: number,
    k: number,
    relevant: number,
    work: number,
  ): number;
  cdprunerWorkBytes(n: number, k: number): number;
  relevance(
    out: number,
    x: number,
    rows: number,
    n: number,
    d: number,
    question: number,
    order: number,
    asked: number,
    negated: number,
    work: number,
  ): number;
  components(labels: number, x: number, rows: number, columns: number, width: number, threshold: number): number;
}

/** assembly/kernels/matmul/ */
export interface MatmulExports {
  rowTile(format: number): number;
  packedBytes(format: number, rows: number, cols: number): number;
  packRows(
    packed: number,
    source: number,
    format: number,
    rowStart: number,
    rowCount: number,
    rows: number,
    cols: number,
  ): void;
  usesInt8(format: number): number;
  activationBytes(count: number, cols: number): number;
  quantiseActivations(prepared: number, x: number, count: number, cols: number): void;
  quantiseActivationRows(prepared: number, x: number, count: number, cols: number, start: number, end: number): void;
  matmulScratchBytes(): number;
  matmul(
    out: number,
    outStride: number,
    activations: number,
    weight: number,
    format: number,
    rowStart: number,
    rowEnd: number,
    rows: number,
    cols: number,
    count: number,
    scratch: number,
  ): void;
  decodeRow(out: number, weight: number, format: number, row: number, rows: number, cols: number): void;
  relaxedDot(): number;
  assumeRelaxedDot(kind: number): void;
}

/** assembly/kernels/ and assembly/kv/; operations take an argument block and return 1 when a pool thread was lost. */
interface KernelExports {
  pageBytes(format: number, headDim: number): number;
  widen(out: number, halves: number, count: number): void;
  narrow(out: number, floats: number, count: number): void;
  checksums(out: number, bytes: number, lengths: number, seeds: number, count: number): void;
  activateRow(out: number, x: number, count: number, kind: number): void;
  expRow(out: number, x: number, count: number): void;
  workerLoop(pool: number, thread: number): void;
  stopPool(pool: number): void;
  linear(args: number): number;
  gatedMlp(args: number): number;
  norm(args: number): number;
  embed(args: number): number;
  linearScratchBytes(tileRows: number, count: number): number;
  ropeAppend(args: number): number;
  ropeScratchBytes(headDim: number): number;
  attention(args: number): number;
  attentionScratchBytes(args: number): number;
  attentionPartialBytes(args: number): number;
  convertPages(args: number): number;
  convertScratchBytes(headDim: number): number;
  probe(args: number): number;
  probeScratchBytes(args: number): number;
  probeStateBytes(args: number): number;
  cached(args: number): number;
  spanMeans(args: number): number;
  spanMeansScratchBytes(headDim: number): number;
  rowMeans(args: number): number;
  take(args: number): number;
  add(args: number): number;
  modulate(args: number): number;
  gatedAdd(args: number): number;
  denoise(args: number): number;
  moments(args: number): number;
  momentsScratchBytes(channels: number): number;
  momentsPartialBytes(args: number): number;
  groupNorm(args: number): number;
  conv2d(args: number): number;
  convPreparedBytes(args: number): number;
  convScratchBytes(args: number): number;
  sample(args: number): void;
  sampleWorkBytes(vocabulary: number): number;
  uniform(seed: number, index: number): number;
}

/** assembly/select/{dhsa,boundary,chunks,flex}.ts: which keys the queries of a prompt may see. */
export interface PrefillExports {
  chooseChunks(args: number): number;
  choiceScratchBytes(chunks: number, kvHeads: number, dim: number): number;
  unrotate(
    keys: number,
    cos: number,
    sin: number,
    rows: number,
    heads: number,
    dim: number,
    half: number,
    interleaved: number,
  ): void;
  gapScores(out: number, keys: number, count: number, width: number, w: number): void;
  keepPeaks(
    out: number,
    scores: number,
    marks: number,
    count: number,
    first: number,
    threshold: number,
    radius: number,
    most: number,
    last: number,
    forced: number,
  ): number;
  boundaryScores(args: number): void;
  boundaryScratchBytes(count: number, width: number, w: number): number;
  jensenShannon(p: number, q: number, n: number): number;
  blockMass(
    out: number,
    q: number,
    vectors: number,
    stride: number,
    n: number,
    dim: number,
    group: number,
    scale: number,
    last: number,
    scratch: number,
  ): void;
  cover(marks: number, mass: number, n: number, share: number, most: number, histogram: number): number;
  lineRuns(
    out: number,
    seen: number,
    vertical: number,
    slash: number,
    bins: number,
    width: number,
    start: number,
    end: number,
    sinks: number,
    local: number,
  ): number;
}

/** assembly/select/{tokens,evict,streaming}.ts: which keys a generated token sees, which pages stay. */
export interface KeyExports {
  addRows(out: number, x: number, rows: number, cols: number): void;
  dotRows(out: number, rows: number, q: number, count: number, cols: number, stride: number): void;
  bestOf(marks: number, scores: number, count: number, k: number, histogram: number): number;
  bestScratchBytes(): number;
  markedRuns(runs: number, marks: number, count: number, base: number): number;
  fillBest(marks: number, scores: number, lengths: number, count: number, budget: number, heap: number): number;
  poolMax(out: number, x: number, count: number, width: number): void;
  poolMean(out: number, x: number, count: number, width: number): void;
  pageSums(out: number, x: number, count: number): void;
  relativeError(full: number, kept: number, count: number): number;
  mergeMeans(mean: number, weight: number, added: number, more: number, cols: number): void;
  repeatRow(out: number, row: number, cols: number, count: number): void;
}

export type WasmExports = MemoryExports &
  TokenizeExports &
  MatmulExports &
  KernelExports &
  VisualExports &
  PrefillExports &
  KeyExports;

const PAGE = 65536;
/** 4 GiB: what a 32-bit memory can address. */
const MAXIMUM_PAGES = 65536;

export class Wasm {
  readonly build: WasmBuild;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly exports: WasmExports;
  #u8 = new Uint8Array(0);
  #i32 = new Int32Array(0);
  #u32 = new Uint32Array(0);
  #f32 = new Float32Array(0);

  constructor(build: WasmBuild, module: WebAssembly.Module, memory: WebAssembly.Memory, exports: WasmExports) {
    this.build = build;
    this.module = module;
    this.memory = memory;
    this.exports = exports;
  }

  /** Bytes `[pointer, pointer + length)`; valid until the next allocation. */
  bytes(pointer: number, length: number): Uint8Array {
    if (this.#u8.buffer !== this.memory.buffer) this.#refresh();
    return this.#u8.subarray(pointer, pointer + length);
  }
  /** All of memory as words, and as f32: index by `pointer >>> 2`. Valid until the next allocation. */
  words(): Uint32Array {
    if (this.#u32.buffer !== this.memory.buffer) this.#refresh();
    return this.#u32;
  }
  floats(): Float32Array {
    if (this.#f32.buffer !== this.memory.buffer) this.#refresh();
    return this.#f32;
  }
  i32(pointer: number, length: number): Int32Array {
    if (this.#i32.buffer !== this.memory.buffer) this.#refresh();
    return this.#i32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }
  u32(pointer: number, length: number): Uint32Array {
    if (this.#u32.buffer !== this.memory.buffer) this.#refresh();
    return this.#u32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }
  f32(pointer: number, length: number): Float32Array {
    if (this.#f32.buffer !== this.memory.buffer) this.#refresh();
    return this.#f32.subarray(pointer >>> 2, (pointer >>> 2) + length);
  }

  /** 64-byte aligned, uninitialised; the caller frees it. Throws `DeviceError('out-of-memory')`. */
  alloc(size: number): number {
    const pointer = this.tryAlloc(size);
    if (pointer === 0) {
      const held = this.exports.allocated() >>> 0;
      throw new DeviceError(
        'out-of-memory',
        `WASM memory: no room for ${size} more bytes with ${held} in use (4 GiB at most, less where the browser refuses to grow); ` +
          'use a smaller model or weight format, a shorter context, or free other models',
        { size, held },
      );
    }
    return pointer;
  }
  /** As `alloc`, with 0 where there is no room. Sizes beyond 32 bits are allowed, and never fit. */
  tryAlloc(size: number): number {
    return size < MAXIMUM_PAGES * PAGE ? this.exports.alloc(size) >>> 0 : 0;
  }
  free(pointer: number): void {
    this.exports.release(pointer);
  }

  #refresh(): void {
    const { buffer } = this.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f32 = new Float32Array(buffer);
  }
}

/** The memory that a build imports: shared for the threaded ones. */
export function createMemory(build: WasmBuild): WebAssembly.Memory {
  const shared = build.endsWith('-threads');
  try {
    return new WebAssembly.Memory({ initial: 64, maximum: MAXIMUM_PAGES, shared });
  } catch (cause) {
    throw new DeviceError(
      'out-of-memory',
      `WASM memory: the engine refuses to reserve ${MAXIMUM_PAGES * PAGE} bytes of address space`,
      {},
      { cause },
    );
  }
}

/** Instantiates one build's module; every instance of a threaded build shares `memory`. */
export async function instantiate(
  build: WasmBuild,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory = createMemory(build),
): Promise<Wasm> {
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  // The exports' types are written here by hand; test/wasm.test.ts holds them against the module.
  return new Wasm(build, module, memory, instance.exports as unknown as WasmExports);
}
