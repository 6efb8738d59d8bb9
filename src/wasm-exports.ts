// Made by tools/layouts.mjs from assembly/. Do not edit: change the sources there and run `npm run layouts`.

/** What the WASM module exports; pointers are byte addresses. Operations that take `args` read an argument block, and return 1 when a pool thread was lost. */
export interface WasmExports {
  // assembly/memory.ts
  alloc(size: number): number;
  release(pointer: number): void;
  allocated(): number;

  // assembly/tokenize/automaton.ts
  splitPieces(automaton: number, text: number, pieces: number, count: number, final: number, mode: number, invert: number, output: number): number;

  // assembly/tokenize/vocabulary.ts
  hashVocabulary(vocabulary: number): void;
  hashMerges(vocabulary: number, text: number, bounds: number, count: number, last: number): number;
  hashSplits(vocabulary: number, ranks: number, insert: number): number;
  clearPairs(vocabulary: number): void;
  findEntry(vocabulary: number, at: number, length: number): number;

  // assembly/tokenize/pieces.ts
  encodePieces(vocabulary: number, text: number, pieces: number, count: number, output: number): number;

  // assembly/kv/layout.ts
  pageBytes(format: number, headDim: number): number;

  // assembly/kv/half.ts
  widen(dst: number, src: number, n: number): void;
  narrow(dst: number, src: number, n: number): void;

  // assembly/kv/checksum.ts
  checksums(out: number, bytes: number, lengths: number, seeds: number, count: number): void;

  // assembly/select/todre.ts
  todre(out: number, x: number, rows: number, n: number, d: number, k: number, pivot: number, threshold: number, flags: number, work: number): number;
  todreWorkBytes(n: number, d: number): number;

  // assembly/select/divprune.ts
  divprune(out: number, x: number, rows: number, n: number, d: number, k: number, pivot: number, threshold: number, work: number): number;
  divpruneWorkBytes(n: number): number;

  // assembly/select/cdpruner.ts
  cdpruner(out: number, x: number, rows: number, n: number, d: number, k: number, relevant: number, work: number): number;
  cdprunerWorkBytes(n: number, k: number): number;
  relevance(out: number, x: number, rows: number, n: number, d: number, question: number, order: number, asked: number, negated: number, work: number): number;

  // assembly/select/showui.ts
  components(labels: number, x: number, rows: number, columns: number, width: number, threshold: number): number;

  // assembly/kernels/math.ts
  activateRow(y: number, x: number, n: number, kind: number): void;
  expRow(y: number, x: number, n: number): void;

  // assembly/kernels/sample.ts
  sample(args: number): void;
  sampleWorkBytes(vocabulary: number): number;
  uniform(seed: number, index: number): number;

  // assembly/kernels/matmul/index.ts
  rowTile(format: number): number;
  packedBytes(format: number, rows: number, cols: number): number;
  packRows(dst: number, src: number, format: number, rowStart: number, rowCount: number, rows: number, cols: number): void;
  usesInt8(format: number): number;
  activationBytes(count: number, cols: number): number;
  quantiseActivations(dst: number, x: number, count: number, cols: number): void;
  quantiseActivationRows(dst: number, x: number, count: number, cols: number, start: number, end: number): void;
  matmulScratchBytes(): number;
  matmul(out: number, outStride: number, activations: number, weight: number, format: number, rowStart: number, rowEnd: number, rows: number, cols: number, count: number, scratch: number, streams: number): void;
  decodeRow(dst: number, weight: number, format: number, row: number, rows: number, cols: number): void;
  relaxedDot(): number;
  assumeRelaxedDot(kind: number): void;

  // assembly/kernels/pool.ts
  workerLoop(pool: number, thread: number): void;
  stopPool(pool: number): void;

  // assembly/kernels/linear.ts
  linear(args: number): number;
  gatedMlp(args: number): number;
  norm(args: number): number;
  embed(args: number): number;
  linearScratchBytes(tileRows: number, count: number): number;

