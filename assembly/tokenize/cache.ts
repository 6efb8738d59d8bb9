/**
 * A direct-mapped cache from short pieces to their ids, since natural text repeats its words.
 *
 *   Entry (64 bytes): | bytes: 3 x u64, zero-padded | length: u32, 0: empty | count: u32 | ids: 8 x i32 |
 */
export const CACHED_BYTES: u32 = 24;
export const CACHED_IDS: u32 = 8;

/** Returns the `length` (1 to 8) bytes at `at` as a number. It reads 8 bytes, so texts are padded. */
@inline
function word(at: usize, length: u32): u64 {
  return load<u64>(at) & (0xffffffffffffffff >> (<u64>(64 - (length << 3))));
}

// The key of the piece with which `cacheEntry` was last called.
let k0: u64 = 0;
let k1: u64 = 0;
let k2: u64 = 0;

/** Returns the only entry that can hold a given piece of 1 to CACHED_BYTES bytes. */
@inline
export function cacheEntry(cache: usize, mask: u32, at: usize, length: u32): usize {
  if (length <= 8) {
    k0 = word(at, length);
    k1 = 0;
    k2 = 0;
  } else if (length <= 16) {
    k0 = load<u64>(at);
    k1 = word(at + 8, length - 8);
    k2 = 0;
  } else {
    k0 = load<u64>(at);
    k1 = load<u64>(at, 8);
    k2 = word(at + 16, length - 16);
  }
  let h = k0 * 0x9e3779b97f4a7c15;
  h = (h ^ (h >> 32) ^ k1) * 0xd6e8feb86659fd93;
  h = (h ^ (h >> 32) ^ k2) * 0xa0761d6478bd642f;
  return cache + ((<usize>(<u32>(h >> 32) & mask)) << 6);
}

@inline
export function cacheHit(entry: usize, length: u32): bool {
  return load<u32>(entry, 24) == length && load<u64>(entry) == k0 && load<u64>(entry, 8) == k1 &&
    load<u64>(entry, 16) == k2;
}

/** Copies the ids of a hit to `ids`, always 8 of them (the caller has memory for 8), and returns how many are valid. */
@inline
export function cacheCopy(entry: usize, ids: usize): u32 {
  const count = load<u32>(entry, 28);
  store<u32>(ids, load<u32>(entry, 32));
  if (count > 1) {
    store<u32>(ids, load<u32>(entry, 36), 4);
    for (let i: u32 = 2; i < count; ++i) store<u32>(ids + (<usize>i << 2), load<u32>(entry + 32 + (<usize>i << 2)));
  }
  return count;
}

/** Stores the ids of the piece with which `cacheEntry` was last called, if they are few enough. */
export function cacheStore(entry: usize, length: u32, ids: usize, count: u32): void {
  if (count > CACHED_IDS || count == 0) return;
  store<u64>(entry, k0);
  store<u64>(entry, k1, 8);
  store<u64>(entry, k2, 16);
  store<u32>(entry, length, 24);
  store<u32>(entry, count, 28);
  for (let i: u32 = 0; i < count; ++i) store<u32>(entry + 32 + (<usize>i << 2), load<u32>(ids + (<usize>i << 2)));
}
