/**
 * A vocabulary in WASM memory and its hash tables. The host allocates and fills everything (see `src/text/encoder.ts`).
 * The records are
 *
 *   Vocabulary (u32 fields):
 *     | offsets | bytes | count | tokens | slots | slotMask | pairs | pairMask | byteIds | characterIds | unknown |
 *     | flags | cache | cacheMask | scratch | scratchSymbols | produced | scores | longest | wordLimit |
 *     | unknownScore: f64 | kind | spans |
 *   Slot: | hash: u32 | id: u32 |                      empty: id = 2^32 - 1
 *   Pair: | left: u32, right: u32 | rank: u32 | id: u32 |   empty: left = right = 2^32 - 1
 */
import { characterBytes } from './utf8';

export const NONE: u32 = 0xffffffff;

/** Values of `kind`: the algorithm that turns pieces into ids. */
export const MERGES: u32 = 0;
export const UNIGRAM: u32 = 1;
export const WORDPIECE: u32 = 2;

/** Bits of `flags`. */
export const BYTE_LEVEL: u32 = 1;
export const BYTE_FALLBACK: u32 = 2;
export const FUSE_UNKNOWN: u32 = 4;
export const IGNORE_MERGES: u32 = 8;
export const DROP_UNKNOWN: u32 = 16;

@unmanaged
export class Vocabulary {
  /** u32[count + 1]: the offset at which the bytes of each entry start. */
  offsets: u32;
  bytes: u32;
  /** The number of entries: tokens, then characters that are not tokens but parts of tokens. */
  count: u32;
  tokens: u32;
  slots: u32;
  slotMask: u32;
  pairs: u32;
  pairMask: u32;
  /** i32[256]: the token of a byte, or -1. */
  byteIds: u32;
  /** u32[128]: the entry of an ASCII character, or NONE. */
  characterIds: u32;
  /** The unknown token; with NONE unknown characters are left out. */
  unknown: u32;
  flags: u32;
  cache: u32;
  cacheMask: u32;
  scratch: u32;
  /** The number of symbols for which `scratch` has memory. */
  scratchSymbols: u32;
  /** The number of ids that the last call wrote. */
  produced: u32;
  /** f64[tokens] */
  scores: u32;
  /** Bytes of the longest entry. */
  longest: u32;
  /** WordPiece: a word with more characters than this is unknown. */
  wordLimit: u32;
  unknownScore: f64;
  kind: u32;
  /** u32[2] for each id that a call writes: the byte range of the text that it stands for; 0 when not wanted. */
  spans: u32;
}

@inline
export function hashStep(hash: u32, byte: u32): u32 {
  return (hash ^ byte) * 0x01000193;
}

export const HASH_START: u32 = 0x811c9dc5;

/** FNV-1a mixes its high bits best; a slot index needs them low. */
@inline
export function hashEnd(hash: u32): u32 {
  const h = (hash ^ (hash >> 15)) * 0x2c1b3c6d;
  return h ^ (h >> 13);
}

@inline
function equal(a: usize, b: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; ++i) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}

/** Returns the entry with these bytes and this finished hash, or NONE. */
export function findHashed(v: Vocabulary, at: usize, length: u32, hash: u32): u32 {
  let slot = hash & v.slotMask;
  while (true) {
    const s: usize = <usize>v.slots + ((<usize>slot) << 3);
    const id = load<u32>(s, 4);
    if (id == NONE) return NONE;
    if (load<u32>(s) == hash) {
      const o: usize = <usize>v.offsets + ((<usize>id) << 2);
      const start = load<u32>(o);
      if (load<u32>(o, 4) - start == length && equal(<usize>v.bytes + start, at, length)) return id;
    }
    slot = (slot + 1) & v.slotMask;
  }
}

/** Returns the entry with these bytes, or NONE. */
export function find(v: Vocabulary, at: usize, length: u32): u32 {
  let hash = HASH_START;
  for (let i: u32 = 0; i < length; ++i) hash = hashStep(hash, load<u8>(at + i));
  return findHashed(v, at, length, hashEnd(hash));
}

/**
 * Inserts every non-empty entry into the slots, of which there must be at least twice as many. Of equal entries the
 * first is kept.
 */
export function hashVocabulary(vocabulary: usize): void {
  const v = changetype<Vocabulary>(vocabulary);
  memory.fill(<usize>v.slots, 0xff, (<usize>v.slotMask + 1) << 3);
  for (let id: u32 = 0; id < v.count; ++id) {
    const start = load<u32>(<usize>v.offsets + ((<usize>id) << 2));
    const length = load<u32>(<usize>v.offsets + ((<usize>id) << 2), 4) - start;
    if (length == 0) continue;
    const at: usize = <usize>v.bytes + start;
    let hash = HASH_START;
    for (let i: u32 = 0; i < length; ++i) hash = hashStep(hash, load<u8>(at + i));
    hash = hashEnd(hash);
    if (findHashed(v, at, length, hash) != NONE) continue;
    let slot = hash & v.slotMask;
    while (load<u32>(<usize>v.slots + ((<usize>slot) << 3), 4) != NONE) slot = (slot + 1) & v.slotMask;
    store<u32>(<usize>v.slots + ((<usize>slot) << 3), hash);
    store<u32>(<usize>v.slots + ((<usize>slot) << 3), id, 4);
  }
}

