/**
 * KV pools, views of them, ranges and spans, checked once for all devices: see checks.ts. The file is long because each check has its own message,
 * with the value and its limit.
 */
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageCode,
  pageFormat,
  pageIndex,
  type AppendSpec,
  type AttentionSpec,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
  type Ranges,
  type RopeSections,
  type SlotPositions,
  type Tensor,
} from './backend.ts';
import { isCount, isSpan, matrix, rms, wrong } from './checks.ts';

/**
 * The largest position for RoPE: beyond any context, and small enough that a table of angles for all positions fits a
 * device.
 */
const MAX_POSITION = 2 ** 24;
/** The most pages of one format: 4 GiB of the smallest useful page. */
const MAX_PAGES = 2 ** 24;

// ---- pools

export function pool({ layers, kvHeads, headDim }: KvSpec): void {
  for (const [name, n] of Object.entries({ layers, kvHeads, headDim }))
    if (!isCount(n)) throw wrong('kvPool', `${name} is ${n}; it must be a positive integer`);
  if (headDim % 4 !== 0) throw wrong('kvPool', `headDim is ${headDim}; it must be a multiple of 4`);
}

export function format(operation: string, name: KvFormat): void {
  if (!KV_FORMATS.includes(name))
    throw wrong(`kvPool.${operation}`, `format '${name}' is none of ${KV_FORMATS.join(', ')}`);
}

export function reserve(count: number, name: KvFormat): void {
  format('reserve', name);
  if (!Number.isInteger(count) || count < 0 || count > MAX_PAGES)
    throw wrong('kvPool.reserve', `${count} pages; 0 to ${MAX_PAGES} are possible`);
}

export function shrink(of: KvPool, count: number, name: KvFormat): void {
  format('shrink', name);
  if (!Number.isInteger(count) || count < 0 || count > of.pages(name))
    throw wrong('kvPool.shrink', `${count} pages; 0 to ${of.pages(name)} can stay`, { pages: of.pages(name) });
}

/** Requires a page that exists. */
export function page(operation: string, of: KvPool, number: number): void {
  const problem = missing(number, of);
  if (problem !== undefined) throw wrong(`kvPool.${operation}`, problem, { page: number });
}

export function copy(of: KvPool, from: number, to: number): void {
  page('copy', of, from);
  page('copy', of, to);
  if (pageCode(from) !== pageCode(to))
    throw wrong(
      'kvPool.copy',
      `page ${from} is ${pageFormat(from)}, page ${to} is ${pageFormat(to)}; use convert to change formats`,
      { from, to },
    );
}

export function convert(of: KvPool, from: Int32Array, to: Int32Array): void {
  if (from.length !== to.length) throw wrong('kvPool.convert', `${from.length} pages into ${to.length}`);
  for (const number of from) page('convert', of, number);
  for (const number of to) page('convert', of, number);
  const targets = new Set(to);
  if (targets.size !== to.length) throw wrong('kvPool.convert', 'a page is written twice');
  for (const number of from)
    if (targets.has(number)) throw wrong('kvPool.convert', `page ${number} is both read and written`, { page: number });
}

export function read(of: KvPool, pages: Int32Array): void {
  for (const number of pages) page('read', of, number);
}

export function write(of: KvPool, pages: Int32Array, bytes: Uint8Array): void {
  let wanted = 0;
  for (const number of pages) {
    page('write', of, number);
    wanted += of.pageBytes(pageFormat(number));
  }
  if (bytes.length !== wanted)
    throw wrong('kvPool.write', `${bytes.length} bytes; ${pages.length} pages take ${wanted}`, {
      bytes: bytes.length,
      wanted,
    });
}

