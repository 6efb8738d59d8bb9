/**
 * SentenceKV (Zhu et al. 2025, 2504.00970): keys are grouped by sentence, and at decode each KV head sees the sentences
 * whose mean key is nearest to the mean query since the last end of a sentence, besides the first and the newest keys.
 * The text of a token decides whether a sentence ends with it.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import type { RunList } from '../../kv/runs.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { framed, listsOf, nearest, tokensOf } from '../keys.ts';

export interface SentenceSettings {
  /**
   * Tokens of the chosen sentences: at most 1 is a share of the context, above 1 a number. Sentences are taken whole.
   */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
}

export const SENTENCE_DEFAULTS: SentenceSettings = { budget: 1024, sinks: 4, local: 128 };

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
  /** [sentences, kvHeads * headDim], with spare capacity. */
  means: Float32Array;
  sentences: number;
  /** The sum of the queries since the last end of a sentence, [heads * headDim], and their number. */
  sum: Float64Array;
  queries: number;
}

export class SentenceKV implements Planner {
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
    const state = (this.#layers[layer] ??= {
      means: new Float32Array(0),
      sentences: 0,
      sum: new Float64Array(call.heads * headDim),
      queries: 0,
    });
    const fresh = Uint32Array.from(
      bounds.slice(state.sentences).flatMap((end, i) => [bounds[state.sentences + i - 1] ?? 0, end]),
    );
    const [queries = new Float32Array(0), means] = await readBack(backend, () => [
      backend.rows(q, 0, count),
      ...(fresh.length > 0 ? [backend.spanMeans(kv, layer, 'keys', fresh)] : []),
    ]);
    if (means !== undefined) append(state, means, kvHeads * headDim, fresh.length / 2);
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
    const first = bounds.findIndex((end) => end > sinks);
    const past = bounds.findLastIndex((_, i) => (bounds[i - 1] ?? 0) < newest) + 1;
    const from = first < 0 ? past : Math.min(first, past);
    const lengths = Uint32Array.from(bounds.slice(from, past), (end, i) => end - (bounds[from + i - 1] ?? 0));
    const width = kvHeads * headDim;
    const vectors = state.means.subarray(from * width, past * width);
    const group = call.heads / kvHeads;
    const lists = Array.from({ length: kvHeads }, (_, head): RunList => {
      // The mean over queries and the heads of the group, up to a factor that does not change the order.
      const query = Float32Array.from({ length: headDim }, (_, i) => {
        let sum = 0;
        for (let h = head * group; h < (head + 1) * group; h++) sum += state.sum[h * headDim + i] ?? 0;
        return sum / state.queries;
      });
      const marks = nearest(
        this.#wasm,
        { vectors, stride: width, column: head * headDim, query, lengths },
        tokensOf(budget, keys),
      );
      const runs: number[] = [];
      marks.forEach((taken, i) => {
        if (taken === 1) runs.push(bounds[from + i - 1] ?? 0, bounds[from + i] ?? 0);
      });
      return framed(sinks, Uint32Array.from(runs), newest, keys);
    });
    return listsOf(lists, count);
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    this.#scanned = Math.min(this.#scanned, length);
    while ((this.#bounds.at(-1) ?? 0) > length) this.#bounds.pop();
    for (const layer of this.#layers) layer.sentences = Math.min(layer.sentences, this.#bounds.length);
    this.#next = -1;
  }

  fork(): SentenceKV {
    const copy = new SentenceKV(this.#wasm, this.#settings, this.#ends);
    copy.#bounds = [...this.#bounds];
    copy.#scanned = this.#scanned;
    copy.#layers = this.#layers.map((layer) => ({ ...layer, means: layer.means.slice(), sum: layer.sum.slice() }));
    return copy;
  }

  free(): void {
    this.#bounds = [];
    this.#layers = [];
  }
}

function append(layer: Layer, rows: Float32Array, width: number, count: number): void {
  const length = (layer.sentences + count) * width;
  if (length > layer.means.length) {
    const grown = new Float32Array(2 * length);
    grown.set(layer.means.subarray(0, layer.sentences * width));
    layer.means = grown;
  }
  layer.means.set(rows, layer.sentences * width);
  layer.sentences += count;
}
