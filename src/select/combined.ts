/**
 * Combines methods: one for the prompt, one for the answer, streaming heads, and eviction between them. The keys that a
 * method chooses are restricted to the existing pages; streaming heads see everything that they keep, whatever the
 * method chooses for the others.
 */
import type { Ranges, Tensor } from '../backend/backend.ts';
import { isPlan, type Plan, type PlannedCall, type Planner } from '../kv/plan.ts';
import { denseCausal } from '../kv/ranges.ts';
import { withHeads, withoutHoles } from '../kv/runs.ts';
import type { Eviction } from './evict/evict.ts';
import type { WatchingPlanner } from './facts.ts';
import type { StreamingHeads } from './heads/streaming.ts';

export interface Parts {
  /** Undefined: dense. */
  readonly prefill?: Planner | undefined;
  readonly decode?: Planner | undefined;
  readonly heads?: StreamingHeads | undefined;
  readonly evict?: Eviction | undefined;
}

/** Owns its parts. */
export class CombinedPlanner implements Planner {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get ahead(): boolean {
    const { decode } = this.#parts;
    return decode === undefined || decode.ahead === true;
  }

  plan(asked: PlannedCall): Ranges | Plan {
    const { prefill, decode, heads, evict } = this.#parts;
    const thins = heads !== undefined || evict !== undefined;
    // Other methods release pages, too. Code that combines them restricts the ranges, but what is probed must have
    // pages.
    const call = { ...asked, held: (ranges: Ranges, layer: number) => this.#held(ranges, asked, layer) };
    const method = call.phase === 'prefill' ? prefill : decode;
    const chosen = method?.plan(call) ?? denseCausal(call.count, call.position + call.count);
    const watchers = call.phase === 'prefill' ? this.#watchers().filter((part) => part.watches(call)) : [];
    if (!thins && watchers.length === 0) return chosen;
    return { ranges: (layer, q) => this.#ranges(call, chosen, watchers, layer, q) };
  }

  /** Returns at once when nothing must be awaited. */
  #ranges(
    call: PlannedCall,
    chosen: Ranges | Plan,
    watchers: readonly Pick<WatchingPlanner, 'watch'>[],
    layer: number,
    q: Tensor,
  ): Ranges | Promise<Ranges> {
    const sliding = this.#parts.heads?.slide(call, layer);
    const choose = (): Ranges | Promise<Ranges> => {
      const ranges = isPlan(chosen) ? chosen.ranges(layer, q) : chosen;
      return ranges instanceof Promise
        ? ranges.then((waited) => this.#held(waited, call, layer))
        : this.#held(ranges, call, layer);
    };
    if (sliding === undefined && watchers.length === 0) return choose();
    return (async () => {
      await sliding;
      for (const watcher of watchers) await watcher.watch(call, layer, q);
      return choose();
    })();
  }

  /** Returns the part of `ranges` that the layer's heads hold. */
  #held(ranges: Ranges, { kv, position, count }: PlannedCall, layer: number): Ranges {
    const keys = position + count;
    const cut = withoutHoles(ranges, kv, layer, keys);
    const lists = this.#parts.heads?.lists(layer, keys);
    return lists === undefined ? cut : withHeads(cut, lists);
  }

  #watchers(): Pick<WatchingPlanner, 'watches' | 'watch'>[] {
    const { decode, evict } = this.#parts;
    return [decode, evict].filter((part): part is WatchingPlanner & Eviction => part !== undefined && 'watch' in part);
  }

  async prefilled(): Promise<void> {
    await this.#parts.prefill?.prefilled?.();
    await this.#parts.decode?.prefilled?.();
    await this.#parts.evict?.prefilled();
  }

  keeps(length: number): number {
    const { prefill, decode, heads, evict } = this.#parts;
    return [prefill, decode, heads, evict].reduce((kept, part) => Math.min(kept, part?.keeps?.(kept) ?? kept), length);
  }

  adopts(length: number): boolean {
    const { prefill, decode, heads, evict } = this.#parts;
    const methods = [prefill, decode].every((part) => part === undefined || part.adopts?.(length) === true);
    return methods && heads?.adopts(length) !== false && evict?.adopts(length) !== false;
  }

  truncated(length: number): void {
    const { prefill, decode, heads, evict } = this.#parts;
    for (const part of [prefill, decode, heads, evict]) part?.truncated?.(length);
  }

  fork(): CombinedPlanner {
    const { prefill, decode, heads, evict } = this.#parts;
    return new CombinedPlanner({
      prefill: prefill?.fork(),
      decode: decode?.fork(),
      heads: heads?.fork(),
      evict: evict?.fork(),
    });
  }

  free(): void {
    const { prefill, decode, evict } = this.#parts;
    for (const part of [prefill, decode, evict]) part?.free();
  }
}