/** Returns the entry of the `length` bytes at `at`, or 2^32 - 1. */
export function findEntry(vocabulary: usize, at: usize, length: u32): u32 {
  return find(changetype<Vocabulary>(vocabulary), at, length);
}

@inline
function pairSlot(key: u64, mask: u32): u32 {
  const h = key * 0x9e3779b97f4a7c15;
  return <u32>(h >> 32) & mask;
}

/** Returns the address of the pair's slot, or of the empty slot where it belongs. */
@inline
export function pairAt(v: Vocabulary, left: u32, right: u32): usize {
  const key = ((<u64>right) << 32) | <u64>left;
  let slot = pairSlot(key, v.pairMask);
  while (true) {
    const s: usize = <usize>v.pairs + ((<usize>slot) << 4);
    const found = load<u64>(s);
    if (found == key || found == 0xffffffffffffffff) return s;
    slot = (slot + 1) & v.pairMask;
  }
}

export function clearPairs(vocabulary: usize): void {
  const v = changetype<Vocabulary>(vocabulary);
  memory.fill(<usize>v.pairs, 0xff, (<usize>v.pairMask + 1) << 4);
}

/**
 * Inserts `count` merges in order of rank. Merge i is the bytes of its left and right parts, `[bounds[2i], bounds[2i +
 * 1])` and `[bounds[2i + 1], bounds[2i + 2])` of `text`. Of equal pairs the first is kept, or the last when `last` is
 * 1. Merges that name something that is not an entry are left out, and their numbers are written over the start of
 * `bounds`. Returns how many were left out.
 */
export function hashMerges(vocabulary: usize, text: usize, bounds: usize, count: u32, last: u32): u32 {
  const v = changetype<Vocabulary>(vocabulary);
  let failed: u32 = 0;
  let start = load<u32>(bounds);
  for (let rank: u32 = 0; rank < count; ++rank) {
    const cut = load<u32>(bounds + ((<usize>rank) << 3), 4);
    const end = load<u32>(bounds + ((<usize>rank) << 3), 8);
    const left = find(v, text + start, cut - start);
    const right = find(v, text + cut, end - cut);
    const id = find(v, text + start, end - start);
    start = end;
    if (left == NONE || right == NONE || id == NONE) {
      store<u32>(bounds + ((<usize>failed) << 2), rank);
      failed++;
      continue;
    }
    const s = pairAt(v, left, right);
    if (load<u64>(s) != 0xffffffffffffffff && !last) continue;
    store<u64>(s, ((<u64>right) << 32) | <u64>left);
    store<u32>(s, rank, 8);
    store<u32>(s, id, 12);
  }
  return failed;
}

/**
 * SentencePiece BPE has no merges: any two neighbours whose concatenation is a token may merge, better scores first.
 * This visits all divisions of all tokens into two entries, and counts them (`insert` 0) or inserts them with
 * `ranks[id]` (u32[tokens]; `insert` 1; the slots must be cleared and sufficient).
 */
export function hashSplits(vocabulary: usize, ranks: usize, insert: u32): u32 {
  const v = changetype<Vocabulary>(vocabulary);
  let pairs: u32 = 0;
  for (let id: u32 = 0; id < v.tokens; ++id) {
    const start = load<u32>(<usize>v.offsets + ((<usize>id) << 2));
    const length = load<u32>(<usize>v.offsets + ((<usize>id) << 2), 4) - start;
    const at: usize = <usize>v.bytes + start;
    if (length < 2 || find(v, at, length) != id) continue;
    let hash = HASH_START;
    let cut: u32 = 0;
    while (true) {
      const size = characterBytes(load<u8>(at + cut));
      if (cut + size >= length) break;
      for (let i: u32 = 0; i < size; ++i) hash = hashStep(hash, load<u8>(at + cut + i));
      cut += size;
      const left = findHashed(v, at, cut, hashEnd(hash));
      if (left == NONE) continue;
      const right = find(v, at + cut, length - cut);
      if (right == NONE) continue;
      pairs++;
      if (!insert) continue;
      const s = pairAt(v, left, right);
      store<u64>(s, ((<u64>right) << 32) | <u64>left);
      store<u32>(s, load<u32>(ranks + ((<usize>id) << 2)), 8);
      store<u32>(s, id, 12);
    }
  }
  return pairs;
}
