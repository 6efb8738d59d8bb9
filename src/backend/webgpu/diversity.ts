/**
 * ToDRE's selection on the GPU, by sums of cosines or by the largest, with the same result as `assembly/select` in f64.
 * The device computes scores as integer multiples of 2^-20, whose error is bounded. If only one token can have the
 * least score within that bound, the device chooses it. Otherwise the host decides: it fetches the rows of the
 * candidates and of the kept tokens, computes their scores in f64, and writes the choice to the device. Only indices
 * and those rows are transferred.
 *
 * The bound, with u = 2^-24 and d columns: a dot product of 64 partial sums and their tree has d / 64 + 8 roundings; a
 * row's inverse length has half as many and two units more for inverseSqrt, twice; all that is doubled for devices that
 * flush or round differently, and half a unit of the score is added: for each cosine of a sum, once for a largest one.
 */
import {
  CANDIDATES,
  diversityAdd,
  diversityAddMean,
  diversityChoose,
  diversityLargest,
  diversityMean,
  diversityNorms,
  diversityParts,
  FIRST_PICK,
  LEAST_SCORE,
  MEAN_PARTS,
  SCORE_UNITS,
  type DiversityInputs,
} from '../../../gpu/kernels/diversity.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Context } from './context.ts';
import { matrix } from './tensors.ts';

/** Steps that are issued before the host reads the state. */
const STEPS = 64;
/** The number of cosines whose scores fit into 32 bits. */
const MOST_KEPT = 2000;
const UNIT_ROUNDING = 2 ** -24;
/** As in assembly/select/vectors.ts. */
const TIE = 1e-9;

type Spread = 'sum' | 'center';

/** Rows of x. */
type Fetch = (x: Tensor, rows: Int32Array) => Promise<Float32Array>;

export class Diversity {
  readonly #context: Context;
  readonly #fetch: Fetch;

  constructor(context: Context, fetch: Fetch) {
    this.#context = context;
    this.#fetch = fetch;
  }

  /** See `Backend.diverse`. */
  async choose(x: Tensor, rows: Int32Array, k: number, pivot: number, spread: Spread): Promise<Int32Array | undefined> {
    checks.diverse(x, rows, k, pivot);
    const operand = matrix('diverse', 'x', x);
    const tokens = rows.length;
    if (k > MOST_KEPT) return undefined;
    const { runner } = this.#context;
    const held: DeviceBuffer[] = [];
    const make = (words: number): DeviceBuffer => {
      const buffer = runner.buffers.take(4 * words);
      held.push(buffer);
      return buffer;
    };
    const { cols } = operand;
    const bound = 2 * SCORE_UNITS * (2 * (cols / 32 + 32) * UNIT_ROUNDING) + 1;
    const state = make(FIRST_PICK + k);
    const scores = make(tokens);
    const inputs: DiversityInputs = {
      x: operand,
      tokens,
      rows: make(tokens),
      inverse: make(tokens),
      means: make(MEAN_PARTS * cols),
      scores,
      state,
      wanted: k,
      near: spread === 'sum' ? 0 : bound,
      each: spread === 'sum' ? bound : 0,
    };
    try {
      runner.upload(inputs.rows, 0, rows);
      runner.upload(scores, 0, new Int32Array(tokens).fill(spread === 'sum' ? 0 : LEAST_SCORE));
      runner.upload(state, 0, new Uint32Array(FIRST_PICK + k));
      runner.run(diversityNorms, inputs);
      if (pivot >= 0) {
        runner.upload(state, 0, Uint32Array.of(1));
        runner.upload(state, 4 * FIRST_PICK, Uint32Array.of(pivot));
      } else {
        const distances = make(tokens);
        runner.upload(distances, 0, new Int32Array(tokens));
        const near = 2 * SCORE_UNITS * (2 * (tokens / MEAN_PARTS + MEAN_PARTS + cols / 32 + 32) * UNIT_ROUNDING) + 1;
        const about = { ...inputs, scores: distances, near, each: 0 };
        runner.run(diversityParts, inputs);
        runner.run(diversityMean, inputs);
        runner.run(diversityAddMean, about);
        runner.run(diversityChoose, about);
      }
      return await this.#steps(x, rows, inputs, spread);
    } finally {
      for (const buffer of held) runner.buffers.give(buffer);
    }
  }