/** Returns why a page cannot be read; undefined if it can. `formats` are those that may occur. */
function missing(number: number, of: KvPool, formats: readonly KvFormat[] = KV_FORMATS): string | undefined {
  const name = number < 0 ? undefined : KV_FORMATS[pageCode(number)];
  if (name === undefined) return number < 0 ? 'there is no page' : `page ${number} is of no format`;
  if (!formats.includes(name))
    return `a page of ${name}, but the view names only ${formats.join(', ')}; add it to the view's formats`;
  const has = of.pages(name);
  return pageIndex(number) < has ? undefined : `page ${pageIndex(number)} of ${name}, of which there are ${has}`;
}

// ---- views

/** Checks the layer and the page table of a view. */
export function view(operation: string, kv: KvView, layer: number): void {
  const { layers, kvHeads } = kv.pool.spec;
  if (!Number.isInteger(layer) || layer < 0 || layer >= layers) throw wrong(operation, `layer ${layer} of ${layers}`);
  const entries = layers * kvHeads * kv.blocks;
  if (kv.table.length !== entries)
    throw wrong(
      operation,
      `a page table of ${kv.table.length} entries; ${layers} layers, ${kvHeads} heads and ${kv.blocks} blocks need ${entries}`,
    );
}

function placed(operation: string, kv: KvView, layer: number, head: number, block: number, problem: string): Error {
  return wrong(operation, `position ${block * PAGE_TOKENS}, layer ${layer}, head ${head}: ${problem}`, {
    page: kv.table[(layer * kv.pool.spec.kvHeads + head) * kv.blocks + block],
    block,
    layer,
    head,
  });
}

/**
 * Returns the number of pages of each format, by code, that a view's kernels may read: 0 for a format that the view
 * does not name.
 */
export function readablePages({ pool: of, formats }: KvView): number[] {
  return KV_FORMATS.map((name) => (name === of.spec.format || formats?.includes(name) === true ? of.pages(name) : 0));
}

/** Tells whether a page may be read, by `readablePages`. */
export function isReadable(number: number, readable: readonly number[]): boolean {
  return number >= 0 && pageIndex(number) < (readable[pageCode(number)] ?? 0);
}

/** Requires pages that may be read in blocks [from, to) of every head of a layer; with `holes` there may be none. */
export function blocks(operation: string, kv: KvView, layer: number, from: number, to: number, holes = false): void {
  const readable = readablePages(kv);
  const { kvHeads } = kv.pool.spec;
  for (let head = 0; head < kvHeads; head++) block(operation, kv, layer, head, [from, to], readable, holes);
}

function block(
  operation: string,
  kv: KvView,
  layer: number,
  head: number,
  [from, to]: readonly [number, number],
  readable: readonly number[],
  holes = false,
): void {
  const { pool: of } = kv;
  const row = (layer * of.spec.kvHeads + head) * kv.blocks;
  for (let b = from; b < to; b++) {
    const number = kv.table[row + b] ?? -1;
    if (isReadable(number, readable) || (holes && number < 0)) continue;
    const formats = KV_FORMATS.filter((name) => name === of.spec.format || kv.formats?.includes(name) === true);
    throw placed(operation, kv, layer, head, b, missing(number, of, formats) ?? 'the page cannot be read');
  }
}

/**
 * Checks the arguments of `ropeAppend`; the pages of its positions must exist and have the pool's own format. Returns
 * the rows of qkv.
 */
