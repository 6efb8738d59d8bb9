/**
 * TokenSelect (Wu et al. 2024, 2411.02886): at decode each head's attention over all keys is summed over the heads, and
 * the keys with the most attention are visible to all heads of the layer, besides the first and the newest. A layer's
 * choice is reused until its query differs too much from the one that made it.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { framed, listsOf, tokensOf, topKeys } from '../keys.ts';

export interface TokenSettings {
  /** The number of chosen keys: at most 1 is a share of the context, above 1 a number. */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  /** The least cosine, over all heads, between a query and that of the choice that it reuses. */
  readonly similarity: number;
}

/** The paper's value. */
export const TOKEN_DEFAULTS: TokenSettings = { budget: 2048, sinks: 128, local: 512, similarity: 0.9 };

interface Choice {
  readonly query: Float32Array;
  readonly runs: Uint32Array;
}

export class TokenSelect implements Planner {
  readonly #wasm: Wasm;
  readonly #settings: TokenSettings;
  /** By layer. */
  #choices: (Choice | undefined)[] = [];
  /** Where the next call must begin for the choices to be usable. */
  #next = -1;

  constructor(wasm: Wasm, settings: TokenSettings) {
    this.#wasm = wasm;
    this.#settings = settings;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { budget, sinks, local } = this.#settings;
    const keys = call.position + call.count;
    if (call.position !== this.#next) this.#choices = [];
    this.#next = keys;
    if (sinks + local + tokensOf(budget, keys) >= keys) return denseCausal(call.count, keys);
    return { ranges: (layer, q) => this.#choose(call, layer, q) };
  }

  /** Throws no errors of its own; a missing choice is made at the next step. */
  async #choose(call: PlannedCall, layer: number, q: Tensor): Promise<Ranges> {
    const { backend, kv, position, count, heads, scale } = call;
    const { budget, sinks, local, similarity } = this.#settings;
    const keys = position + count;
    const start = Math.max(sinks, position + 1 - local);
    const known = this.#choices[layer];
    const [query = new Float32Array(0)] = await readBack(backend, () => [backend.rows(q, count - 1, 1)]);
    let runs = known?.runs;
    if (known === undefined || runs === undefined || !(cosine(query, known.query) >= similarity)) {
      const dense = denseCausal(count, keys);
      const ranges = call.held?.(dense, layer) ?? dense;
      const [masses = new Float32Array(0)] = await readBack(backend, () => [
        backend.probe(q, kv, layer, position, ranges, { heads, scale }),
      ]);
      runs = topKeys(this.#wasm, masses, keys, { start: sinks, end: start, budget: tokensOf(budget, keys) });
      this.#choices[layer] = { query, runs };
    }
    return listsOf([framed(sinks, runs, start, keys)], count);
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(): void {
    this.#choices = [];
    this.#next = -1;
  }

  fork(): TokenSelect {
    return new TokenSelect(this.#wasm, this.#settings);
  }

  free(): void {
    this.#choices = [];
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
