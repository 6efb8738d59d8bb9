/**
 * SentenceKV (Zhu et al. 2025, 2504.00970): keys are grouped by sentence, and at decode each KV head sees the sentences
 * whose mean key is nearest to the mean query since the last end of a sentence, besides the first and the newest keys.
 * The text of a token decides whether a sentence ends with it.
 *
 * Only some keys of a prompt represent and make up its sentences: those to which its last 32 queries attend most, chosen
 * for each KV head as SnapKV does, five times as many as the budget. The first token of a sentence sees all of them.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import type { Plan, PlannedCall } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import type { RunList } from '../../kv/runs.ts';
import type { WatchingPlanner } from '../facts.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { framed, listsOf, nearest, pooledBest, tokensOf, type Pooling } from '../keys.ts';

export interface SentenceSettings {
  /**
   * Tokens of the chosen sentences: at most 1 is a share of the context, above 1 a number. Sentences are taken whole.
   */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
}

export const SENTENCE_DEFAULTS: SentenceSettings = { budget: 1024, sinks: 4, local: 128 };

/** The last queries of a prompt that choose its keys, how their masses are pooled, and how many more are chosen than the budget. */
const QUERIES = 32;
const POOLING: Pooling = { kind: 'max', width: 7 };
const FACTOR = 5;
/** Tokens whose keys are read back at once. */
const READ = 512;

/** A sentence ends after this many tokens in any case; otherwise a table or an image could fill the whole budget. */
const LONGEST = 64;

