/** What is used of hash-wasm: a module of its own, so that fetching it does not fetch all of the library. */
export { createSHA256, sha256 } from 'hash-wasm';
