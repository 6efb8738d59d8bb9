/**
 * Checksums of stored pages: XXH64, as defined in "xxHash fast digest algorithm", version 0.2.0
 * (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). Four independent 64-bit multiplications a step run at the speed of
 * memory on a scalar core and need no tables, unlike CRC32C; WASM has no carry-less multiplication. The checksum
 * detects damage, not forgery.
 *
 * Every page has a seed of its own (made from the record it belongs to and its index there), so that an intact page in
 * the wrong place is detected, too.
 */

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

@inline
function round(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * PRIME_2, 31) * PRIME_1;
}

@inline
function merge(hash: u64, accumulator: u64): u64 {
  return (hash ^ round(0, accumulator)) * PRIME_1 + PRIME_4;
}

/** Returns the XXH64 of `[at, at + length)`. */
function xxh64(at: usize, length: usize, seed: u64): u64 {
  const end = at + length;
  let hash: u64;
  if (length >= 32) {
    let a = seed + PRIME_1 + PRIME_2;
    let b = seed + PRIME_2;
    let c = seed;
    let d = seed - PRIME_1;
    for (; at + 32 <= end; at += 32) {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
    }
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  } else {
    hash = seed + PRIME_5;
  }
  hash += <u64>length;
  for (; at + 8 <= end; at += 8) hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4;
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++) hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME_5), 11) * PRIME_1;
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  return hash ^ (hash >> 32);
}

/**
 * out[i] (u64) = XXH64 of piece i with seeds[i] (u64). The pieces follow each other from `bytes` on and have lengths[i]
 * (u32) bytes each.
 */
export function checksums(out: usize, bytes: usize, lengths: usize, seeds: usize, count: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const length = <usize>load<u32>(lengths + (i << 2));
    store<u64>(out + (i << 3), xxh64(bytes, length, load<u64>(seeds + (i << 3))));
    bytes += length;
  }
}
