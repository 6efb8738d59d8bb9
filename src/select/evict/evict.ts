/**
 * Eviction after prefill: each KV head keeps a share of a prompt's pages, chosen by the attention of the prompt's last
 * queries. The unit is a page of 32 tokens, scored by the sum over its tokens; the first page and those that contain
 * the last queries are always kept.
 *
 * SnapKV (2404.14469): the last 32 queries, masses pooled over 7 neighbours by maximum; every KV head by the masses of
 * its own query heads; all layers alike.
 *
 * CompressKV (2508.02401): the last 8 queries, pooled over 5 by mean; the layer's semantic retrieval heads (`findHeads`
 * of ../heads.ts) decide for all of its KV heads. The number of pages that a layer keeps depends on its eviction error:
 * the relative squared error of the last queries' attention output if every layer kept the same number. The paper
 * measures these errors once on a data set; here they are measured on the prompt itself.
 */
import { PAGE_TOKENS, type Ranges, type Tensor } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Wasm } from '../../wasm.ts';
import type { PlannedCall } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { intersect, type RunList } from '../../kv/runs.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { shareOut, strongest } from './budgets.ts';
import { canThin } from '../facts.ts';
import { highest, pageMasses, relativeError, type Pooling } from '../keys.ts';

export interface EvictSettings {
  readonly method: 'snapkv' | 'compresskv';
  /** The share of the prompt's tokens. */
  readonly keep: number;
  /** The number of last queries; undefined: the method's own. */
  readonly window?: number | undefined;
  /** Whether pages are released, or only left out of the answer (default `session`). */
  readonly scope?: 'session' | 'answer';
}

export interface EvictFacts {
  readonly wasm: Wasm;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** [layers * heads]; compresskv only. */
  readonly semantic?: Float32Array | undefined;
  /** KV heads that are not evicted. */
  readonly skips?: ((layer: number, head: number) => boolean) | undefined;
}

interface Method {
  /** The number of last queries that are used. */
  readonly queries: number;
  readonly pooling: Pooling;
}
const METHODS: Readonly<Record<EvictSettings['method'], Method>> = {
  snapkv: { queries: 32, pooling: { kind: 'max', width: 7 } },
  compresskv: { queries: 8, pooling: { kind: 'mean', width: 5 } },
};
/** The number of query heads of a layer that decide (CompressKV). */
const SEMANTIC_HEADS = 4;
/** The least share of the common number of pages that a layer keeps, whatever its error. */
const LEAST = 0.25;

/** What the last queries of one layer gave. */
interface Asked {
  /** By KV head: the mass on each page; undefined for heads that are skipped. */
  readonly scores: readonly (Float64Array | undefined)[];
  /** compresskv: the queries themselves, for the layer's error. */
  readonly q: Tensor | undefined;
}

/** The prompt that is being read. */
interface Reading {
  readonly call: PlannedCall;
  /** By layer: the last queries of chunks before the last. */
  readonly tails: (Tensor | undefined)[];
  readonly asked: (Asked | undefined)[];
}

export class Eviction {
  readonly #settings: EvictSettings;
  readonly #facts: EvictFacts;
  readonly #method: Method;
  #reading: Reading | undefined;
  /** Blocks below this one may be holes. */
  #end = 0;
  /** By layer and KV head, for one answer: the blocks of the prompt that it sees. Undefined: all. */
  #left: { readonly promptEnd: number; readonly layers: (readonly (RunList | undefined)[])[] } | undefined;

  /** Throws `InputError('argument')` when CompressKV has no semantic heads. */
  constructor(settings: EvictSettings, facts: EvictFacts) {
    if (settings.method === 'compresskv' && facts.semantic === undefined) {
      throw new InputError(
        'argument',
        "evict 'compresskv' needs the model's semantic retrieval heads, which were not determined; load the model with them, or use 'snapkv'",
        {},
      );
    }
    this.#settings = settings;
    this.#facts = facts;
    const method = METHODS[settings.method];
    this.#method = { ...method, queries: settings.window ?? method.queries };
  }

  /** The part of `ranges` that an answer sees, where pages are left out for it alone. */
  visible(ranges: Ranges, { phase, promptEnd, position, count }: PlannedCall, layer: number): Ranges {
    const rows = this.#left?.promptEnd === promptEnd && phase === 'decode' ? this.#left.layers[layer] : undefined;
    if (rows === undefined) return ranges;
    const keys = position + count;
    return intersect(
      ranges,
      rows.map((row) => ({
        runs: row === undefined ? Uint32Array.of(0, keys) : Uint32Array.of(...row.runs, promptEnd, keys),
      })),
    );
  }

