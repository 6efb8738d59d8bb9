/** The exports of the WASM module. Every function takes and returns numbers only. */
export { alloc, release, allocated } from './memory';
export { splitPieces } from './tokenize/automaton';
export { hashVocabulary, hashMerges, hashSplits, clearPairs, findEntry } from './tokenize/vocabulary';
export { encodePieces } from './tokenize/pieces';
export { pageBytes } from './kv/layout';
export { widen, narrow } from './kv/half';
export { checksums } from './kv/checksum';
export { todre, todreWorkBytes } from './select/todre';
export { divprune, divpruneWorkBytes } from './select/divprune';
export { cdpruner, cdprunerWorkBytes, relevance } from './select/cdpruner';
export { components } from './select/showui';
export { activateRow, expRow } from './kernels/math';
export { sample, sampleWorkBytes, uniform } from './kernels/sample';
export {
  rowTile, packedBytes, packRows, usesInt8, activationBytes, quantiseActivations, quantiseActivationRows,
  matmulScratchBytes, matmul, decodeRow, relaxedDot, assumeRelaxedDot,
} from './kernels/matmul/index';
export { workerLoop, stopPool } from './kernels/pool';
export { linear, gatedMlp, norm, embed, linearScratchBytes } from './kernels/linear';
export { ropeAppend, ropeScratchBytes } from './kernels/rope';
export { hadamard } from './kernels/hadamard';
export { attention, attentionScratchBytes, attentionPartialBytes } from './kernels/attention';
export { convertPages, convertScratchBytes } from './kv/quantise';
export { coarseBytes } from './kernels/coarse';
export { probe, probeScratchBytes, probeStateBytes } from './kernels/probe';
export { cached, spanMeans, spanMeansScratchBytes, rowMeans } from './kernels/cached';
export { take, add, modulate, gatedAdd, denoise } from './kernels/rowwise';
export { shortConv, deltaRule, deltaScratchBytes, deltaGateBytes } from './kernels/recurrent';
export { moments, momentsScratchBytes, momentsPartialBytes, groupNorm } from './kernels/group-norm';
export { conv2d, convPreparedBytes, convScratchBytes } from './kernels/conv';
export { chooseChunks, choiceScratchBytes } from './select/chunks';
export { unrotate, gapScores, keepPeaks } from './select/dhsa';
export { boundaryScores, boundaryScratchBytes } from './select/boundary';
export { jensenShannon, blockMass, cover, lineRuns } from './select/flex';
export { addRows, dotRows, bestOf, bestScratchBytes, markedRuns, fillBest } from './select/tokens';
export { poolMax, poolMean, pageSums, relativeError } from './select/evict';
export { mergeMeans, repeatRow } from './select/streaming';
