/**
 * Operations of combined methods on ranges: intersections and unions of sorted runs, and restriction to the blocks that
 * have pages. Linear in the runs.
 */
import { PAGE_TOKENS, type KvView, type Ranges } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

/** The keys of one list: sorted, disjoint `[start, end)` pairs; `bias` [pairs] as in `Ranges`. */
export interface RunList {
  readonly runs: Uint32Array;
  readonly bias?: Float32Array | undefined;
}

/** Writes lists one after the other. Adjacent runs with the same bias are merged. */
export class ListWriter {
  readonly #offsets = [0];
  readonly #runs: number[] = [];
  readonly #bias: number[] = [];
  #biased = false;
  /** The start of the current list. */
  #first = 0;

  /** Adds the next keys of the list; an empty run is left out. */
  push(start: number, end: number, bias = 0): void {
    if (end <= start) return;
    const last = this.#bias.length - 1;
    if (last >= this.#first && this.#runs[2 * last + 1] === start && this.#bias[last] === bias) {
      this.#runs[2 * last + 1] = end;
      return;
    }
    this.#runs.push(start, end);
    this.#bias.push(bias);
    this.#biased ||= bias !== 0;
  }

  /** Ends the list. */
  next(): void {
    this.#first = this.#bias.length;
    this.#offsets.push(this.#first);
  }