  async #steps(x: Tensor, rows: Int32Array, inputs: DiversityInputs, spread: Spread): Promise<Int32Array | undefined> {
    const { runner } = this.#context;
    const { state, wanted } = inputs;
    const known = new Rows(this.#fetch, x, rows, spread);
    for (let done = 0; ;) {
      for (let step = Math.min(STEPS, wanted - done); step > 0; step--) {
        runner.run(spread === 'sum' ? diversityAdd : diversityLargest, inputs);
        runner.run(diversityChoose, inputs);
      }
      const words = new Uint32Array(await runner.read(state, 0, 4 * (FIRST_PICK + wanted), true));
      const [count = 0, stopped = 0, candidates = 0, unfit = 0] = words;
      // The distance of the pivot itself needs all rows.
      if (unfit !== 0 || (stopped !== 0 && (count === 0 || candidates > CANDIDATES))) return undefined;
      const kept = words.slice(FIRST_PICK, FIRST_PICK + count);
      done = count;
      if (stopped !== 0) {
        const next = await known.least(kept, words.slice(4, 4 + candidates));
        runner.upload(state, 4 * (FIRST_PICK + count), Uint32Array.of(next));
        runner.upload(state, 0, Uint32Array.of(count + 1, 0));
        done++;
        if (done === wanted) return Int32Array.of(...kept, next);
      } else if (done >= wanted) return Int32Array.from(kept);
    }
  }
}

/** The unit rows that were fetched so far, in f64, and the sum of the kept ones, or those themselves. */
class Rows {
  readonly #fetch: Fetch;
  readonly #x: Tensor;
  readonly #rows: Int32Array;
  readonly #units = new Map<number, Float64Array>();
  readonly #spread: Spread;
  readonly #kept: Float64Array[] = [];
  #known = 0;
  #sum: Float64Array;

  constructor(fetch: Fetch, x: Tensor, rows: Int32Array, spread: Spread) {
    this.#spread = spread;
    this.#fetch = fetch;
    this.#x = x;
    this.#rows = rows;
    this.#sum = new Float64Array(x.shape[1] ?? 0);
  }

  /** Returns the lowest of the candidates with the least score. */
  async least(kept: Uint32Array, candidates: Uint32Array): Promise<number> {
    await this.#load([...kept.subarray(this.#known), ...candidates]);
    for (const token of kept.subarray(this.#known)) {
      const unit = this.#units.get(token);
      if (unit === undefined) continue;
      if (this.#spread === 'center') this.#kept.push(unit);
      else this.#sum = this.#sum.map((value, i) => value + (unit[i] ?? 0));
      this.#units.delete(token);
    }
    this.#known = kept.length;
    const ordered = [...candidates].sort((a, b) => a - b);
    const scores = ordered.map((token) => {
      const unit = this.#units.get(token);
      if (unit === undefined) return 0;
      if (this.#spread === 'sum') return dot(unit, this.#sum);
      return this.#kept.reduce((most, other) => Math.max(most, dot(unit, other)), -Infinity);
    });
    const lowest = Math.min(...scores);
    return ordered[scores.findIndex((score) => score <= lowest + TIE)] ?? 0;
  }

  async #load(tokens: readonly number[]): Promise<void> {
    const missing = [...new Set(tokens)].filter((token) => !this.#units.has(token));
    if (missing.length === 0) return;
    const cols = this.#sum.length;
    const values = await this.#fetch(
      this.#x,
      Int32Array.from(missing, (token) => this.#rows[token] ?? 0),
    );
    for (const [i, token] of missing.entries()) {
      const row = Float64Array.from(values.subarray(i * cols, (i + 1) * cols));
      const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      this.#units.set(token, length > 0 ? row.map((value) => value / length) : row);
    }
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
