/** What reads KV pages: attention and probe over ranges, and pages' contents as they are. Argument blocks are drawn in assembly/kernels/. */
import { InputError } from '../../errors.ts';
import { PAGE_TOKENS, type AttentionSpec, type KvView, type ProbeSpec, type Ranges, type Tensor } from '../backend.ts';
import { matrixOf } from './checks.ts';
import type { Engine } from './engine.ts';
import { poolOf, writePages, type WasmPool } from './kv.ts';
import type { Tensors, WasmTensor } from './tensors.ts';

/** Queries over keys: what attention and probe are asked. */
interface Asked {
  readonly operation: string;
  readonly input: WasmTensor;
  readonly pool: WasmPool;
  readonly kv: KvView;
  readonly layer: number;
  readonly position: number;
  readonly ranges: Ranges;
  readonly lists: number;
  /** The end of the furthest run that a query may see. */
  readonly keys: number;
}

export class Attending {
  readonly #engine: Engine;
  readonly #tensors: Tensors;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  attention(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: AttentionSpec): Tensor {
    const engine = this.#engine;
    const asked = ask('attention', q, kv, layer, position, ranges, spec);
    const { exports } = engine.wasm;
    const out = this.#tensors.make(asked.input.shape);
    this.#write(asked, spec, out);
    engine.scratch(exports.attentionScratchBytes(engine.args));
    const bytes = exports.attentionPartialBytes(engine.args);
    const partials = bytes === 0 ? 0 : engine.room('partials', bytes);
    engine.words()[18] = partials;
    engine.run('attention', exports.attention);
    return out;
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    const engine = this.#engine;
    const asked = ask('probe', q, kv, layer, position, ranges, spec);
    const { keys } = asked;
    const { spans } = spec;
    if (spans === undefined && keys === 0)
      throw new InputError('argument', 'probe: the queries see no key, and no spans are given');
    const count = spans === undefined ? keys : countSpans('probe', spans);
    const out = this.#tensors.make([spec.heads, count]);
    const masses = spans === undefined ? out.pointer : engine.room('masses', Math.max(4, spec.heads * keys * 4));
    const list = spans === undefined ? 0 : this.#spans(spans);
    this.#write(asked, spec, out);
    const { exports } = engine.wasm;
    engine.scratch(exports.probeScratchBytes(engine.args));
    const states = engine.room('states', exports.probeStateBytes(engine.args));
    const words = engine.words();
    words[18] = states;
    words[19] = masses;
    words[20] = list;
    words[21] = spans === undefined ? 0 : count;
    engine.run('probe', exports.probe);
    return out;
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    const engine = this.#engine;
    const pool = poolOf('cached', kv, layer);
    if (
      !(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end > start && end <= kv.blocks * PAGE_TOKENS)
    ) {
      throw new InputError('argument', `cached: positions ${start} to ${end} of a view of ${kv.blocks * PAGE_TOKENS}`);
    }
    const out = this.#tensors.make([end - start, pool.spec.kvHeads * pool.spec.headDim]);
    const words = this.#contents(pool, kv, layer, part, out, start, end);
    words[8] = start;
    words[9] = end;
    engine.run('cached', engine.wasm.exports.cached);
    return out;
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    const engine = this.#engine;
    const pool = poolOf('spanMeans', kv, layer);
    const count = countSpans('spanMeans', spans, kv.blocks * PAGE_TOKENS, "the view's positions");
    const { kvHeads, headDim } = pool.spec;
    let first = Infinity;
    let last = 0;
    for (let i = 0; i < spans.length; i += 2) {
      const [start = 0, end = 0] = [spans[i], spans[i + 1]];
      if (start === end) continue;
      first = Math.min(first, start);
      last = Math.max(last, end);
    }
    const out = this.#tensors.make([count, kvHeads * headDim]);
    const list = this.#spans(spans);
    engine.scratch(engine.wasm.exports.spanMeansScratchBytes(headDim));
    const words = this.#contents(pool, kv, layer, part, out, Math.min(first, last), last);
    words[10] = list;
    words[11] = count;
    engine.run('spanMeans', engine.wasm.exports.spanMeans);
    return out;
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    const engine = this.#engine;
    const input = matrixOf('rowMeans', 'x', x);
    const [rows = 0, cols = 0] = input.shape;
    const count = countSpans('rowMeans', spans, rows, 'the rows of x');
    const out = this.#tensors.make([count, cols]);
    const list = this.#spans(spans);
    const words = engine.words();
    words[1] = out.pointer;
    words[2] = input.pointer;
    words[3] = cols;
    words[4] = list;
    words[5] = count;
    engine.run('rowMeans', engine.wasm.exports.rowMeans);
    return out;
  }

  /** Spans in WASM memory. */
  #spans(spans: Uint32Array): number {
    const list = this.#engine.room('spans', Math.max(4, spans.length * 4));
    this.#engine.wasm.words().set(spans, list >>> 2);
    return list;
  }

  /** The words that `cached` and `spanMeans` share, with the table of the pages of positions [start, end). */
  #contents(
    pool: WasmPool,
    kv: KvView,
    layer: number,
    part: 'keys' | 'values',
    out: WasmTensor,
    start: number,
    end: number,
  ): Uint32Array {
    const engine = this.#engine;
    const { kvHeads, headDim } = pool.spec;
    const from = Math.floor(start / PAGE_TOKENS);
    const to = Math.ceil(end / PAGE_TOKENS);
    const pages = engine.room('pages', Math.max(1, kvHeads * (to - from)) * 4);
    writePages(engine.wasm.words(), pages >>> 2, pool, kv, layer, from, to);
    const words = engine.words();
    words[1] = out.pointer;
    words[2] = pages;
    words[3] = from;
    words[4] = to - from;
    words[5] = kvHeads;
    words[6] = headDim;
    words[7] = part === 'values' ? 1 : 0;
    return words;
  }

  /** Page table, ranges, and the words that attention and probe share. */
  #write(asked: Asked, spec: AttentionSpec, out: WasmTensor): void {
    const engine = this.#engine;
    const { input, pool, kv, layer, position, ranges, lists, keys } = asked;
    const { kvHeads, headDim } = pool.spec;
    const blocks = Math.ceil(keys / PAGE_TOKENS);
    const pages = engine.room('pages', Math.max(1, kvHeads * blocks) * 4);
    const offsets = engine.room('offsets', ranges.offsets.length * 4);
    const runs = engine.room('runs', Math.max(1, ranges.runs.length) * 4);
    const added = ranges.bias === undefined ? 0 : engine.room('biases', Math.max(1, ranges.bias.length) * 4);
    const all = engine.wasm.words();
    if (!writePages(all, pages >>> 2, pool, kv, layer, 0, blocks))
      checkPages(asked, all.subarray(pages >>> 2, (pages >>> 2) + kvHeads * blocks), blocks);
    all.set(ranges.offsets, offsets >>> 2);
    all.set(ranges.runs, runs >>> 2);
    if (ranges.bias !== undefined) engine.wasm.floats().set(ranges.bias, added >>> 2);
    const words = engine.words();
    words[1] = out.pointer;
    words[2] = input.pointer;
    words[3] = pages;
    words[4] = blocks;
    words[5] = input.shape[0] ?? 0;
    words[6] = position;
    words[7] = spec.heads;
    words[8] = kvHeads;
    words[9] = headDim;
    words[10] = added;
    engine.floats()[11] = spec.scale;
    words[12] = ranges.queryBlock;
    words[13] = lists;
    words[14] = ranges.causal ? 1 : 0;
    words[15] = offsets;
    words[16] = runs;
    words[17] = keys;
  }
}

