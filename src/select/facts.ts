/** What planners are told about a model, once for all of its sequences. */
import type { KvView, Tensor } from '../backend/backend.ts';
import type { Wasm } from '../wasm.ts';
import type { HeadTable } from './heads/heads.ts';
import type { PlannedCall, Planner } from '../kv/plan.ts';
import type { GapScorer } from './prefill/dhsa-boundaries.ts';

export interface PlannerFacts {
  /** For the arithmetic of choosing (assembly/select): any instance, the CPU engine's own among them. */
  readonly wasm: Wasm;
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Whether a sentence may end with this token (`sentenceEnds` of sentences.ts); needed by `decode: 'sentences'`. */
  readonly endsSentence?: ((id: number) => boolean) | undefined;
  /** Heads that see only the first and the newest keys (`findHeads` of ../heads.ts); needed where `heads` is not 'all'. */
  readonly streaming?: HeadTable | undefined;
  /** The boundary predictor of the model's file, where it has one; for `prefill: 'dhsa'`. */
  readonly boundary?: GapScorer | undefined;
  /** [layers * heads] how much each query head looks at whole spans (`findHeads` of ../heads.ts); needed by `evict: 'compresskv'`. */
  readonly semantic?: Float32Array | undefined;
}

/** A view whose pages may be given back one by one: `Sequence`. */
export interface ThinningView extends KvView {
  /** Where pages of the pool's own format come from and go back to. */
  readonly pages: { allocate(count: number): number[]; release(page: number): void };
  /** The block of this layer and KV head is a hole from now on: no ranges may name it. */
  release(layer: number, head: number, block: number): void;
  /** `page`, which the caller allocated and the view holds from now on, stands where another page stood, which is released. */
  replace(layer: number, head: number, block: number, page: number): void;
}

export function canThin(view: KvView): view is ThinningView {
  return 'release' in view && 'replace' in view && 'pages' in view;
}

/** A planner that looks at the queries of calls which it does not plan. */
export interface WatchingPlanner extends Planner {
  /** Whether this call of the prompt's has queries that it wants. */
  watches(call: PlannedCall): boolean;
  /** Called as `Plan.ranges` is, for a call that it watches. */
  watch(call: PlannedCall, layer: number, q: Tensor): void | Promise<void>;
}
