/**
 * Which keys a forward call may see, where that is not one list for all layers: the seam between the decoder and the methods
 * of `src/select`. A method is a `Planner`; for each call it gives fixed `Ranges`, or a `Plan` that is asked layer by layer.
 */
import type { Backend, KvView, Ranges, RopeSpec, Tensor } from '../backend/backend.ts';

/** One forward call: queries at positions `[position, position + count)`, whose keys are appended to `kv` before they are asked for. */
export interface PlannedCall {
  readonly backend: Backend;
  readonly kv: KvView;
  readonly position: number;
  readonly count: number;
  /** Query heads. */
  readonly heads: number;
  /** q.k is multiplied by it. */
  readonly scale: number;
  /** How a layer's keys and queries are rotated. */
  readonly rope: (layer: number) => RopeSpec;
  /** Ids of all positions up to the call's end. */
  readonly ids: Int32Array;
  readonly phase: 'prefill' | 'decode';
  /** Length of the prompt: where prefill ends, and decoding begins. */
  readonly promptEnd: number;
  /** What of `ranges` the pages of `layer` hold, for a plan that probes: set where pages may be missing. What a plan answers is cut to it anyway. */
  readonly held?: ((ranges: Ranges, layer: number) => Ranges) | undefined;
}

export interface Plan {
  /**
   * Asked once a layer, in order, after the layer's keys were appended. q [count, heads * headDim] after RoPE, good until the promise settles.
   * The plan keeps and frees the tensors that it makes. It may wait for a download; a plan that needs none returns its ranges at once.
   */
  ranges(layer: number, q: Tensor): Ranges | Promise<Ranges>;
  /**
   * The keys of `layer` that the plan reads before it answers, besides those of the call; undefined: any. Pages of these that are offloaded are brought back
   * first, and then those of its answer; a plan that states its choice leaves the others offloaded.
   */
  reads?(layer: number): Ranges | undefined;
}

export interface Planner {
  /** Throws `InputError('argument')` for a call that the method cannot serve. */
  plan(call: PlannedCall): Ranges | Plan;
  /** After the prompt's last chunk was issued: what is to be dropped from the pages now (eviction). */
  prefilled?(): Promise<void>;
  /**
   * From how many tokens, at most `length`, a sequence cut to `length` can continue; default `length`. Fewer where pages below it were
   * dropped because of later tokens. Called before `Sequence.truncate`, so that the rest is computed again. `next`: the ids that the sequence is
   * to continue with, where they are known; a prompt may need pages that were dropped for the previous one.
   */
  keeps?(length: number, next?: Int32Array): number;
  /**
   * The sequence was given pages up to position `length` that this planner did not plan (they were read from the disk). Returns whether it can continue
   * behind them. Default: no, and they are computed again.
   */
  adopts?(length: number): boolean;
  /** The sequence was cut to `length`: what was learnt of later positions is forgotten. */
  truncated?(length: number): void;
  /** A planner for a sequence with the same past. */
  fork(): Planner;
  free(): void;
}

export function isPlan(asked: Ranges | Plan): asked is Plan {
  return 'ranges' in asked;
}