  build({ queryBlock, shared, causal }: Pick<Ranges, 'queryBlock' | 'shared' | 'causal'>): Ranges {
    const runs = Uint32Array.from(this.#runs);
    const bias = this.#biased ? { bias: Float32Array.from(this.#bias) } : {};
    return { queryBlock, shared, causal, offsets: Uint32Array.from(this.#offsets), runs, ...bias };
  }
}

/** Writes run `[from, to)` of a list. */
interface Stretch extends RunList {
  readonly from: number;
  readonly to: number;
}

function stretch(ranges: Ranges, list: number): Stretch {
  return { runs: ranges.runs, bias: ranges.bias, from: ranges.offsets[list] ?? 0, to: ranges.offsets[list + 1] ?? 0 };
}

function whole(list: RunList): Stretch {
  return { ...list, from: 0, to: list.runs.length / 2 };
}

/**
 * Returns the intersection of `ranges` and `lists`: one list for each KV head, or one for all. Biases are added. Shared
 * ranges stay shared when there is one list. Throws `InputError('argument')` when the numbers of heads differ.
 */
export function intersect(ranges: Ranges, lists: readonly RunList[]): Ranges {
  const { shared, offsets } = ranges;
  const count = offsets.length - 1;
  const out = new ListWriter();
  if (!shared && count % lists.length !== 0) throw heads(count, lists.length);
  const each = shared ? lists.length : 1;
  for (let list = 0; list < count; list++) {
    for (let i = 0; i < each; i++) {
      const held = lists[shared ? i : list % lists.length];
      if (held !== undefined) meet(out, stretch(ranges, list), whole(held));
      out.next();
    }
  }
  return out.build({ ...ranges, shared: shared && lists.length === 1 });
}

/**
 * Returns the union; keys in both have the bias of `a`. Both must have the same query block and causality; either may
 * be shared.
 */
export function union(a: Ranges, b: Ranges): Ranges {
  if (a.queryBlock !== b.queryBlock || a.causal !== b.causal) {
    throw new InputError(
      'argument',
      `union: query blocks of ${a.queryBlock} and of ${b.queryBlock}, or one of them causal; make both alike`,
      { a: a.queryBlock, b: b.queryBlock },
    );
  }
  const most = a.shared === b.shared || b.shared ? a.offsets.length - 1 : b.offsets.length - 1;
  const share = (ranges: Ranges): number => most / (ranges.offsets.length - 1);
  if (!Number.isInteger(share(a)) || !Number.isInteger(share(b)))
    throw heads(a.offsets.length - 1, b.offsets.length - 1);
  const out = new ListWriter();
  for (let list = 0; list < most; list++) {
    join(out, stretch(a, Math.floor(list / share(a))), stretch(b, Math.floor(list / share(b))));
    out.next();
  }
  return out.build({ ...a, shared: a.shared && b.shared });
}

/** Returns `ranges` with the lists of some KV heads replaced in every query block. */
export function withHeads(ranges: Ranges, lists: readonly (RunList | undefined)[]): Ranges {
  const { shared, offsets } = ranges;
  const blocks = (offsets.length - 1) / (shared ? 1 : lists.length);
  if (!Number.isInteger(blocks)) throw heads(offsets.length - 1, lists.length);
  const out = new ListWriter();
  for (let block = 0; block < blocks; block++) {
    for (let head = 0; head < lists.length; head++) {
      const put = lists[head];
      copy(out, put === undefined ? stretch(ranges, shared ? block : block * lists.length + head) : whole(put));
      out.next();
    }
  }
  return out.build({ ...ranges, shared: false });
}

/** Returns for each KV head of `layer` the keys of `[0, keyCount)` whose blocks have pages; undefined when all have. */
export function heldKeys(
  { pool, table, blocks }: KvView,
  layer: number,
  keyCount: number,
): readonly RunList[] | undefined {
  const { kvHeads } = pool.spec;
  const used = Math.min(blocks, Math.ceil(keyCount / PAGE_TOKENS));
  let holes = false;
  for (let head = 0; head < kvHeads && !holes; head++) {
    const row = (layer * kvHeads + head) * blocks;
    for (let block = 0; block < used && !holes; block++) holes = (table[row + block] ?? -1) < 0;
  }
  if (!holes) return undefined;
  return Array.from({ length: kvHeads }, (_, head) => {
    const row = (layer * kvHeads + head) * blocks;
    const runs: number[] = [];
    for (let block = 0; block < used; block++) {
      if ((table[row + block] ?? -1) < 0) continue;
      const start = block * PAGE_TOKENS;
      const end = Math.min(keyCount, start + PAGE_TOKENS);
      if (runs.at(-1) === start) runs[runs.length - 1] = end;
      else runs.push(start, end);
    }
    return { runs: Uint32Array.from(runs) };
  });
}

/**
 * Returns `ranges` without the keys whose pages the sequence released; the same object when `layer` has none.
 * `keyCount` is the number of keys of the view.
 */
export function withoutHoles(ranges: Ranges, kv: KvView, layer: number, keyCount: number): Ranges {
  const held = heldKeys(kv, layer, keyCount);
  return held === undefined ? ranges : intersect(ranges, held);
}

function copy(out: ListWriter, { runs, bias, from, to }: Stretch): void {
  for (let r = from; r < to; r++) out.push(runs[2 * r] ?? 0, runs[2 * r + 1] ?? 0, bias?.[r]);
}

function meet(out: ListWriter, a: Stretch, b: Stretch): void {
  let i = a.from;
  let j = b.from;
  while (i < a.to && j < b.to) {
    const endA = a.runs[2 * i + 1] ?? 0;
    const endB = b.runs[2 * j + 1] ?? 0;
    out.push(
      Math.max(a.runs[2 * i] ?? 0, b.runs[2 * j] ?? 0),
      Math.min(endA, endB),
      (a.bias?.[i] ?? 0) + (b.bias?.[j] ?? 0),
    );
    if (endA <= endB) i++;
    else j++;
  }
}

function join(out: ListWriter, a: Stretch, b: Stretch): void {
  let i = a.from;
  let j = b.from;
  /** Keys below are written. */
  let at = 0;
  while (i < a.to || j < b.to) {
    const startA = i < a.to ? (a.runs[2 * i] ?? 0) : Infinity;
    const startB = j < b.to ? (b.runs[2 * j] ?? 0) : Infinity;
    at = Math.max(at, Math.min(startA, startB));
    if (startA <= at) {
      const end = a.runs[2 * i + 1] ?? 0;
      out.push(at, end, a.bias?.[i]);
      at = Math.max(at, end);
      i++;
    } else {
      const end = b.runs[2 * j + 1] ?? 0;
      out.push(at, Math.min(end, startA), b.bias?.[j]);
      at = Math.max(at, Math.min(end, startA));
      if (at >= end) j++;
    }
  }
}

function heads(found: number, wanted: number): InputError {
  return new InputError(
    'argument',
    `${found} lists of ranges for ${wanted} KV heads; give one list a head and query block, or shared ranges`,
    { found, wanted },
  );
}
