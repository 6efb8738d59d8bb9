/**
 * ReKV's retrieval (Di et al. 2025, 2503.00540) for decoding: blocks of 32 keys are ranked by their mean key before
 * RoPE against the mean query of the question before RoPE, and the best blocks of each layer are visible during the
 * whole answer, besides the first keys, the newest and those of the answer. The question is the prompt's last 64
 * queries. The host rotates keys and queries back and computes the means, once for each block.
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
}

export const RETRIEVE_DEFAULTS: RetrieveSettings = { budget: 2048, sinks: 32, local: 512 };

/** The number of queries of the question. */
const QUESTION = 64;
/** Tokens whose keys are read back at once. */
const READ = 512;

interface Layer {
  /** [blocks, kvHeads * headDim] with spare capacity: mean keys before RoPE. */
  means: Float32Array;
  blocks: number;
  /** [heads * headDim] sum of the question's queries before RoPE. */
  question: Float64Array | undefined;
  /** The ranges of the answer, once it has begun. */
  runs: Uint32Array | undefined;
}

export class Retrieve implements WatchingPlanner {
  readonly #wasm: Wasm;
  readonly #settings: RetrieveSettings;
  #layers: Layer[] = [];
  /** The end of the prompt that is being answered. */
  #promptEnd = -1;

  constructor(wasm: Wasm, settings: RetrieveSettings) {
    this.#wasm = wasm;
    this.#settings = settings;
  }

  /** The first token of an answer chooses, from keys and queries alone. */
  get ahead(): boolean {
    return true;
  }

  watches({ position, count, promptEnd }: PlannedCall): boolean {
    return position + count > promptEnd - QUESTION;
  }

  /** Adds the question's queries. */
  async watch(call: PlannedCall, layer: number, q: Tensor): Promise<void> {
    const { backend, position, count, promptEnd, heads } = call;
    const rope = call.rope(layer);
    const { headDim } = call.kv.pool.spec;
    const from = Math.max(0, promptEnd - QUESTION - position);
    const state = this.#layer(layer);
    // The first chunk with a part of the question resets the sum.
    if (position + from === Math.max(0, promptEnd - QUESTION) || this.#promptEnd !== promptEnd)
      state.question = undefined;
    if (layer === call.kv.pool.spec.layers - 1) this.#promptEnd = promptEnd;
    const [rows = new Float32Array(0)] = await readBack(backend, () => [backend.rows(q, from, count - from)]);
    unrotated(this.#wasm, rows, call.kv, position + from, { heads, headDim, rope });
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
    if (state.question === undefined) await this.watch({ ...call, promptEnd: keys }, layer, q);
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
    return (this.#layers[layer] ??= { means: new Float32Array(0), blocks: 0, question: undefined, runs: undefined });
  }

  /** Data on earlier positions is computed from their keys. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    for (const layer of this.#layers) {
      layer.blocks = Math.min(layer.blocks, Math.floor(length / PAGE_TOKENS));
      if (length < this.#promptEnd) layer.question = undefined;
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
    copy.#promptEnd = this.#promptEnd;
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
