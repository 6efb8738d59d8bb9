/**
 * The keys of one list of runs, batch by batch: what lets attention and probe know neither ranges nor page formats.
 *
 * A batch is at most 32 keys. A long piece of a page is a batch of its own, read where it lies when its page is f32; short pieces (tokens chosen
 * one by one) are gathered until a batch is full, so that the kernels always have many keys to work on. A page of any other format is decoded here,
 * once a tile.
 */
import { decodeKeys, decodeValues } from '../kv/quantise';
import { KV_F32, KV_Q8, PAGE_TOKENS, addressOf, formatOf, keyAt, valueAt } from '../kv/layout';

/** Bytes of the record, and some. */
const HEAD: usize = 80;
/** Keys from which a piece is a batch of its own. */
const ALONE: usize = 16;

/**
 * A batch is `count` keys: f32 rows at `keys` and, where asked for, `values`; the position of each at `positions` (u32) and what is added to its
 * score at `biases` (f32). The room behind (`cursorBytes`) holds those two and what was gathered or decoded.
 */
@unmanaged
export class Cursor {
  keys: usize;
  values: usize;
  positions: usize;
  biases: usize;
  // Where from: page table entries of one layer and KV head, runs and their biases (0: none), keys [from, to) of them.
  pages: usize;
  runs: usize;
  added: usize;
  headDim: usize;
  from: usize;
  to: usize;
  /** Not 0: values too. */
  both: u32;
  /** Not 0: whole quantised pages are not decoded; `page` says so. */
  raw: u32;
  /** Of a batch that was left as it is: its page table entry; else 0. */
  page: usize;
  // How far.
  run: usize;
  last: usize;
  next: usize;
  rowKeys: usize;
  rowValues: usize;
}

/** Bytes of a cursor and its room, a multiple of 16. */
export function cursorBytes(headDim: usize, both: bool): usize {
  return HEAD + 2 * (PAGE_TOKENS << 2) + (both ? 2 : 1) * ((PAGE_TOKENS * headDim) << 2);
}

/** A cursor at `at`, 16-byte aligned, for one page table row and the runs `runs`. */
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

/** Puts the cursor before the keys of runs [run, last) within [from, to). */
export function seek(c: Cursor, run: usize, last: usize, from: usize, to: usize): void {
  c.run = run;
  c.last = last;
  c.from = from;
  c.to = to;
  c.next = from;
}

/** The next batch: its number of keys, 0 at the end. Goes on where it stopped when `to` has grown since. */
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
      c.values = valueAt(page, KV_F32, d, first);
    } else if (c.raw != 0 && count == PAGE_TOKENS && format >= KV_Q8) c.page = entry;
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
