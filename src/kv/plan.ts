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
   * Tensors made here are kept and freed by the plan. Waiting on a download is allowed; what needs none answers at once.
   */
  ranges(layer: number, q: Tensor): Ranges | Promise<Ranges>;
  /**
   * The keys of `layer` that it looks at before it answers, beside those of the call; undefined: any. Where pages are away, these are brought back
   * first, and then what it answers: a plan that knows its choice leaves the rest where it is.
   */
  reads?(layer: number): Ranges | undefined;
}

export interface Planner {
  /** Throws `InputError('argument')` for what cannot be. */
  plan(call: PlannedCall): Ranges | Plan;
  /** After the prompt's last chunk was issued: what is to be dropped from the pages now (eviction). */
  prefilled?(): Promise<void>;
  /**
   * The most tokens, `length` or fewer, that a sequence cut to `length` may be gone on from; default `length`. Less where pages below it were
   * dropped for the sake of what came after them: asked before `Sequence.truncate`, so that the rest is computed anew. `next`: the ids that it is
   * to be gone on to, where they are known; a prompt may need again what was dropped for the one before.
   */
  keeps?(length: number, next?: Int32Array): number;
  /**
   * The sequence was given pages of positions up to `length` that this planner was not asked about (read from the disk): whether it can go on behind
   * them, by itself or from their keys. Default: no, and they are computed anew.
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
