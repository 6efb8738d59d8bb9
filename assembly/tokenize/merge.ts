/**
 * Byte-pair encoding: of all adjacent pairs the one of lowest rank merges first, the leftmost among equals, until none
 * is left (Sennrich et al. 2016; SentencePiece's BPE is the same with scores as ranks). Short pieces search for the
 * minimum by scanning. Long ones keep a heap, so that a megabyte of one letter takes n log n steps.
 *
 *   scratch, n symbols: | id: u32[n] | at: u32[n + 1] | next: u32[n] | previous: u32[n] | heap: u64[2 n] |
 *   heap entry: rank << 32 | symbol; outdated entries are detected by looking the pair up again
 */
import {
  BYTE_FALLBACK, BYTE_LEVEL, DROP_UNKNOWN, FUSE_UNKNOWN, IGNORE_MERGES, NONE, Vocabulary, find, pairAt,
} from './vocabulary';
import { get, set } from './arrays';
import { extend, put } from './output';
import { characterBytes } from './utf8';

/** Up to this many symbols a linear scan is faster than the heap. */
const SCANNED_SYMBOLS: u32 = 40;

let ids: usize = 0;
let ats: usize = 0;
let nexts: usize = 0;
let previouses: usize = 0;
let heap: usize = 0;
let heaped: u32 = 0;

/**
 * Makes one symbol of each byte or character. An unknown one is NONE, which merges with nothing, or is left out.
 * Returns the number of symbols.
 */
function start(v: Vocabulary, text: usize, from: u32, to: u32): u32 {
  let n: u32 = 0;
  const drops = (v.flags & DROP_UNKNOWN) != 0 && (v.flags & BYTE_FALLBACK) == 0;
  const bytes = (v.flags & BYTE_LEVEL) != 0;
  for (let at = from; at < to; ) {
    const lead: u32 = load<u8>(text + at);
    const size = bytes ? 1 : characterBytes(lead);
    const id = bytes ? get(v.byteIds, lead) : lead < 0x80 ? get(v.characterIds, lead) : find(v, text + at, size);
    if (id != NONE || !drops) {
      set(ids, n, id);
      set(ats, n++, at);
    }
    at += size;
  }
  set(ats, n, to);
  return n;
}

function push(key: u64): void {
  let i = heaped++;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const other = load<u64>(heap + ((<usize>parent) << 3));
    if (other <= key) break;
    store<u64>(heap + ((<usize>i) << 3), other);
    i = parent;
  }
  store<u64>(heap + ((<usize>i) << 3), key);
}

function pop(): u64 {
  const top = load<u64>(heap);
  const key = load<u64>(heap + ((<usize>--heaped) << 3));
  let i: u32 = 0;
  while (true) {
    let child: u32 = 2 * i + 1;
    if (child >= heaped) break;
    let least = load<u64>(heap + ((<usize>child) << 3));
    if (child + 1 < heaped) {
      const other = load<u64>(heap + ((<usize>(child + 1)) << 3));
      if (other < least) {
        least = other;
        child++;
      }
    }
    if (key <= least) break;
    store<u64>(heap + ((<usize>i) << 3), least);
    i = child;
  }
  store<u64>(heap + ((<usize>i) << 3), key);
  return top;
}

@inline
function rankOf(v: Vocabulary, left: u32, right: u32): u32 {
  const s = pairAt(v, left, right);
  return load<u32>(s, 8);
}

/**
 * Merges `n` symbols in place and leaves the remaining ones contiguous. `previouses` holds the ranks of the pairs that
 * start at each symbol.
 */
function mergeScanning(v: Vocabulary, n: u32): u32 {
  const ranks = previouses;
  for (let i: u32 = 0; i + 1 < n; ++i) set(ranks, i, rankOf(v, get(ids, i), get(ids, i + 1)));
  while (n > 1) {
    let best: u32 = NONE;
    let at: u32 = 0;
    for (let i: u32 = 0; i + 1 < n; ++i) {
      const r = get(ranks, i);
      if (r < best) {
        best = r;
        at = i;
      }
    }
    if (best == NONE) break;
    set(ids, at, load<u32>(pairAt(v, get(ids, at), get(ids, at + 1)), 12));
    n--;
    const moved = (<usize>(n - at)) << 2;
    const gone = (<usize>(at + 1)) << 2;
    memory.copy(ids + gone, ids + gone + 4, moved);
    memory.copy(ats + gone, ats + gone + 4, moved);
    memory.copy(ranks + gone, ranks + gone + 4, moved);
    if (at > 0) set(ranks, at - 1, rankOf(v, get(ids, at - 1), get(ids, at)));
    if (at + 1 < n) set(ranks, at, rankOf(v, get(ids, at), get(ids, at + 1)));
  }
  return n;
}

