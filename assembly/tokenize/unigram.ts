/**
 * The Unigram language model: of all ways to divide a piece into tokens, the one with the highest sum of scores (Kudo
 * 2018), found by Viterbi's algorithm. A character that is no token costs `unknownScore`; adjacent unknown characters
 * become one unknown token, or the tokens of their bytes.
 *
 *   scratch, n bytes: | best: f64[n + 1] | from: u32[n + 1] | id: u32[n + 1] |   the best way to each byte offset
 */
import { BYTE_FALLBACK, HASH_START, NONE, Vocabulary, findHashed, hashEnd, hashStep } from './vocabulary';
import { get, set } from './arrays';
import { put } from './output';
import { characterBytes } from './utf8';

export function unigramPiece(v: Vocabulary, text: usize, from: u32, to: u32, output: usize): u32 {
  const n = to - from;
  const at: usize = text + from;
  const best: usize = v.scratch;
  const starts: usize = best + ((<usize>n + 1) << 3);
  const ids: usize = starts + ((<usize>n + 1) << 2);
  const scores: usize = v.scores;
  store<f64>(best, 0);
  for (let i: u32 = 1; i <= n; ++i) store<f64>(best + (<usize>i << 3), -Infinity);
  for (let i: u32 = 0; i < n; ) {
    const here = load<f64>(best + (<usize>i << 3));
    const single = i + characterBytes(load<u8>(at + i));
    const last = min<u32>(n, i + v.longest);
    let hash = HASH_START;
    let known = false;
    for (let end = i; end < last; ) {
      const size = characterBytes(load<u8>(at + end));
      for (let b: u32 = 0; b < size; ++b) hash = hashStep(hash, load<u8>(at + end + b));
      end += size;
      const id = findHashed(v, at + i, end - i, hashEnd(hash));
      if (id == NONE) continue;
      if (end == single) known = true;
      const score = here + load<f64>(scores + (<usize>id << 3));
      if (score > load<f64>(best + (<usize>end << 3))) {
        store<f64>(best + (<usize>end << 3), score);
        set(starts, end, i);
        set(ids, end, id);
      }
    }
    if (!known) {
      const score = here + v.unknownScore;
      if (score > load<f64>(best + (<usize>single << 3))) {
        store<f64>(best + (<usize>single << 3), score);
        set(starts, single, i);
        set(ids, single, NONE);
      }
    }
    i = single;
  }
  // Walks backwards and replaces the start of each step by the end of the step that follows it.
  let end = n;
  let after = n;
  while (end > 0) {
    const start = get(starts, end);
    set(starts, end, after);
    after = end;
    end = start;
  }
  let count: u32 = 0;
  let unknownFrom: u32 = NONE;
  let start: u32 = 0;
  for (let next = after; ; ) {
    const id = get(ids, next);
    if (id == NONE) {
      if (unknownFrom == NONE) unknownFrom = start;
    } else {
      if (unknownFrom != NONE) count = writeUnknown(v, text, from + unknownFrom, from + start, output, count);
      unknownFrom = NONE;
      put(output, count++, id, from + start, from + next);
    }
    start = next;
    if (next == n) break;
    next = get(starts, next);
  }
  if (unknownFrom != NONE) count = writeUnknown(v, text, from + unknownFrom, to, output, count);
  return count;
}

/** Writes the unknown characters `[from, to)` as bytes or as the unknown token. Returns the new count. */
function writeUnknown(v: Vocabulary, text: usize, from: u32, to: u32, output: usize, count: u32): u32 {
  let bytes = (v.flags & BYTE_FALLBACK) != 0;
  for (let i = from; i < to && bytes; ++i) bytes = get(v.byteIds, load<u8>(text + i)) != NONE;
  if (bytes) {
    for (let i = from; i < to; ++i) put(output, count++, get(v.byteIds, load<u8>(text + i)), i, i + 1);
  } else if (v.unknown != NONE) put(output, count++, v.unknown, from, to);
  return count;
}
