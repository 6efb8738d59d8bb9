/**
 * Checksums of stored bytes, in blocks, so that a part can be checked without reading everything. They detect damage
 * (flipped bits, lost or exchanged blocks), not forgery: code that can write into the store can also write the sums.
 */

export const BLOCK_BYTES = 256 << 10;

/**
 * Returns the sums of all blocks of `bytes`; `seed` distinguishes records, so that one in the place of another is
 * detected.
 */
export function blockSums(bytes: Uint8Array, seed: number): Uint32Array {
  const sums = new Uint32Array(Math.ceil(bytes.length / BLOCK_BYTES));
  for (let i = 0; i < sums.length; i++) sums[i] = sumOf(bytes, i, seed);
  return sums;
}

/**
 * Checks `bytes`, which begin at block `first`; the last block may be the record's last, shorter one. Returns true when
 * all sums are correct.
 */
export function sumsMatch(bytes: Uint8Array, first: number, sums: Uint32Array, seed: number): boolean {
  const count = Math.ceil(bytes.length / BLOCK_BYTES);
  for (let i = 0; i < count; i++) if (sums[first + i] !== sumOf(bytes, i, seed, first + i)) return false;
  return true;
}

/**
 * Processes words of 32 bits in four lanes, which the processor computes in parallel, then the remaining bytes. Each
 * step (exclusive or, product with an odd number, rotation) is a bijection of the sum, so a change within one word is
 * always detected, and other changes with a probability of 1 - 2^-32.
 */
function sumOf(bytes: Uint8Array, index: number, seed: number, block = index): number {
  const from = index * BLOCK_BYTES;
  const length = Math.min(BLOCK_BYTES, bytes.length - from);
  const words = (length >>> 4) << 2;
  const at = bytes.byteOffset + from;
  const view =
    at % 4 === 0
      ? new Uint32Array(bytes.buffer, at, words)
      : new Uint32Array(bytes.slice(from, from + 4 * words).buffer);
  let a = 0x811c9dc5 ^ seed;
  let b = 0x9dc5811c ^ block;
  let c = 0x1c9dc581 ^ length;
  let d = 0xc5811c9d;
  for (let i = 0; i < words; i += 4) {
    a = Math.imul(a ^ (view[i] as number), FACTOR);
    b = Math.imul(b ^ (view[i + 1] as number), FACTOR);
    c = Math.imul(c ^ (view[i + 2] as number), FACTOR);
    d = Math.imul(d ^ (view[i + 3] as number), FACTOR);
    a = (a << 13) | (a >>> 19);
    b = (b << 13) | (b >>> 19);
    c = (c << 13) | (c >>> 19);
    d = (d << 13) | (d >>> 19);
  }
  let sum = a;
  for (const lane of [b, c, d]) sum = step(sum, lane);
  for (let i = from + 4 * words; i < from + length; i++) sum = step(sum, bytes[i] ?? 0);
  return (sum ^ (sum >>> 15)) >>> 0;
}

function step(sum: number, word: number): number {
  const product = Math.imul(sum ^ word, FACTOR);
  return (product << 13) | (product >>> 19);
}

/** Odd, with bits in all positions (the 32-bit golden ratio). */
const FACTOR = 0x9e3779b1;
