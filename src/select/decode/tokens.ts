/**
 * TokenSelect (Wu et al. 2024, 2411.02886): each head's softmax over the candidates, of the products with the query
 * that are not scaled, is summed over the heads, and the keys with the largest sums are visible to all heads of the
 * layer, besides the first and the newest, which are no candidates. A layer's choice is reused until its query differs
 * too much from the one that made it.
 *
 * On a GPU, layers that have a choice use it without waiting for their queries, which are compared together after the
 * last layer. If one of them differs too much, the call is run again layer by layer, so that the result is the same.
 */
import type { Backend, Ranges, Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { intersect } from '../../kv/runs.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { framed, listsOf, tokensOf, topKeys } from '../keys.ts';
import { CoarseKeys } from './coarse-keys.ts';

export interface TokenSettings {
  /** The number of chosen keys: at most 1 is a share of the context, above 1 a number. */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  /** The least cosine, over all heads, between a query and that of the choice that it reuses. */
  readonly similarity: number;
  /** Whether a choice on the CPU scores keys as the pages have them, not keys at 7 bits. */
  readonly exact: boolean;
}

/**
 * The paper's values but for `similarity`: at its 0.9, SmolLM2-135M copies 4.8 % [0.9, 8.7] fewer of the numbers of a
 * text than with all keys (docs/long-context.md).
 */
export const TOKEN_DEFAULTS: TokenSettings = { budget: 2048, sinks: 128, local: 512, similarity: 0.95, exact: false };

interface Choice {
  readonly query: Float32Array;
  readonly runs: Uint32Array;
}

interface Candidates {
  readonly from: number;
  readonly to: number;
  readonly budget: number;
  /** Keys at 7 bits, from which these may be scored. */
  readonly keys?: CoarseKeys | undefined;
}

/**
 * Returns the `budget` keys of `[from, to)` with the largest sums over the heads, for queries that end the call, as
 * sorted runs.
 */
export async function voted(
  wasm: Wasm,
  { backend, kv, position, count, heads, held }: PlannedCall,
  layer: number,
  make: () => Tensor,
  { from, to, budget, keys: kept }: Candidates,
): Promise<Uint32Array> {
  const dense = denseCausal(1, position + count);
  const candidates = intersect(held?.(dense, layer) ?? dense, [{ runs: Uint32Array.of(from, to) }]);
  if (candidates.runs.length === 0) return new Uint32Array(0);
  const coarse = kept?.of(backend, kv, layer, to);
  const masses = backend.keep(
    backend.scope(() =>
      backend.probe(make(), kv, layer, position + count - 1, candidates, { heads, scale: 1, coarse }),
    ),
  );
  try {
    const keys = masses.shape[1] ?? 0;
    if (coarse !== undefined) kept?.probed(layer, keys);
    const found = backend.addressIn?.(wasm.memory, masses) ?? (await backend.download(masses));
    return topKeys(wasm, found, [heads, keys], { start: from, end: Math.min(to, keys), budget });
  } finally {
    backend.free(masses);
  }
}

export class TokenSelect implements Planner {
  readonly #wasm: Wasm;
  readonly #settings: TokenSettings;
  /** By layer. */
  #choices: (Choice | undefined)[] = [];
  readonly #keys: CoarseKeys;
  /** Where the next call must begin for the choices to be usable. */
  #next = -1;
  /** Whether the last call reused the choices of all layers. */
  #steady = false;
  /** Queries to be compared after the last layer, by layer, and their backend. */
  #asked: { readonly backend: Backend; readonly queries: Tensor[] } | undefined;

  constructor(wasm: Wasm, settings: TokenSettings) {
    this.#wasm = wasm;
    this.#settings = settings;
    this.#keys = new CoarseKeys(wasm);
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { budget, sinks, local } = this.#settings;
    const { backend, kv, position, count } = call;
    const keys = position + count;
    if (position !== this.#next) this.truncated(position);
    this.#next = keys;
    this.#drop();
    if (sinks + local + tokensOf(budget, keys) >= keys) return denseCausal(count, keys);
    const known = this.#choices.length === kv.pool.spec.layers && !this.#choices.includes(undefined);
    // A state cannot be computed twice.
    const early = this.#steady && known && backend.kind === 'webgpu' && kv.state === undefined;
    this.#steady = true;
    if (!early) return { ranges: (layer, q) => this.#choose(call, layer, q) };
    const queries: Tensor[] = [];
    this.#asked = { backend, queries };
    let waits = false;
    return {
      ranges: (layer, q) => {
        if (waits) return this.#choose(call, layer, q);
        queries[layer] = backend.keep(backend.scope(() => backend.rows(q, count - 1, 1)));
        return this.#visible(call, this.#choices[layer]?.runs);
      },
      holds: async () => {
        waits = true;
        const found = await Promise.all(queries.map((query) => backend.download(query)));
        this.#drop();
        return found.every((query, layer) => this.#reusable(this.#choices[layer], query));
      },
    };
  }

  /** Throws no errors of its own; a missing choice is made at the next step. */
  async #choose(call: PlannedCall, layer: number, q: Tensor): Promise<Ranges> {
    const { backend, position, count } = call;
    const { budget, sinks, exact } = this.#settings;
    const known = this.#choices[layer];
    const [query = new Float32Array(0)] = await readBack(backend, () => [backend.rows(q, count - 1, 1)]);
    if (known !== undefined && this.#reusable(known, query)) return this.#visible(call, known.runs);
    this.#steady = false;
    const runs = await voted(this.#wasm, call, layer, () => backend.rows(q, count - 1, 1), {
      from: sinks,
      to: this.#newest(call),
      budget: tokensOf(budget, position + count),
      keys: exact ? undefined : this.#keys,
    });
    this.#choices[layer] = { query, runs };
    return this.#visible(call, runs);
  }

  #reusable(known: Choice | undefined, query: Float32Array): boolean {
    return known !== undefined && cosine(query, known.query) >= this.#settings.similarity;
  }

  /** Where the newest keys begin. */
  #newest({ position }: PlannedCall): number {
    const { sinks, local } = this.#settings;
    return Math.max(sinks, position + 1 - local);
  }

  #visible(call: PlannedCall, runs: Uint32Array = new Uint32Array(0)): Ranges {
    const { position, count } = call;
    return listsOf([framed(this.#settings.sinks, runs, this.#newest(call), position + count)], count);
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    this.#forget();
    this.#keys.truncate(length);
    this.#next = -1;
  }

  fork(): TokenSelect {
    return new TokenSelect(this.#wasm, this.#settings);
  }

  free(): void {
    this.#forget();
    this.#keys.free();
    this.#drop();
  }

  #forget(): void {
    this.#choices = [];
    this.#steady = false;
  }

  /** Frees queries, also those of a call that failed. */
  #drop(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    try {
      for (const query of asked?.queries ?? []) asked?.backend.free(query);
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let both = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    both += x * y;
    aa += x * x;
    bb += y * y;
  }
  return both / Math.sqrt(aa * bb);
}