/** A full stop, question or exclamation mark, with closing quotes after it, at the end of a token; or a line's end anywhere in it. */
const END = /(?:[.!?…。！？।؟]["'”’»)\]」』]*\s*$)|\n/u;

/**
 * Returns whether a sentence may end with a token, by the token's text; cached. `1.5` is divided if `.` is a token,
 * which does no harm here.
 */
export function sentenceEnds(tokenizer: {
  readonly facts: { readonly vocabulary: number };
  tokenBytes(id: number): Uint8Array;
}): (id: number) => boolean {
  const known = new Uint8Array(tokenizer.facts.vocabulary);
  const utf8 = new TextDecoder();
  return (id) => {
    if (!(id >= 0 && id < known.length)) return false;
    if (known[id] === 0) known[id] = END.test(utf8.decode(tokenizer.tokenBytes(id))) ? 2 : 1;
    return known[id] === 2;
  };
}

/** The data on one layer. */
interface Layer {
  /** The sum of the last queries' masses [heads, keys], until the prompt's last call, and the keys. */
  masses: Float64Array;
  keys: number;
  /** By KV head: 1 for each token of the prompt that was chosen. Undefined: all. */
  chosen: readonly Uint8Array[] | undefined;
  /** [sentences, kvHeads * headDim] of the chosen tokens, with spare capacity, and by KV head their numbers. */
  means: Float32Array;
  counts: number[][];
  sentences: number;
  /** The sum of the queries since the last end of a sentence, [heads * headDim], and their number. */
  sum: Float64Array;
  queries: number;
}

export class SentenceKV implements WatchingPlanner {
  readonly #wasm: Wasm;
  readonly #settings: SentenceSettings;
  readonly #ends: (id: number) => boolean;
  /** Ends of the sentences, ascending; the first begins at 0. */
  #bounds: number[] = [];
  /** Ids below this position were examined. */
  #scanned = 0;
  #layers: Layer[] = [];
  /** Where the next call must begin for the earlier queries to belong to it. */
  #next = -1;
  /** The end of the prompt whose keys were chosen. */
  #promptEnd = -1;

  constructor(wasm: Wasm, settings: SentenceSettings, ends: (id: number) => boolean) {
    this.#wasm = wasm;
    this.#settings = settings;
    this.#ends = ends;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { budget, sinks, local } = this.#settings;
    const keys = call.position + call.count;
    this.#scan(call);
    if (call.position !== this.#next) for (const layer of this.#layers) layer.queries = 0;
    this.#next = keys;
    if (sinks + local + tokensOf(budget, keys) >= keys) return denseCausal(call.count, keys);
    return { ranges: (layer, q) => this.#choose(call, layer, q), reads: (layer) => this.#reads(call, layer) };
  }

  watches({ position, count, promptEnd }: PlannedCall): boolean {
    return position + count > promptEnd - QUERIES;
  }

  /** Adds the masses of the prompt's last queries; the last call chooses. */
  async watch(call: PlannedCall, layer: number, q: Tensor): Promise<void> {
    const { backend, kv, position, count, promptEnd, heads, scale, held } = call;
    const { kvHeads } = kv.pool.spec;
    const from = Math.max(0, promptEnd - QUERIES - position);
    const keys = position + count;
    if (this.#promptEnd !== promptEnd) {
      this.#layers = [];
      this.#promptEnd = promptEnd;
    }
    const state = this.#layer(call, layer);
    const dense = denseCausal(count - from, keys);
    const ranges = held?.(dense, layer) ?? dense;
    const [found = new Float32Array(0)] = await readBack(backend, () => [
      backend.probe(backend.rows(q, from, count - from), kv, layer, position + from, ranges, { heads, scale }),
    ]);
    const width = found.length / heads;
    const masses = new Float64Array(heads * keys);
    for (let head = 0; head < heads; head++) {
      for (let key = 0; key < keys; key++) {
        const before = key < state.keys ? (state.masses[head * state.keys + key] ?? 0) : 0;
        const more = key < width ? (count - from) * (found[head * width + key] ?? 0) : 0;
        masses[head * keys + key] = before + more;
      }
    }
    state.masses = masses;
    state.keys = keys;
    if (keys < promptEnd) return;
    const group = heads / kvHeads;
    const end = Math.max(0, promptEnd - QUERIES);
    const budget = Math.max(1, FACTOR * tokensOf(this.#settings.budget, keys) - QUERIES);
    const rows = Float32Array.from(masses);
    state.chosen = Array.from({ length: kvHeads }, (_, head) =>
      pooledBest(
        this.#wasm,
        rows,
        keys,
        Array.from({ length: group }, (__, i) => head * group + i),
        { pooling: POOLING, end, budget },
      ),
    );
    state.masses = new Float64Array(0);
    state.keys = 0;
  }

  /** Sentences whose mean keys are not known yet. */
  #reads({ count }: PlannedCall, layer: number): Ranges {
    const start = this.#bounds[(this.#layers[layer]?.sentences ?? 0) - 1] ?? 0;
    const end = this.#bounds.at(-1) ?? 0;
    return listsOf([{ runs: start < end ? Uint32Array.of(start, end) : new Uint32Array(0) }], count);
  }

  /** Sentences that ended before this call. */
  #scan({ ids, position }: PlannedCall): void {
    for (; this.#scanned < position; this.#scanned++) {
      const start = this.#bounds.at(-1) ?? 0;
      if (this.#ends(ids[this.#scanned] ?? -1) || this.#scanned + 1 - start >= LONGEST)
        this.#bounds.push(this.#scanned + 1);
    }
  }

  async #choose(call: PlannedCall, layer: number, q: Tensor): Promise<Ranges> {
    const { backend, kv, position, count, ids } = call;
    const { kvHeads, headDim } = kv.pool.spec;
    const { budget, sinks, local } = this.#settings;
    const bounds = this.#bounds;
    const state = this.#layer(call, layer);
    await this.#read(call, layer, state);
    const [queries = new Float32Array(0)] = await readBack(backend, () => [backend.rows(q, 0, count)]);
    for (let row = 0; row < count; row++) {
      // The query of a sentence's first token begins a new mean.
      if (state.queries === 0 || this.#ends(ids[position + row - 1] ?? -1)) {
        state.sum.fill(0);
        state.queries = 0;
      }
      for (let i = 0; i < state.sum.length; i++)
        state.sum[i] = (state.sum[i] ?? 0) + (queries[row * state.sum.length + i] ?? 0);
      state.queries++;
    }

    const keys = position + count;
    // The sentence that is being written is always visible.
    const newest = Math.max(sinks, Math.min(position + 1 - local, bounds.at(-1) ?? 0));
    if (state.queries === 1)
      return listsOf(
        Array.from({ length: kvHeads }, (_, head) => framed(sinks, chosenRuns(state, head, 0, newest), newest, keys)),
        count,
      );
    const first = bounds.findIndex((end) => end > sinks);
    const past = bounds.findLastIndex((_, i) => (bounds[i - 1] ?? 0) < newest) + 1;
    const from = first < 0 ? past : Math.min(first, past);
    const width = kvHeads * headDim;
    const vectors = state.means.subarray(from * width, past * width);
    const group = call.heads / kvHeads;
    const lists = Array.from({ length: kvHeads }, (_, head): RunList => {
      // The mean over queries and the heads of the group, up to a factor that does not change the order.
      const query = Float32Array.from({ length: headDim }, (__, i) => {
        let sum = 0;
        for (let h = head * group; h < (head + 1) * group; h++) sum += state.sum[h * headDim + i] ?? 0;
        return sum / state.queries;
      });
      const lengths = Uint32Array.from(state.counts.slice(from, past), (one) => one[head] ?? 0);
      const marks = nearest(
        this.#wasm,
        { vectors, stride: width, column: head * headDim, query, lengths },
        tokensOf(budget, keys),
      );
      const runs: number[] = [];
      marks.forEach((taken, i) => {
        if (taken === 1) runs.push(...chosenRuns(state, head, bounds[from + i - 1] ?? 0, bounds[from + i] ?? 0));
      });
      return framed(sinks, Uint32Array.from(runs), newest, keys);
    });
    return listsOf(lists, count);
  }

  /** Reads the keys of sentences that are not known yet. */
  async #read({ backend, kv }: PlannedCall, layer: number, state: Layer): Promise<void> {
    const { kvHeads, headDim } = kv.pool.spec;
    const width = kvHeads * headDim;
    const bounds = this.#bounds;
    while (state.sentences < bounds.length) {
      const start = bounds[state.sentences - 1] ?? 0;
      const past = Math.max(state.sentences + 1, bounds.findLastIndex((end) => end <= start + READ) + 1);
      const [rows = new Float32Array(0)] = await readBack(backend, () => [
        backend.cached(kv, layer, 'keys', start, bounds[past - 1] ?? 0),
      ]);
      if (past * width > state.means.length) {
        const grown = new Float32Array(2 * past * width);
        grown.set(state.means.subarray(0, state.sentences * width));
        state.means = grown;
      }
      for (let sentence = state.sentences; sentence < past; sentence++) {
        const [from, to] = [bounds[sentence - 1] ?? 0, bounds[sentence] ?? 0];
        state.counts[sentence] = Array.from({ length: kvHeads }, (_, head) => {
          const chosen = state.chosen?.[head];
          const sum = new Float64Array(headDim);
          let count = 0;
          for (let key = from; key < to; key++) {
            if (chosen !== undefined && chosen[key] === 0) continue;
            count++;
            const at = (key - start) * width + head * headDim;
            for (let i = 0; i < headDim; i++) sum[i] = (sum[i] ?? 0) + (rows[at + i] ?? 0);
          }
          state.means.set(
            Float32Array.from(sum, (value) => value / Math.max(1, count)),
            sentence * width + head * headDim,
          );
          return count;
        });
      }
      state.sentences = past;
    }
  }

  #layer({ kv, heads }: PlannedCall, layer: number): Layer {
    return (this.#layers[layer] ??= {
      masses: new Float64Array(0),
      keys: 0,
      chosen: undefined,
      means: new Float32Array(0),
      counts: [],
      sentences: 0,
      sum: new Float64Array(heads * kv.pool.spec.headDim),
      queries: 0,
    });
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    this.#scanned = Math.min(this.#scanned, length);
    while ((this.#bounds.at(-1) ?? 0) > length) this.#bounds.pop();
    if (length < this.#promptEnd) {
      // The next prompt chooses its keys.
      this.#layers = [];
      this.#promptEnd = -1;
    }
    for (const layer of this.#layers) layer.sentences = Math.min(layer.sentences, this.#bounds.length);
    this.#next = -1;
  }

  fork(): SentenceKV {
    const copy = new SentenceKV(this.#wasm, this.#settings, this.#ends);
    copy.#bounds = [...this.#bounds];
    copy.#scanned = this.#scanned;
    copy.#promptEnd = this.#promptEnd;
    copy.#layers = this.#layers.map((layer) => ({
      ...layer,
      means: layer.means.slice(),
      counts: layer.counts.slice(),
      sum: layer.sum.slice(),
    }));
    return copy;
  }

  free(): void {
    this.#bounds = [];
    this.#layers = [];
  }
}

/** Runs of the chosen tokens `[from, to)`; those after the prompt are all chosen. */
function chosenRuns({ chosen }: Layer, head: number, from: number, to: number): Uint32Array {
  const marks = chosen?.[head];
  const runs: number[] = [];
  for (let key = from; key < to; key++) {
    if (marks !== undefined && marks[key] === 0) continue;
    if (runs.at(-1) === key) runs[runs.length - 1] = key + 1;
    else runs.push(key, key + 1);
  }
  return Uint32Array.from(runs);
}
