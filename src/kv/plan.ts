/**
 * Which keys a forward call may see, when that is not one list for all layers: the interface between the decoder and
 * the methods of `src/select`. A method is a `Planner`; for each call it returns fixed `Ranges`, or a `Plan` that is
 * asked layer by layer.
 */
import type { Backend, KvView, Ranges, RopeSpec, Tensor } from '../backend/backend.ts';

/**
 * One forward call: queries at positions `[position, position + count)`, whose keys are appended to `kv` before the
 * plan is asked.
 */
export interface PlannedCall {
  readonly backend: Backend;
  readonly kv: KvView;
  readonly position: number;
  readonly count: number;
  /** The number of query heads. */
  readonly heads: number;
  /** The factor of q.k. */
  readonly scale: number;
  /** How a layer's keys and queries are rotated. */
  readonly rope: (layer: number) => RopeSpec;
  /** Ids of all positions up to the end of the call. */
  readonly ids: Int32Array;
  readonly phase: 'prefill' | 'decode';
  /** The length of the prompt, at which prefill ends and decoding begins. */
  readonly promptEnd: number;
  /**
   * Returns the part of `ranges` for which `layer` has pages, for a plan that probes; set when pages may be missing.
   * The answer of a plan is restricted to it in any case.
   */
  readonly held?: ((ranges: Ranges, layer: number) => Ranges) | undefined;
}

export interface Plan {
  /**
   * Asked once for each layer, in order, after the keys of the layer were appended. q [count, heads * headDim] after
   * RoPE is valid until the promise settles. The plan owns the tensors that it makes. It may wait for a download; a
   * plan that needs none returns its ranges at once.
   */
  ranges(layer: number, q: Tensor): Ranges | Promise<Ranges>;
  /**
   * The keys of `layer` that the plan reads before it answers, besides those of the call; undefined for any. Offloaded
   * pages of these are reloaded first, then those of its answer. A plan that declares its choice here leaves the others
   * offloaded.
   */
  reads?(layer: number): Ranges | undefined;
  /**
   * Asked after the last layer by a plan that answered before it knew whether its answers hold. If they do not, the
   * whole call is run again, and `ranges` is asked again. Only for sequences without layer states.
   */
  holds?(): Promise<boolean>;
}

export interface Planner {
  /**
   * Whether tokens of an answer can be planned before the host knows their ids: calls of the phase `decode` need no
   * ids, and wait for the device seldom or never. Default false.
   */
  readonly ahead?: boolean;
  /** Throws `InputError('argument')` for a call that the method does not support. */
  plan(call: PlannedCall): Ranges | Plan;
  /** Called before a prompt is read that ends with a question: its tokens are `[start, end)` of the prompt. */
  readonly asked?: ((start: number, end: number) => void) | undefined;
  /** Called after the last chunk of the prompt was issued; releases pages (eviction). */
  prefilled?(): Promise<void>;
  /**
   * Returns the number of tokens, at most `length`, from which a sequence that is truncated to `length` can continue;
   * default `length`. It is less when pages below it were released because of later tokens. Called before
   * `Sequence.truncate`, so that the rest is computed again. `next` holds the ids with which the sequence is to
   * continue, if known; a prompt may need pages that were released for the previous one.
   */
  keeps?(length: number, next?: Int32Array): number;
  /**
   * The sequence received pages up to position `length` that this planner did not plan (they were read from disk).
   * Returns whether it can continue after them. Default: no, and they are computed again.
   */
  adopts?(length: number): boolean;
  /** The sequence was truncated to `length`; discards what was learnt about later positions. */
  truncated?(length: number): void;
  /** Returns a planner for a sequence with the same past. */
  fork(): Planner;
  free(): void;
}

export function isPlan(asked: Ranges | Plan): asked is Plan {
  return 'ranges' in asked;
}