export function append(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): number {
  view('ropeAppend', kv, layer);
  const { pool: of, table } = kv;
  const { kvHeads, format: own } = of.spec;
  const { heads, kvHeads: given = kvHeads, headDim = of.spec.headDim, rope } = options;
  if (!isCount(headDim) || headDim > of.spec.headDim || headDim % 4 !== 0)
    throw wrong('ropeAppend', `heads of ${headDim} values in pages of ${of.spec.headDim}, in multiples of 4`);
  if (given !== 0 && (!isCount(given) || kvHeads % given !== 0))
    throw wrong('ropeAppend', `${given} KV heads; the pool has ${kvHeads}, of which they must be a divisor`);
  const [count, cols] = matrix('ropeAppend', 'qkv', qkv);
  if (!isCount(heads) || cols !== (heads + 2 * given) * headDim)
    throw wrong('ropeAppend', `qkv has ${cols} columns; it must have (${heads} + 2 * ${given}) * ${headDim}`);
  const rotary = 2 * (rope?.inverseFrequency.length ?? 0);
  if (rope !== undefined && (rotary === 0 || rotary > headDim))
    throw wrong('ropeAppend', `RoPE over ${rotary} of the ${headDim} values of a head`);
  if (rope?.sections !== undefined) sections(rope.sections, rotary / 2);
  rms('ropeAppend', 'qNorm', options.qNorm, headDim);
  rms('ropeAppend', 'kNorm', options.kNorm, headDim);
  const capacity = kv.blocks * PAGE_TOKENS;
  if (!isSpan(position, position + count, capacity))
    throw wrong('ropeAppend', `positions ${position} to ${position + count} of a view of ${capacity}`);
  if (kv.positions !== undefined) positions(kv.positions, position, position + count);
  const end = given === 0 ? 0 : Math.ceil((position + count) / PAGE_TOKENS);
  for (let head = 0; head < kvHeads; head++) {
    for (let b = Math.floor(position / PAGE_TOKENS); b < end; b++) {
      const problem = missing(table[(layer * kvHeads + head) * kv.blocks + b] ?? -1, of, [own]);
      if (problem !== undefined)
        throw placed('ropeAppend', kv, layer, head, b, `${problem}; tokens are written into pages of ${own}`);
    }
  }
  return count;
}

/** Checks the sections of so many rotated pairs. */
function sections({ order, pairs: given }: RopeSections, pairs: number): void {
  const [time, height, width] = given;
  // Interleaved sections take every third pair; the others belong to time.
  const most = order === 'consecutive' ? pairs : Math.ceil(pairs / 3);
  const fits = given.every((n) => isSpan(0, n, pairs)) && height <= most && width <= most;
  if (!fits || time + height + width !== pairs)
    throw wrong('ropeAppend', `${order} sections of ${given.join(', ')} pairs; RoPE turns ${pairs}`);
}

/** Checks the positions of slots [start, end). */
function positions({ axes, values }: SlotPositions, start: number, end: number): void {
  const slots = values.length / axes;
  if (!isCount(axes) || !Number.isInteger(slots) || slots < end)
    throw wrong('ropeAppend', `${values.length} positions on ${axes} axes; slots up to ${end} are appended`);
  for (let axis = 0; axis < axes; axis++) {
    for (let slot = start; slot < end; slot++) {
      const position = values[axis * slots + slot] ?? -1;
      if (position < 0 || position >= MAX_POSITION)
        throw wrong('ropeAppend', `slot ${slot} is at position ${position}; 0 to ${MAX_POSITION - 1} are possible`);
    }
  }
}

export function cached(kv: KvView, layer: number, start: number, end: number): void {
  view('cached', kv, layer);
  const capacity = kv.blocks * PAGE_TOKENS;
  if (!isSpan(start, end, capacity) || start === end)
    throw wrong('cached', `positions ${start} to ${end} of a view of ${capacity}`);
  blocks('cached', kv, layer, Math.floor(start / PAGE_TOKENS), Math.ceil(end / PAGE_TOKENS), true);
}

/** Returns the range that the spans cover: [first, last), empty if all are empty. */
export function spanMeans(kv: KvView, layer: number, list: Uint32Array): readonly [first: number, last: number] {
  view('spanMeans', kv, layer);
  spans('spanMeans', list, kv.blocks * PAGE_TOKENS);
  let first = Infinity;
  let last = 0;
  for (let i = 0; i < list.length; i += 2) {
    const [start = 0, end = 0] = [list[i], list[i + 1]];
    if (start === end) continue;
    first = Math.min(first, start);
    last = Math.max(last, end);
  }
  first = Math.min(first, last);
  blocks('spanMeans', kv, layer, Math.floor(first / PAGE_TOKENS), Math.ceil(last / PAGE_TOKENS), true);
  return [first, last];
}