  watches({ position, count, promptEnd }: PlannedCall): boolean {
    return position + count > promptEnd - this.#method.queries;
  }

  async watch(call: PlannedCall, layer: number, q: Tensor): Promise<void> {
    const { backend, kv, position, count, promptEnd, heads, scale, held } = call;
    const reading = this.#of(call);
    const from = Math.max(0, promptEnd - this.#method.queries - position);
    const earlier = reading.tails[layer];
    const queries = backend.keep(
      backend.scope(() => {
        const own = backend.rows(q, from, count - from);
        return earlier === undefined ? own : backend.stack([earlier, own]);
      }),
    );
    if (earlier !== undefined) backend.free(earlier);
    reading.tails[layer] = queries;
    if (position + count < promptEnd) return;
    const [rows = 0] = queries.shape;
    const dense = denseCausal(rows, promptEnd);
    const ranges = held?.(dense, layer) ?? dense;
    const [masses = new Float32Array(0)] = await readBack(backend, () => [
      backend.probe(queries, kv, layer, promptEnd - rows, ranges, { heads, scale }),
    ]);
    const keeps = this.#settings.method === 'compresskv';
    if (!keeps) backend.free(queries);
    reading.tails[layer] = undefined;
    reading.asked[layer] = { scores: this.#scores(call, layer, masses), q: keeps ? queries : undefined };
  }

  /** Releases the pages that the heads of no layer keep. Does nothing when the prompt was not read to its end. */
  async prefilled(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    this.#left = undefined;
    if (reading === undefined) return;
    try {
      const { kv, promptEnd } = reading.call;
      if (!canThin(kv))
        throw new InputError(
          'argument',
          'evict releases pages, which this view cannot do; use a Sequence, or leave evict out',
          {},
        );
      const pages = Math.ceil(promptEnd / PAGE_TOKENS);
      const tail = Math.floor(Math.max(0, promptEnd - this.#method.queries) / PAGE_TOKENS);
      // The choice is among pages `[1, tail)`.
      const most = Math.max(0, tail - 1);
      const common = Math.min(most, Math.max(0, Math.ceil(this.#settings.keep * pages) - 1 - (pages - tail)));
      const scores = reading.asked.map((it) => it?.scores ?? []);
      if (common >= most || scores.length < this.#facts.layers) return;
      const budgets = await this.#budgets(reading, scores, { common, most, pages, tail });
      if (this.#settings.scope === 'answer') {
        const layers = scores.map((byHead, layer) =>
          byHead.map((row) => row && this.#kept(row, { common: budgets[layer] ?? most, pages, tail, promptEnd })),
        );
        this.#left = { promptEnd, layers };
        return;
      }
      let end = 0;
      for (const [layer, byHead] of scores.entries()) {
        for (const [head, row] of byHead.entries()) {
          if (row === undefined) continue;
          const marks = highest(this.#facts.wasm, row.subarray(1, tail), budgets[layer] ?? most);
          for (const [i, kept] of marks.entries()) {
            if (kept === 1) continue;
            kv.release(layer, head, i + 1);
            end = Math.max(end, i + 2);
          }
        }
      }
      this.#end = Math.max(this.#end, end);
    } finally {
      drop(reading);
    }
  }

  /** Returns the mass on each page, by KV head; -Infinity for holes, undefined for heads that are skipped. */
  #scores({ promptEnd, kv }: PlannedCall, layer: number, masses: Float32Array): (Float64Array | undefined)[] {
    const { wasm, heads, kvHeads, semantic, skips } = this.#facts;
    const group = heads / kvHeads;
    const own = Array.from({ length: kvHeads }, (_, head) => Array.from({ length: group }, (_, i) => head * group + i));
    const asked = own.filter((_, head) => skips?.(layer, head) !== true).flat();
    const deciding = strongest(
      asked.map((head) => semantic?.[layer * heads + head] ?? 0),
      SEMANTIC_HEADS,
    ).map((i) => asked[i] ?? 0);
    return own.map((rows, head) => {
      if (skips?.(layer, head) === true) return undefined;
      const scores = pageMasses(
        wasm,
        masses,
        promptEnd,
        this.#settings.method === 'snapkv' ? rows : deciding,
        this.#method.pooling,
      );
      const row = (layer * kvHeads + head) * kv.blocks;
      return scores.map((score, block) => ((kv.table[row + block] ?? -1) < 0 ? -Infinity : score));
    });
  }

  /** Returns the number of pages that each layer's heads keep. */
  async #budgets(
    { call, asked }: Reading,
    scores: readonly (readonly (Float64Array | undefined)[])[],
    {
      common,
      most,
      pages,
      tail,
    }: { readonly common: number; readonly most: number; readonly pages: number; readonly tail: number },
  ): Promise<readonly number[]> {
    if (this.#settings.method === 'snapkv') return scores.map(() => common);
    const { backend, kv, promptEnd, heads, scale, held } = call;
    const errors: number[] = [];
    for (const [layer, byHead] of scores.entries()) {
      const q = asked[layer]?.q;
      const [rows = 0] = q?.shape ?? [];
      const dense = denseCausal(rows, promptEnd);
      const full = held?.(dense, layer) ?? dense;
      const all: RunList = { runs: Uint32Array.of(0, promptEnd) };
      const kept = intersect(
        full,
        byHead.map((row) => (row === undefined ? all : this.#kept(row, { common, pages, tail, promptEnd }))),
      );
      const attend = (ranges: Ranges): Tensor[] =>
        q === undefined ? [] : [backend.attention(q, kv, layer, promptEnd - rows, ranges, { heads, scale })];
      const [a = new Float32Array(0), b = new Float32Array(0)] = await readBack(backend, () => [
        ...attend(full),
        ...attend(kept),
      ]);
      errors.push(relativeError(this.#facts.wasm, a, b));
    }
    return shareOut(common * scores.length, errors, { least: Math.ceil(LEAST * common), most });
  }

  /** Returns the pages that a row still holds. */
  #kept(
    row: Float64Array,
    {
      common,
      pages,
      tail,
      promptEnd,
    }: { readonly common: number; readonly pages: number; readonly tail: number; readonly promptEnd: number },
  ): RunList {
    const marks = highest(this.#facts.wasm, row.subarray(1, tail), common);
    const runs: number[] = [];
    for (let page = 0; page < pages; page++) {
      if (page > 0 && page < tail && marks[page - 1] !== 1) continue;
      const start = page * PAGE_TOKENS;
      const end = Math.min(promptEnd, start + PAGE_TOKENS);
      if (runs.at(-1) === start) runs[runs.length - 1] = end;
      else runs.push(start, end);
    }
    return { runs: Uint32Array.from(runs) };
  }

  keeps(length: number): number {
    return length >= this.#end * PAGE_TOKENS ? length : 0;
  }

  /** Pages read elsewhere may be holes, except the last two blocks, since the last queries of a prompt keep theirs. */
  adopts(length: number): boolean {
    this.#end = Math.max(this.#end, Math.floor(length / PAGE_TOKENS) - 1);
    return true;
  }

  truncated(length: number): void {
    this.#forget();
    if (length < (this.#left?.promptEnd ?? 0)) this.#left = undefined;
    if (length < this.#end * PAGE_TOKENS) this.#end = 0;
  }

  fork(): Eviction {
    const copy = new Eviction(this.#settings, this.#facts);
    copy.#end = this.#end;
    copy.#left = this.#left;
    return copy;
  }

  free(): void {
    this.#forget();
  }

  /** Returns the reading that this call continues, or a new one. */
  #of(call: PlannedCall): Reading {
    const { promptEnd, kv, position } = call;
    const known = this.#reading;
    if (known !== undefined && known.call.kv === kv && known.call.promptEnd === promptEnd) {
      const before = known.call.position + known.call.count;
      if (position === before) this.#reading = { ...known, call };
      if (position === before || position === known.call.position) return this.#reading ?? known;
    }
    this.#forget();
    const reading = { call, tails: [], asked: [] };
    this.#reading = reading;
    return reading;
  }

  #forget(): void {
    if (this.#reading !== undefined) drop(this.#reading);
    this.#reading = undefined;
  }
}

/** Frees the queries of a reading. A lost device has freed them already. */
function drop({ call: { backend }, tails, asked }: Reading): void {
  for (const tensor of [...tails, ...asked.map((it) => it?.q)]) if (tensor !== undefined) backend.free(tensor);
}
