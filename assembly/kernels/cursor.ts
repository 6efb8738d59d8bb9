/**
 * Delivers the keys of one list of runs batch by batch, so that attention and probe need not know about ranges or page
 * formats.
 *
 * A batch is at most 32 keys. A long piece of a page is a batch of its own, read in place when its page is f32. Short
 * pieces (tokens chosen one by one) are gathered until a batch is full, so that the kernels always have many keys to
 * work on. A page of any other format is decoded here, once for each tile.
 */
import { decodeKeys, decodeValues } from '../kv/quantise';
import { KV_F32, PAGE_TOKENS, addressOf, formatOf, keyAt, valueAt, valuesAt } from '../kv/layout';

/** Bytes reserved for the record, rounded up. */
const HEAD: usize = 80;
/** A piece of at least this many keys is a batch of its own. */
const ALONE: usize = 16;

/**
 * A batch is `count` keys: f32 rows at `keys` and, where asked for, `values`, the position of each key at `positions`
 * (u32) and the bias that is added to its score at `biases` (f32). The memory behind the record (`cursorBytes`) holds
 * positions, biases and what was gathered or decoded.
 */
@unmanaged
export class Cursor {
  keys: usize;
  values: usize;
  positions: usize;
  biases: usize;
  // The source: page table entries of one layer and KV head, and runs with their biases (0: none), of which only the
  // keys within [from, to) are read.
  pages: usize;
  runs: usize;
  added: usize;
  headDim: usize;
  from: usize;
  to: usize;
  /** Not 0: reads values as well as keys. */
  both: u32;
  /** Not 0: leaves whole pages of this format and those of fewer bits undecoded and reports them in `page`. */
  raw: u32;
  /** The page table entry of a batch that was left undecoded, otherwise 0. */
  page: usize;
  // The progress: the current run, the end of the list and the next key.
  run: usize;
  last: usize;
  next: usize;
  rowKeys: usize;
  rowValues: usize;
  /** What `touch` read last: nothing that matters. */
  touched: u32;
}

/** Returns the bytes of a cursor and the memory behind it, a multiple of 16. */
export function cursorBytes(headDim: usize, both: bool): usize {
  return HEAD + 2 * (PAGE_TOKENS << 2) + (both ? 2 : 1) * ((PAGE_TOKENS * headDim) << 2);
}

/** Makes a cursor at `at` (16-byte aligned) for one row of the page table and the runs `runs`. */
export function openCursor(at: usize, pages: usize, runs: usize, added: usize, headDim: usize, both: bool): Cursor {
  const c = changetype<Cursor>(at);
  c.positions = at + HEAD;
  c.biases = c.positions + (PAGE_TOKENS << 2);
  c.rowKeys = c.biases + (PAGE_TOKENS << 2);
  c.rowValues = c.rowKeys + ((PAGE_TOKENS * headDim) << 2);
  c.pages = pages;
  c.runs = runs;
  c.added = added;
  c.headDim = headDim;
  c.both = both ? 1 : 0;
  c.raw = 0;
  memory.fill(c.biases, 0, PAGE_TOKENS << 2);
  return c;
}

/** Moves the cursor to the start of the keys of runs [run, last) within [from, to). */
export function seek(c: Cursor, run: usize, last: usize, from: usize, to: usize): void {
  // Runs that end before are passed over by bisection: every split of the keys begins with a search.
  for (let high = last; run < high;) {
    const middle = (run + high) >> 1;
    if (<usize>load<u32>(c.runs + (middle << 3), 4) > from) high = middle;
    else run = middle + 1;
  }
  c.run = run;
  c.last = last;
  c.from = from;
  c.to = to;
  c.next = from;
}

/** Bytes of a cache line. */
const LINE: usize = 64;

/**
 * Loads a byte of every cache line of the short pieces of f32 pages, so that the reads of memory overlap: a loop of few
 * instructions has more of them under way than the loops that copy rows. For cursors over keys that fit into the
 * second-level cache.
 */
export function touch(c: Cursor): void {
  const bytes = c.headDim << 2;
  for (let run = c.run; run < c.last; run++) {
    let key = max<usize>(load<u32>(c.runs + (run << 3)), c.from);
    const end = min<usize>(load<u32>(c.runs + (run << 3), 4), c.to);
    if (key + ALONE <= end) continue;
    for (; key < end; key++) {
      const page = <usize>load<u32>(c.pages + ((key / PAGE_TOKENS) << 2));
      if (formatOf(page) != KV_F32) return;
      let at = page + (key % PAGE_TOKENS) * bytes;
      for (const stop = at + bytes; at < stop; at += LINE) {
        c.touched = <u32>load<u8>(at) + <u32>load<u8>(at + PAGE_TOKENS * bytes);
      }
    }
  }
}

/**
 * Reads the next batch and returns its number of keys, 0 at the end. When `to` was raised since, it continues where it
 * stopped.
 */
export function nextBatch(c: Cursor): usize {
  const d = c.headDim;
  const bytes = d << 2;
  let filled: usize = 0;
  c.keys = c.rowKeys;
  c.values = c.rowValues;
  c.page = 0;
  while (c.run < c.last) {
    const run = c.runs + (c.run << 3);
    const key = max<usize>(load<u32>(run), c.next);
    const end = <usize>load<u32>(run, 4);
    const stop = min<usize>(end, c.to);
    if (key >= stop) {
      if (end > c.to) break;
      c.run++;
      c.next = c.from;
      continue;
    }
    const first = key % PAGE_TOKENS;
    let count = min<usize>(stop - key, PAGE_TOKENS - first);
    const alone = count >= ALONE;
    if (alone && filled > 0) break;
    count = min<usize>(count, PAGE_TOKENS - filled);
    const entry = <usize>load<u32>(c.pages + ((key / PAGE_TOKENS) << 2));
    const page = addressOf(entry);
    const format = formatOf(entry);
    if (alone && format == KV_F32) {
      c.keys = keyAt(page, KV_F32, d, first);
      c.values = valueAt(valuesAt(page, KV_F32, d), KV_F32, d, first);
    } else if (c.raw != 0 && count == PAGE_TOKENS && format >= c.raw) c.page = entry;
    else {
      decodeKeys(c.rowKeys + filled * bytes, bytes, page, format, d, first, count);
      if (c.both != 0) decodeValues(c.rowValues + filled * bytes, bytes, page, format, d, first, count);
    }
    for (let i: usize = 0; i < count; i++) store<u32>(c.positions + ((filled + i) << 2), <u32>(key + i));
    if (c.added != 0) {
      const bias = load<f32>(c.added + (c.run << 2));
      for (let i: usize = 0; i < count; i++) store<f32>(c.biases + ((filled + i) << 2), bias);
    }
    c.next = key + count;
    filled += count;
    if (alone || filled == PAGE_TOKENS) break;
  }
  return filled;
}