@inline
function offer(v: Vocabulary, left: u32, right: u32): void {
  const rank = rankOf(v, get(ids, left), get(ids, right));
  if (rank != NONE) push(((<u64>rank) << 32) | <u64>left);
}

function mergeHeaping(v: Vocabulary, n: u32): u32 {
  heaped = 0;
  for (let i: u32 = 0; i < n; ++i) {
    set(nexts, i, i + 1 < n ? i + 1 : NONE);
    set(previouses, i, i - 1);
  }
  for (let i: u32 = 0; i + 1 < n; ++i) offer(v, i, i + 1);
  while (heaped > 0) {
    const key = pop();
    const left = <u32>key;
    const right = get(nexts, left);
    // A symbol that was merged into its left neighbour has itself as its successor.
    if (right == NONE || right == left) continue;
    const s = pairAt(v, get(ids, left), get(ids, right));
    if (load<u32>(s, 8) != <u32>(key >> 32)) continue;
    set(ids, left, load<u32>(s, 12));
    const after = get(nexts, right);
    set(nexts, right, right);
    set(nexts, left, after);
    if (after != NONE) {
      set(previouses, after, left);
      offer(v, left, after);
    }
    const before = get(previouses, left);
    if (before != NONE) offer(v, before, left);
  }
  let kept: u32 = 0;
  const end = get(ats, n);
  for (let i: u32 = 0; i != NONE; i = get(nexts, i)) {
    set(ids, kept, get(ids, i));
    set(ats, kept, get(ats, i));
    kept++;
  }
  set(ats, kept, end);
  return kept;
}

/**
 * Writes the `n` symbols to `output` as token ids and returns their number. A symbol that is no token is written as its
 * bytes or as the unknown token.
 */
function finish(v: Vocabulary, text: usize, n: u32, output: usize): u32 {
  let count: u32 = 0;
  let unknown = false;
  for (let i: u32 = 0; i < n; ++i) {
    const id = get(ids, i);
    const from = get(ats, i);
    const to = get(ats, i + 1);
    if (id < v.tokens) {
      put(output, count++, id, from, to);
      unknown = false;
      continue;
    }
    let bytes = (v.flags & BYTE_FALLBACK) != 0;
    for (let at = from; at < to && bytes; ++at) bytes = get(<usize>v.byteIds, load<u8>(text + at)) != NONE;
    if (bytes) {
      for (let at = from; at < to; ++at) put(output, count++, get(<usize>v.byteIds, load<u8>(text + at)), at, at + 1);
      unknown = false;
    } else if (v.unknown != NONE) {
      if (unknown && (v.flags & FUSE_UNKNOWN) != 0) extend(count - 1, to);
      else put(output, count++, v.unknown, from, to);
      unknown = true;
    }
  }
  return count;
}

/**
 * Encodes the piece `[from, to)` of `text`, at most `scratchSymbols` bytes, to `output` (memory for one id a byte).
 * Returns the number of ids.
 */
export function mergePiece(v: Vocabulary, text: usize, from: u32, to: u32, output: usize): u32 {
  if (v.flags & IGNORE_MERGES) {
    const whole = find(v, text + from, to - from);
    if (whole < v.tokens) {
      put(output, 0, whole, from, to);
      return 1;
    }
  }
  const room = v.scratchSymbols;
  ids = v.scratch;
  ats = ids + ((<usize>room) << 2);
  nexts = ats + ((<usize>room + 2) << 2);
  previouses = nexts + ((<usize>room) << 2);
  heap = previouses + ((<usize>room) << 2);
  let n = start(v, text, from, to);
  n = n <= SCANNED_SYMBOLS ? mergeScanning(v, n) : mergeHeaping(v, n);
  return finish(v, text, n, output);
}