/** Checks everything but the pages. */
function ask(
  operation: string,
  q: Tensor,
  kv: KvView,
  layer: number,
  position: number,
  ranges: Ranges,
  spec: AttentionSpec,
): Asked {
  const pool = poolOf(operation, kv, layer);
  const { kvHeads, headDim } = pool.spec;
  const input = matrixOf(operation, 'q', q);
  const [count = 0, cols = 0] = input.shape;
  if (cols !== spec.heads * headDim || spec.heads % kvHeads !== 0) {
    throw new InputError(
      'argument',
      `${operation}: q [${input.shape.join(', ')}] should have ${spec.heads} * ${headDim} columns, heads a multiple of ${kvHeads}`,
    );
  }
  if (!(Number.isInteger(position) && position >= 0))
    throw new InputError('argument', `${operation}: position ${position}`);
  const lists = ranges.shared ? 1 : kvHeads;
  const keys = furthestKey(operation, ranges, lists, count, position, kv.blocks * PAGE_TOKENS);
  return { operation, input, pool, kv, layer, position, ranges, lists, keys };
}

/** The end of the furthest run that a query may see, after checking that the ranges are what the contract says and stay within `capacity`. */
function furthestKey(
  operation: string,
  ranges: Ranges,
  lists: number,
  count: number,
  position: number,
  capacity: number,
): number {
  const { queryBlock, offsets, runs, causal, bias } = ranges;
  const wrong = (problem: string): InputError => new InputError('argument', `${operation}: ${problem}`);
  if (!(Number.isInteger(queryBlock) && queryBlock > 0)) throw wrong(`ranges with query blocks of ${queryBlock}`);
  const blocks = Math.ceil(count / queryBlock);
  if (offsets.length !== blocks * lists + 1)
    throw wrong(
      `ranges with ${offsets.length} offsets; ${blocks} query blocks of ${lists} lists need ${blocks * lists + 1}`,
    );
  if (bias !== undefined) {
    if (2 * bias.length !== runs.length) throw wrong(`ranges with ${bias.length} biases for ${runs.length / 2} runs`);
    for (const b of bias) if (!(b < Infinity)) throw wrong(`a bias of ${b}; it must be a number below Infinity`);
  }
  let furthest = 0;
  for (let list = 0; list < blocks * lists; list++) {
    const first = offsets[list] ?? 0;
    const last = offsets[list + 1] ?? 0;
    if (last < first || 2 * last > runs.length)
      throw wrong(`ranges whose offsets ${first}, ${last} do not fit ${runs.length / 2} runs`);
    const limit = causal ? blockEnd(list, lists, queryBlock, count, position) : Infinity;
    let before = 0;
    for (let run = first; run < last; run++) {
      const start = runs[2 * run] ?? 0;
      const end = runs[2 * run + 1] ?? 0;
      if (start < before || end < start)
        throw wrong(`run [${start}, ${end}) after ${before}; runs are sorted and disjoint`);
      before = end;
      if (start < limit) furthest = Math.max(furthest, Math.min(end, limit));
    }
  }
  if (furthest > capacity) throw wrong(`a run ends at ${furthest}, the view at ${capacity}`);
  return furthest;
}

