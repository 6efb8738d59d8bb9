/**
 * Block top-k, the baseline of DHSA's paper: fixed blocks of 32 keys, of which those with the best means are chosen for
 * every block of 128 queries, whole or not at all.
 */
import type { PlannedCall } from '../../kv/plan.ts';
import type { PrefillOptions } from '../options.ts';
import type { Wasm } from '../../wasm.ts';
import type { Chunking } from './dhsa-boundaries.ts';
import { ChunkPlanner } from './dhsa-planner.ts';
import { sparseSettings } from './dhsa-settings.ts';

/** Keys of a block. */
const KEY_BLOCK = 32;

const DEFAULTS = { sinks: 4, local: 128, instruction: 64 };

/** Chunks of equal length. */
export class FixedChunks implements Chunking {
  readonly layer = -1;
  readonly #size: number;
  readonly #starts: number[];

  constructor(size: number, starts: readonly number[] = [0]) {
    this.#size = size;
    this.#starts = [...starts];
  }

  get starts(): readonly number[] {
    return this.#starts;
  }

  extend(_call: PlannedCall, end: number): void {
    for (let start = this.#starts.length * this.#size; start < end; start += this.#size) this.#starts.push(start);
  }

  truncated(length: number): void {
    this.#starts.length = Math.max(1, Math.min(this.#starts.length, Math.ceil(length / this.#size)));
  }

  fork(): FixedChunks {
    return new FixedChunks(this.#size, this.#starts);
  }
}

/** Throws `InputError('argument')` for invalid options. */
export function createBlocksPlanner(options: PrefillOptions, { wasm }: { readonly wasm: Wasm }): ChunkPlanner {
  const method = {
    settings: sparseSettings(options, DEFAULTS),
    whole: true,
    sharedLayer: options.sharedLayer,
    decodes: options.decodes === true,
  };
  return new ChunkPlanner(wasm, method, new FixedChunks(KEY_BLOCK));
}
