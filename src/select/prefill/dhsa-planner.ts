/**
 * Chooses chunks of keys for blocks of queries: DHSA (2510.24606) when chunks lie between boundaries, its baseline
 * block top-k when they are 32 keys.
 *
 * A layer that chooses waits for the device once: for the means of every 128 queries of the call, and the mean keys of
 * new chunks. Layers below the one whose keys give the boundaries see everything.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import type { Wasm } from '../../wasm.ts';
import type { Chunking } from './dhsa-boundaries.ts';
import { chooseChunks } from './dhsa-choice.ts';
import { ChunkMeans } from './dhsa-chunks.ts';
import { allSeen, pooledSpans, queryBlocks, type QueryBlock, type SparseSettings } from './dhsa-settings.ts';

export interface ChunkMethod {
  readonly settings: SparseSettings;
  /** Chunks are taken whole or not at all. */
  readonly whole: boolean;
  /** Layers above this one use its choice; undefined: every layer chooses. */
  readonly sharedLayer?: number | undefined;
  /**
   * Whether generated tokens choose, too. They are one growing chunk, which is always visible, and the scores of the
   * last row choose the rest.
   */
  readonly decodes: boolean;
}

export class ChunkPlanner implements Planner {
  readonly #wasm: Wasm;
  readonly #method: ChunkMethod;
  readonly #chunking: Chunking;
  readonly #means: ChunkMeans;
  /** The number of tokens for whose keys the state is valid. */
  #length: number;
  /** Bytes of a mean key. */
  #rowBytes: number;

  constructor(
    wasm: Wasm,
    method: ChunkMethod,
    chunking: Chunking,
    past?: { readonly means: ChunkMeans; readonly length: number; readonly rowBytes: number },
  ) {
    this.#wasm = wasm;
    this.#method = method;
    this.#chunking = chunking;
    this.#means = past?.means ?? new ChunkMeans(wasm);
    this.#length = past?.length ?? 0;
    this.#rowBytes = past?.rowBytes ?? 0;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { kv, position, count } = call;
    const { layers, kvHeads, headDim } = kv.pool.spec;
    const { sharedLayer, settings, decodes } = this.#method;
    if (sharedLayer !== undefined && !(Number.isInteger(sharedLayer) && sharedLayer >= 0 && sharedLayer < layers)) {
      throw new InputError(
        'argument',
        `prefill.sharedLayer is ${sharedLayer}; the model has layers 0 to ${layers - 1}`,
        { sharedLayer, layers },
      );
    }
    if (position < this.#length) this.truncated(position);
    this.#rowBytes = 4 * kvHeads * headDim;
    const decoding = call.phase === 'decode';
    if (decoding && !decodes) return denseCausal(count, position + count);
    this.#length = position + count;
    const blocks = decoding ? decodeBlocks(call, settings) : queryBlocks(call, settings);
    const seen = allSeen(blocks, call);
    if (seen !== undefined) return seen;
    let shared: Ranges | undefined;
    return {
      ranges: async (layer, q) => {
        if (shared !== undefined) return shared;
        if (layer < this.#chunking.layer) return denseCausal(count, position + count);
        // Generated tokens are divided into chunks when the next turn's prompt is read.
        await this.#chunking.extend(call, decoding ? call.promptEnd : position + count);
        const ranges = await this.#choose(call, layer, q, blocks);
        if (layer === sharedLayer) shared = ranges;
        return ranges;
      },
    };
  }

  /** Positions that it has not seen are computed from the keys in the pages. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    this.#chunking.truncated(length);
    this.#means.truncated(this.#chunking.starts.length);
    this.#length = Math.min(this.#length, length);
  }

  fork(): ChunkPlanner {
    const past = { means: this.#means.fork(this.#rowBytes), length: this.#length, rowBytes: this.#rowBytes };
    return new ChunkPlanner(this.#wasm, this.#method, this.#chunking.fork(), past);
  }

  free(): void {
    this.#means.free();
  }

  async #choose(call: PlannedCall, layer: number, q: Tensor, blocks: readonly QueryBlock[]): Promise<Ranges> {
    const { backend, kv, heads, position, count, phase, promptEnd } = call;
    const { kvHeads, headDim } = kv.pool.spec;
    const { settings, whole } = this.#method;
    const { starts } = this.#chunking;
    const end = phase === 'decode' ? promptEnd : position + count;
    const { vectors, rest } = await this.#means.read(call, layer, { starts, end }, () => [
      backend.rowMeans(q, Uint32Array.from(pooledSpans(count))),
    ]);
    const [queries = new Float32Array()] = rest;
    const ranges = chooseChunks(this.#wasm, {
      heads,
      kvHeads,
      headDim,
      blocks,
      queries,
      vectors,
      starts,
      end,
      sinks: settings.sinks,
      whole,
    });
    return phase === 'decode' ? { ...ranges, queryBlock: count } : ranges;
  }
}

/** One block. The generated tokens and the newest are always visible, and count towards the budget. */
function decodeBlocks({ position, count, promptEnd }: PlannedCall, { budget, local }: SparseSettings): QueryBlock[] {
  const end = position + count;
  return [
    {
      start: 0,
      queries: count,
      row: 0,
      pooled: count,
      local: Math.max(0, Math.min(promptEnd, position + 1 - local)),
      end,
      budget: budget <= 1 ? Math.ceil(budget * end) : budget,
    },
  ];
}