/** One more than the position of the last query of a list's block. */
function blockEnd(list: number, lists: number, queryBlock: number, count: number, position: number): number {
  return position + Math.min((Math.floor(list / lists) + 1) * queryBlock, count);
}

/** Throws unless every run that a query of a head may see has pages in that head; `entries` [kvHeads][blocks] are 0 where there is none. */
function checkPages(
  { operation, input, pool, kv, layer, position, ranges, lists }: Asked,
  entries: Uint32Array,
  blocks: number,
): void {
  const { kvHeads } = pool.spec;
  const { queryBlock, offsets, runs, causal } = ranges;
  const count = input.shape[0] ?? 0;
  for (let head = 0; head < kvHeads; head++) {
    // missing[b]: of the blocks before b.
    const missing = new Int32Array(blocks + 1);
    for (let block = 0; block < blocks; block++)
      missing[block + 1] = (missing[block] ?? 0) + (entries[head * blocks + block] === 0 ? 1 : 0);
    for (let list = lists === 1 ? 0 : head; list < offsets.length - 1; list += lists) {
      const limit = causal ? blockEnd(list, lists, queryBlock, count, position) : Infinity;
      for (let run = offsets[list] ?? 0; run < (offsets[list + 1] ?? 0); run++) {
        const end = Math.min(runs[2 * run + 1] ?? 0, limit);
        const from = Math.floor((runs[2 * run] ?? 0) / PAGE_TOKENS);
        const to = Math.ceil(end / PAGE_TOKENS);
        if (to <= from || missing[to] === missing[from]) continue;
        const block = missing.findIndex((n, i) => i > from && n > (missing[from] ?? 0)) - 1;
        const page = kv.table[(layer * kvHeads + head) * kv.blocks + block];
        throw new InputError(
          'argument',
          `${operation}: position ${block * PAGE_TOKENS}, layer ${layer}, head ${head}: ${pool.describe(page)}`,
        );
      }
    }
  }
}

/** The number of spans, whose ends come after their starts and not after `limit`. */
function countSpans(operation: string, spans: Uint32Array, limit = Infinity, of = ''): number {
  if (spans.length === 0 || spans.length % 2 !== 0)
    throw new InputError(
      'argument',
      `${operation}: spans of ${spans.length} numbers; pairs of start and end are needed`,
    );
  for (let i = 0; i < spans.length; i += 2) {
    const [start = 0, end = 0] = [spans[i], spans[i + 1]];
    if (start > end || end > limit)
      throw new InputError(
        'argument',
        `${operation}: span [${start}, ${end})${end > limit ? ` of ${limit}, ${of}` : ''}`,
      );
  }
  return spans.length / 2;
}
