/** What the WASM module exports: every function takes and returns numbers only. */
export { alloc, release, allocated } from './memory';
