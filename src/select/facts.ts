/** The facts about a model that planners use, the same for all of its sequences. */
import type { KvView, Tensor } from '../backend/backend.ts';
import type { Wasm } from '../wasm.ts';
import type { HeadTable } from './heads/heads.ts';
import type { PlannedCall, Planner } from '../kv/plan.ts';
import type { GapScorer } from './prefill/dhsa-boundaries.ts';

export interface PlannerFacts {
  /** For the arithmetic of the choices (assembly/select); may be any instance, including that of the CPU engine. */
  readonly wasm: Wasm;
  readonly layers: number;
  /** The number of query heads. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Whether a sentence may end with this token (`sentenceEnds` of sentences.ts); needed by `decode: 'sentences'`. */
  readonly endsSentence?: ((id: number) => boolean) | undefined;
  /**
   * Heads that see only the first and the newest keys (`findHeads` of ../heads.ts); needed when `heads` is not 'all'.
   */
  readonly streaming?: HeadTable | undefined;
  /** The boundary predictor of the model's file, if it has one; for `prefill: 'dhsa'`. */
  readonly boundary?: GapScorer | undefined;
  /**
   * [layers * heads] how much each query head attends to whole spans (`findHeads` of ../heads.ts); needed by `evict:
   * 'compresskv'`.
   */
  readonly semantic?: Float32Array | undefined;
}

/** A view whose pages can be released one by one: `Sequence`. */
export interface ThinningView extends KvView {
  /** Allocates and releases pages of the pool's own format. */
  readonly pages: { allocate(count: number): number[]; release(page: number): void };
  /** Makes the block of this layer and KV head a hole, which no ranges may name from then on. */
  release(layer: number, head: number, block: number): void;
  /**
   * Replaces another page, which is released, by `page`, which the caller allocated and whose reference the view takes
   * over.
   */
  replace(layer: number, head: number, block: number, page: number): void;
}

export function canThin(view: KvView): view is ThinningView {
  return 'release' in view && 'replace' in view && 'pages' in view;
}

/** A planner that reads the queries of calls that it does not plan. */
export interface WatchingPlanner extends Planner {
  /** Whether this call of the prompt has queries that it needs. */
  watches(call: PlannedCall): boolean;
  /** Called as `Plan.ranges` is, for a call that it observes. */
  watch(call: PlannedCall, layer: number, q: Tensor): void | Promise<void>;
}
