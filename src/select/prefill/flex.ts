/**
 * FlexPrefill (2502.20766) for prompts read in calls: the last 128 queries of each call represent all of them. And
 * vertical-slash attention: always lines, as many as the budget holds, found by the last 64 queries (MInference,
 * 2407.02490).
 *
 * Their exact attention is probed, once as a whole for every key (the vertical lines), and for 16 of them, evenly
 * spaced, by the distance of the key in bins of 32 (the slash lines). What is read back for each layer is [heads, keys]
 * and [16, heads, keys / 32], never a matrix of queries and keys.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { PrefillOptions } from '../options.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import type { Wasm } from '../../wasm.ts';
import { FixedChunks } from './blocks.ts';
import { ChunkMeans } from './dhsa-chunks.ts';
import {
  allSeen,
  pooledSpans,
  queryBlocks,
  sparseSettings,
  type QueryBlock,
  type SparseSettings,
} from './dhsa-settings.ts';
import { chooseFlex, FLEX_BLOCK, SLASH_WIDTH, type FlexRules } from './flex-choice.ts';

/** The number of last queries of a call that are probed, and how many of them by distance. */
const PROBED = { flex: 128, lines: 64 };
const SAMPLES = 16;

const DEFAULTS = { sinks: 4, local: 128, instruction: 64 };

/** FlexPrefill's gamma and tau, as in the paper. */
const GAMMA = 0.9;
const TAU = 0.1;

/**
 * `flex`: a budget limits the keys that cover `gamma` of the attention; without one there is no limit. Throws
 * `InputError('argument')` for invalid options.
 */
export function createFlexPlanner(options: PrefillOptions, { wasm }: { readonly wasm: Wasm }): Planner {
  const { gamma = GAMMA, tau = TAU, minBudget = 0 } = options;
  const lines = options.method === 'vertical-slash';
  const rules: FlexRules = lines
    ? { pattern: 'lines', share: 1, distance: 0, least: 0, limited: true }
    : { pattern: 'either', share: gamma, distance: tau, least: minBudget, limited: options.budget !== undefined };
  return new FlexPlanner(wasm, sparseSettings(options, DEFAULTS), rules);
}

class FlexPlanner implements Planner {
  readonly #wasm: Wasm;
  readonly #settings: SparseSettings;
  readonly #rules: FlexRules;
  readonly #chunks: FixedChunks;
  readonly #means: ChunkMeans;
  #length: number;
  #rowBytes: number;

  constructor(
    wasm: Wasm,
    settings: SparseSettings,
    rules: FlexRules,
    past?: { chunks: FixedChunks; means: ChunkMeans; length: number; rowBytes: number },
  ) {
    this.#wasm = wasm;
    this.#settings = settings;
    this.#rules = rules;
    this.#chunks = past?.chunks ?? new FixedChunks(FLEX_BLOCK);
    this.#means = past?.means ?? new ChunkMeans(wasm);
    this.#length = past?.length ?? 0;
    this.#rowBytes = past?.rowBytes ?? 0;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const { kv, position, count, phase } = call;
    const { kvHeads, headDim } = kv.pool.spec;
    if (position < this.#length) this.truncated(position);
    this.#rowBytes = 4 * kvHeads * headDim;
    const end = position + count;
    if (phase === 'decode') return denseCausal(count, end);
    this.#length = end;
    const blocks = this.#blocks(call);
    if (blocks.every(({ local, budget, end }) => local === 0 || budget >= end)) return denseCausal(count, end);
    return allSeen(blocks, call) ?? { ranges: (layer, q) => this.#choose(call, layer, q, blocks) };
  }

  /** Positions that it has not seen are computed from the keys in the pages. */
  adopts(): boolean {
    return true;
  }

  truncated(length: number): void {
    this.#chunks.truncated(length);
    this.#means.truncated(this.#chunks.starts.length);
    this.#length = Math.min(this.#length, length);
  }

  fork(): Planner {
    const past = {
      chunks: this.#chunks.fork(),
      means: this.#means.fork(this.#rowBytes),
      length: this.#length,
      rowBytes: this.#rowBytes,
    };
    return new FlexPlanner(this.#wasm, this.#settings, this.#rules, past);
  }

  free(): void {
    this.#means.free();
  }

  /** Without a limit, only the lists of the instruction see everything. */
  #blocks(call: PlannedCall): QueryBlock[] {
    const blocks = queryBlocks(call, this.#settings);
    return this.#rules.limited
      ? blocks
      : blocks.map((block) =>
          block.end > call.promptEnd - this.#settings.instruction ? block : { ...block, budget: 0 },
        );
  }

  async #choose(call: PlannedCall, layer: number, q: Tensor, blocks: readonly QueryBlock[]): Promise<Ranges> {
    const { backend, kv, position, count, heads, scale } = call;
    const { kvHeads, headDim } = kv.pool.spec;
    const keys = position + count;
    this.#chunks.extend(call, keys);
    const probed = Math.min(this.#rules.pattern === 'lines' ? PROBED.lines : PROBED.flex, count);
    const samples = Math.min(SAMPLES, probed);
    const seen = (queries: number, end: number): Ranges => {
      const dense = denseCausal(queries, end);
      return call.held?.(dense, layer) ?? dense;
    };
    const { vectors, rest } = await this.#means.read(call, layer, { starts: this.#chunks.starts, end: keys }, () => [
      backend.rowMeans(q, Uint32Array.of(...pooledSpans(count), count - probed, count)),
      backend.probe(backend.rows(q, count - probed, probed), kv, layer, keys - probed, seen(probed, keys), {
        heads,
        scale,
      }),
      backend.stack(
        Array.from({ length: samples }, (_, sample) => {
          const row = count - 1 - Math.floor((sample * probed) / samples);
          const spans = distances(position + row, keys, this.#rules.limited ? this.#settings : undefined);
          return backend.probe(backend.rows(q, row, 1), kv, layer, position + row, seen(1, position + row + 1), {
            heads,
            scale,
            spans,
          });
        }),
      ),
    ]);
    const [queries = new Float32Array(), vertical = new Float32Array(), slash = new Float32Array()] = rest;
    return chooseFlex(this.#wasm, {
      heads,
      kvHeads,
      headDim,
      scale,
      position,
      blocks,
      queries,
      vectors,
      keys,
      vertical,
      slash,
      samples,
      sinks: this.#settings.sinks,
      rules: this.#rules,
    });
  }
}

/**
 * Returns spans of keys at distances `[32 j, 32 (j + 1))` before a query, empty where there are none, the same number
 * for every query of a call; without the first `sinks` and the last `local` keys, which every query sees anyway.
 */
function distances(
  position: number,
  keys: number,
  { sinks, local }: Pick<SparseSettings, 'sinks' | 'local'> = { sinks: 0, local: 0 },
): Uint32Array {
  const spans = new Uint32Array(2 * Math.ceil(keys / SLASH_WIDTH));
  const last = Math.max(sinks, position + 1 - local);
  const at = (distance: number): number => Math.min(last, Math.max(sinks, position + 1 - distance));
  for (let bin = 0; bin < spans.length / 2; bin++) {
    spans[2 * bin] = at(SLASH_WIDTH * (bin + 1));
    spans[2 * bin + 1] = at(SLASH_WIDTH * bin);
  }
  return spans;
}
