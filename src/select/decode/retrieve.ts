/**
 * ReKV's retrieval (Di et al. 2025, 2503.00540) for decoding: blocks of 32 keys are ranked by their mean key before
 * RoPE against the mean query of the question before RoPE, and the best blocks of each layer are visible during the
 * whole answer, besides the first keys, the newest and those of the answer. The question is the last paragraph of the
 * message that is answered (`Planner.asked`), or so many of the prompt's last tokens as the settings say. The host
 * rotates keys and queries back and computes the means, once for each block.
 */
import { PAGE_TOKENS, type KvView, type Ranges, type RopeSpec, type Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import type { Plan, PlannedCall } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { readBack, withScratch } from '../prefill/dhsa-scratch.ts';
import { writeAngles } from '../angles.ts';
import type { WatchingPlanner } from '../facts.ts';
import { framed, listsOf, nearest, tokensOf } from '../keys.ts';

export interface RetrieveSettings {
  /**
   * Tokens of the chosen blocks: at most 1 is a share of the context, above 1 a number; the paper's 64 blocks are 2048.
   */
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  /** The number of the prompt's last tokens that ask; undefined: those of the question. */
  readonly question?: number | undefined;
}

export const RETRIEVE_DEFAULTS: RetrieveSettings = { budget: 2048, sinks: 32, local: 512 };

/** The number of queries that ask where no question is known. */
const QUESTION = 64;
/** Tokens whose keys are read back at once. */
const READ = 512;

interface Layer {
  /** [blocks, kvHeads * headDim] with spare capacity: mean keys before RoPE. */
  means: Float32Array;
  blocks: number;
  /** [heads * headDim] sum of the question's queries before RoPE, and the end of the prompt that asked. */
  question: Float64Array | undefined;
  promptEnd: number;
  /** The ranges of the answer, once it has begun. */
  runs: Uint32Array | undefined;
}

export class Retrieve implements WatchingPlanner {
  readonly #wasm: Wasm;
  readonly #settings: RetrieveSettings;
  #layers: Layer[] = [];
  /** The question's tokens `[start, end)` in the prompt that is being read. */
  #question: readonly [start: number, end: number] | undefined;

  constructor(wasm: Wasm, settings: RetrieveSettings) {
    this.#wasm = wasm;
    this.#settings = settings;
  }

  /** The first token of an answer chooses, from keys and queries alone. */
  get ahead(): boolean {
    return true;
  }

  asked(start: number, end: number): void {
    this.#question = [start, end];
  }

  /** The next prompt has a question of its own. */
  prefilled(): Promise<void> {
    this.#question = undefined;
    return Promise.resolve();
  }

  watches(call: PlannedCall): boolean {
    const [from, to] = this.#span(call);
    return from < to;
  }

  /** The rows of the call that ask. */
  #span({ position, count, promptEnd }: PlannedCall): readonly [from: number, to: number] {
    const { question: last } = this.#settings;
    const known = last === undefined && (this.#question?.[1] ?? Infinity) <= promptEnd ? this.#question : undefined;
    const [start, end] = known ?? [promptEnd - (last ?? QUESTION), promptEnd];
    return [Math.max(0, start - position), Math.min(count, end - position)];
  }

  /** Adds the question's queries. */
  watch(call: PlannedCall, layer: number, q: Tensor): Promise<void> {
    return this.#ask(call, layer, q, this.#span(call));
  }

  async #ask(
    { backend, kv, position, promptEnd, heads, ...call }: PlannedCall,
    layer: number,
    q: Tensor,
    [from, to]: readonly [from: number, to: number],
  ): Promise<void> {
    const rope = call.rope(layer);
    const { headDim } = kv.pool.spec;
    const state = this.#layer(layer);
    if (state.promptEnd !== promptEnd) state.question = undefined;
    state.promptEnd = promptEnd;
    const [rows = new Float32Array(0)] = await readBack(backend, () => [backend.rows(q, from, to - from)]);
    unrotated(this.#wasm, rows, kv, position + from, { heads, headDim, rope });
    const sum = (state.question ??= new Float64Array(heads * headDim));
    rows.forEach((x, i) => (sum[i % sum.length] = (sum[i % sum.length] ?? 0) + x));
    state.runs = undefined;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { budget, sinks, local } = this.#settings;
    const keys = call.position + call.count;
    if (sinks + local + tokensOf(budget, keys) >= keys) return denseCausal(call.count, keys);
    return { ranges: (layer, q) => this.#choose(call, layer, q), reads: (layer) => this.#reads(call, layer) };
  }

  /** Blocks whose mean keys are not known yet; none once the answer has begun. */
  #reads(call: PlannedCall, layer: number): Ranges {
    const start = this.#layer(layer).blocks * PAGE_TOKENS;
    const end = this.#newest(call);
    return listsOf([{ runs: start < end ? Uint32Array.of(start, end) : new Uint32Array(0) }], call.count);
  }

  /**
   * Returns where the newest keys that are always visible begin: whole blocks of the prompt's end, and the whole
   * answer.
   */
  #newest({ promptEnd }: PlannedCall): number {
    const { sinks, local } = this.#settings;
    return Math.floor(Math.max(sinks, promptEnd + 1 - local) / PAGE_TOKENS) * PAGE_TOKENS;
  }

  async #choose(call: PlannedCall, layer: number, q: Tensor): Promise<Ranges> {
    const { position, count, heads, kv } = call;
    const { kvHeads, headDim } = kv.pool.spec;
    const { budget, sinks } = this.#settings;
    const keys = position + count;
    const newest = this.#newest(call);
    const state = this.#layer(layer);
    // A prompt that was read elsewhere left no queries; the first query of the answer is used instead.
    if (state.question === undefined || state.promptEnd !== call.promptEnd)
      await this.#ask(call, layer, q, [count - 1, count]);
    await this.#read(call, layer, newest / PAGE_TOKENS);
    if (state.runs === undefined) {
      const from = Math.floor(sinks / PAGE_TOKENS);
      const past = Math.max(from, newest / PAGE_TOKENS);
      const width = kvHeads * headDim;
      const group = heads / kvHeads;
      const query = Float32Array.from({ length: width }, (_, i) => {
        let sum = 0;
        for (let h = 0; h < group; h++)
          sum += state.question?.[(Math.floor(i / headDim) * group + h) * headDim + (i % headDim)] ?? 0;
        return sum;
      });
      const lengths = new Uint32Array(past - from).fill(PAGE_TOKENS);
      const marks = nearest(
        this.#wasm,
        { vectors: state.means.subarray(from * width, past * width), stride: width, column: 0, query, lengths },
        tokensOf(budget, keys),
      );
      const runs: number[] = [];
      marks.forEach((taken, i) => {
        if (taken === 1) runs.push((from + i) * PAGE_TOKENS, (from + i + 1) * PAGE_TOKENS);
      });
      state.runs = Uint32Array.from(runs);
    }
    return listsOf([framed(sinks, state.runs, newest, keys)], count);
  }

  /** Reads the mean keys of blocks below `past` that are not known yet. */
  async #read(call: PlannedCall, layer: number, past: number): Promise<void> {
    const { backend, kv } = call;
    const rope = call.rope(layer);
    const { kvHeads, headDim } = kv.pool.spec;
    const width = kvHeads * headDim;
    const state = this.#layer(layer);
    while (state.blocks < past) {
      const start = state.blocks * PAGE_TOKENS;
      const end = Math.min(past * PAGE_TOKENS, start + READ);
      const [keys = new Float32Array(0)] = await readBack(backend, () => [
        backend.cached(kv, layer, 'keys', start, end),
      ]);
      unrotated(this.#wasm, keys, call.kv, start, { heads: kvHeads, headDim, rope });
      const blocks = (end - start) / PAGE_TOKENS;
      const length = (state.blocks + blocks) * width;
      if (length > state.means.length) {
        const grown = new Float32Array(2 * length);
        grown.set(state.means.subarray(0, state.blocks * width));
        state.means = grown;
      }
      for (let block = 0; block < blocks; block++) {
        for (let i = 0; i < width; i++) {
          let sum = 0;
          for (let t = block * PAGE_TOKENS; t < (block + 1) * PAGE_TOKENS; t++) sum += keys[t * width + i] ?? 0;
          state.means[(state.blocks + block) * width + i] = sum / PAGE_TOKENS;
        }
      }
      state.blocks += blocks;
    }
  }

  #layer(layer: number): Layer {
    return (this.#layers[layer] ??= {
      means: new Float32Array(0),
      blocks: 0,
      question: undefined,
      promptEnd: -1,
      runs: undefined,
    });
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    for (const layer of this.#layers) {
      layer.blocks = Math.min(layer.blocks, Math.floor(length / PAGE_TOKENS));
      if (length < layer.promptEnd) layer.question = undefined;
      layer.runs = undefined;
    }
  }

  fork(): Retrieve {
    const copy = new Retrieve(this.#wasm, this.#settings);
    copy.#layers = this.#layers.map((layer) => ({
      ...layer,
      means: layer.means.slice(),
      question: layer.question?.slice(),
    }));
    copy.#question = this.#question;
    return copy;
  }

  free(): void {
    this.#layers = [];
  }
}

/** Rotates the rows [slots, heads * headDim] of slots `from ..` back, in place. */
function unrotated(
  wasm: Wasm,
  rows: Float32Array,
  { positions }: KvView,
  from: number,
  { heads, headDim, rope }: { readonly heads: number; readonly headDim: number; readonly rope: RopeSpec },
): void {
  const half = rope.inverseFrequency.length;
  const count = rows.length / (heads * headDim);
  const angles = count * half;
  withScratch(wasm, [rows.byteLength, 4 * angles, 4 * angles], (at = 0, cos = 0, sin = 0) => {
    wasm.f32(at, rows.length).set(rows);
    writeAngles(wasm.f32(cos, angles), wasm.f32(sin, angles), rope, positions, from);
    wasm.exports.unrotate(at, cos, sin, count, heads, headDim, half, rope.style === 'interleaved' ? 1 : 0);
    rows.set(wasm.f32(at, rows.length));
  });
}