export function rowMeans(x: Tensor, list: Uint32Array): void {
  spans('rowMeans', list, matrix('rowMeans', 'x', x)[0]);
}

/** Requires pairs of start and end, at least one, none beyond `limit`. */
export function spans(operation: string, list: Uint32Array, limit = Infinity): void {
  if (list.length === 0 || list.length % 2 !== 0)
    throw wrong(operation, `spans of ${list.length} numbers; there must be pairs of start and end, at least one`);
  for (let i = 0; i < list.length; i += 2) {
    const [start = 0, end = 0] = [list[i], list[i + 1]];
    if (start > end) throw wrong(operation, `span [${start}, ${end}) ends before it begins`);
    if (end > limit) throw wrong(operation, `span [${start}, ${end}) ends after ${limit}`);
  }
}

// ---- queries over ranges of keys

/** The arguments of attention and probe. */
export interface Queries {
  readonly operation: 'attention' | 'probe';
  readonly q: Tensor;
  readonly kv: KvView;
  readonly layer: number;
  readonly position: number;
  readonly ranges: Ranges;
  readonly spec: AttentionSpec & { readonly headDim?: number };
}

/** Checks everything except the pages. Returns the end of the last run that a query may see. */
export function queries({ operation, q, kv, layer, position, ranges, spec }: Queries): number {
  view(operation, kv, layer);
  const { kvHeads, headDim } = kv.pool.spec;
  const { heads, headDim: width = headDim } = spec;
  if (!isCount(width) || width > headDim || width % 4 !== 0)
    throw wrong(operation, `the first ${width} of the ${headDim} values of a head, in multiples of 4`);
  const [count, cols] = matrix(operation, 'q', q);
  if (cols !== heads * headDim || heads % kvHeads !== 0)
    throw wrong(operation, `q has ${cols} columns; it must have ${heads} * ${headDim}, heads a multiple of ${kvHeads}`);
  if (!Number.isInteger(position) || position < 0) throw wrong(operation, `queries at position ${position}`);
  checkRanges(operation, ranges, { queryCount: count, kvHeads, keyCount: kv.blocks * PAGE_TOKENS });
  let last = 0;
  eachRun(ranges, { count, position, kvHeads }, (_head, _start, end) => {
    last = Math.max(last, end);
  });
  return last;
}

/** Checks a probe as `queries` does; also returns the number of keys or spans. */
export function probe(
  asked: Queries,
  list: Uint32Array | undefined,
): { readonly keys: number; readonly count: number } {
  const keys = queries(asked);
  if (list !== undefined) spans('probe', list);
  else if (keys === 0) throw wrong('probe', 'no query sees a key, and no spans are given; there is nothing to ask for');
  return { keys, count: list === undefined ? keys : list.length / 2 };
}

/**
 * Throws unless every key that a query may see is in a page that may be read. `whole(head)` is the number of blocks of
 * a head, from the first on, of which the device knows that they may be read.
 */
export function seenPages(
  { operation, q, kv, layer, position, ranges }: Queries,
  whole: (head: number) => number,
): void {
  const { kvHeads } = kv.pool.spec;
  const readable = readablePages(kv);
  // For each head, how many of the blocks before each cannot be read; computed when a run extends beyond the known
  // blocks.
  const gaps: (Int32Array | undefined)[] = [];
  eachRun(ranges, { count: q.shape[0] ?? 0, position, kvHeads }, (list, start, end) => {
    const from = Math.floor(start / PAGE_TOKENS);
    const to = Math.ceil(end / PAGE_TOKENS);
    for (let head = list ?? 0; head < (list === undefined ? kvHeads : list + 1); head++) {
      if (to <= whole(head)) continue;
      const before = (gaps[head] ??= unreadable(kv, layer, head, readable));
      if (before[to] !== before[from]) block(operation, kv, layer, head, [from, to], readable);
    }
  });
}

