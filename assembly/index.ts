/** What the WASM module exports: every function takes and returns numbers only. */
export { alloc, release, allocated } from './memory';
export { splitPieces } from './tokenize/automaton';
export { hashVocabulary, hashMerges, hashSplits, clearPairs, findEntry } from './tokenize/vocabulary';
export { encodePieces } from './tokenize/pieces';