  // assembly/kernels/rope.ts
  ropeAppend(args: number): number;
  ropeScratchBytes(headDim: number): number;

  // assembly/kernels/hadamard.ts
  hadamard(x: number, count: number, width: number): void;

  // assembly/kernels/attention.ts
  attention(args: number): number;
  attentionScratchBytes(args: number): number;
  attentionPartialBytes(args: number): number;

  // assembly/kv/quantise.ts
  convertPages(args: number): number;
  convertScratchBytes(headDim: number): number;

  // assembly/kernels/coarse.ts
  coarseBytes(kvHeads: number, d: number, blocks: number): number;

  // assembly/kernels/probe.ts
  probe(args: number): number;
  probeScratchBytes(args: number): number;
  probeStateBytes(args: number): number;

  // assembly/kernels/cached.ts
  cached(args: number): number;
  spanMeans(args: number): number;
  spanMeansScratchBytes(headDim: number): number;
  rowMeans(args: number): number;

  // assembly/kernels/rowwise.ts
  take(args: number): number;
  add(args: number): number;
  modulate(args: number): number;
  gatedAdd(args: number): number;
  denoise(args: number): number;

  // assembly/kernels/recurrent.ts
  shortConv(args: number): number;
  deltaRule(args: number): number;
  deltaScratchBytes(keyDim: number, valueDim: number): number;
  deltaGateBytes(count: number, valueHeads: number): number;

  // assembly/kernels/group-norm.ts
  moments(args: number): number;
  momentsScratchBytes(channels: number): number;
  momentsPartialBytes(args: number): number;
  groupNorm(args: number): number;

  // assembly/kernels/conv.ts
  conv2d(args: number): number;
  convPreparedBytes(args: number): number;
  convScratchBytes(args: number): number;

  // assembly/select/chunks.ts
  chooseChunks(args: number): number;
  choiceScratchBytes(chunks: number, kvHeads: number, dim: number): number;

  // assembly/select/dhsa.ts
  unrotate(keys: number, cos: number, sin: number, rows: number, heads: number, dim: number, half: number, interleaved: number): void;
  gapScores(out: number, keys: number, count: number, width: number, w: number): void;
  keepPeaks(out: number, scores: number, marks: number, count: number, first: number, threshold: number, radius: number, most: number, last: number, forced: number): number;

  // assembly/select/boundary.ts
  boundaryScores(args: number): void;
  boundaryScratchBytes(count: number, width: number, w: number): number;

  // assembly/select/flex.ts
  jensenShannon(p: number, q: number, n: number): number;
  blockMass(out: number, q: number, vectors: number, stride: number, n: number, dim: number, group: number, scale: number, last: number, scratch: number): void;
  cover(marks: number, mass: number, n: number, share: number, most: number, histogram: number): number;
  lineRuns(out: number, seen: number, vertical: number, slash: number, bins: number, width: number, start: number, end: number, sinks: number, local: number): number;

  // assembly/select/tokens.ts
  addRows(out: number, x: number, rows: number, cols: number, stride: number): void;
  dotRows(out: number, rows: number, q: number, count: number, cols: number, stride: number): void;
  bestOf(marks: number, scores: number, count: number, k: number, histogram: number): number;
  bestScratchBytes(): number;
  markedRuns(runs: number, marks: number, count: number, base: number): number;
  fillBest(marks: number, scores: number, lengths: number, count: number, budget: number, heap: number): number;

  // assembly/select/evict.ts
  poolMax(out: number, x: number, count: number, width: number): void;
  poolMean(out: number, x: number, count: number, width: number): void;
  pageSums(out: number, x: number, count: number): void;
  relativeError(full: number, kept: number, count: number): number;

  // assembly/select/streaming.ts
  mergeMeans(mean: number, weight: number, added: number, more: number, cols: number): void;
  repeatRow(out: number, row: number, cols: number, count: number): void;
}