function unreadable(kv: KvView, layer: number, head: number, readable: readonly number[]): Int32Array {
  const row = (layer * kv.pool.spec.kvHeads + head) * kv.blocks;
  const before = new Int32Array(kv.blocks + 1);
  for (let b = 0; b < kv.blocks; b++)
    before[b + 1] = (before[b] ?? 0) + (isReadable(kv.table[row + b] ?? -1, readable) ? 0 : 1);
  return before;
}

/**
 * Calls `visit` for every run that is not empty, cut at the queries' own positions if the ranges are causal; `head` is
 * undefined for shared lists.
 */
function eachRun(
  { queryBlock, shared, causal, offsets, runs }: Ranges,
  { count, position, kvHeads }: { readonly count: number; readonly position: number; readonly kvHeads: number },
  visit: (head: number | undefined, start: number, end: number) => void,
): void {
  const lists = shared ? 1 : kvHeads;
  for (let list = 0; list + 1 < offsets.length; list++) {
    const limit = causal ? position + Math.min(count, (Math.floor(list / lists) + 1) * queryBlock) : Infinity;
    for (let r = offsets[list] ?? 0; r < (offsets[list + 1] ?? 0); r++) {
      const start = runs[2 * r] ?? 0;
      const end = Math.min(limit, runs[2 * r + 1] ?? 0);
      if (start < end) visit(shared ? undefined : list % lists, start, end);
    }
  }
}

/**
 * Contract 4: a list for every query block (and KV head), with runs that are sorted, disjoint and within `keyCount`,
 * and a finite bias for each.
 */
export function checkRanges(
  operation: string,
  { queryBlock, shared, offsets, runs, bias }: Ranges,
  {
    queryCount,
    kvHeads,
    keyCount,
  }: { readonly queryCount: number; readonly kvHeads: number; readonly keyCount: number },
): void {
  const problem = (text: string): Error => wrong(operation, `ranges: ${text}`, { queryCount, kvHeads, keyCount });
  if (!isCount(queryBlock)) throw problem(`query blocks of ${queryBlock}`);
  const lists = Math.ceil(queryCount / queryBlock) * (shared ? 1 : kvHeads);
  if (offsets.length !== lists + 1) throw problem(`${offsets.length} offsets; ${lists} lists need ${lists + 1}`);
  const total = runs.length / 2;
  if (offsets[0] !== 0) throw problem(`the first offset is ${offsets[0]}; it must be 0`);
  if (offsets[lists] !== total) throw problem(`the last offset is ${offsets[lists]}, but there are ${total} runs`);
  if (bias !== undefined && bias.length !== total) throw problem(`${bias.length} biases for ${total} runs`);
  const unusable = bias?.findIndex((added) => !Number.isFinite(added)) ?? -1;
  if (unusable >= 0) throw problem(`run ${unusable} has a bias of ${bias?.[unusable]}; it must be finite`);
  for (let list = 0; list < lists; list++) {
    const from = offsets[list] ?? 0;
    const to = offsets[list + 1] ?? 0;
    if (to < from || to > total) throw problem(`list ${list} is runs [${from}, ${to}) of ${total}`);
    let before = 0;
    for (let r = from; r < to; r++) {
      const [start = 0, end = 0] = [runs[2 * r], runs[2 * r + 1]];
      if (start < before || end < start)
        throw problem(
          `list ${list}: run [${start}, ${end}) is not sorted, or overlaps the one before, which ends at ${before}`,
        );
      if (end > keyCount) throw problem(`list ${list}: run [${start}, ${end}) ends after the ${keyCount} keys`);
      before = end;
    }
  }
}
