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
  /** Undefined: dense, or `prefill` if it decodes. */
  readonly decode?: Planner | undefined;
  /** Whether `prefill` plans answers. */
  readonly decodes?: boolean | undefined;
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
    const { decode, decodes } = this.#parts;
    return decode === undefined ? decodes !== true : decode.ahead === true;
  }

  plan(asked: PlannedCall): Ranges | Plan {
    const { prefill, decode, decodes, heads, evict } = this.#parts;
    const thins = heads !== undefined || evict !== undefined;
    // Other methods release pages, too. Code that combines them restricts the ranges, but what is probed must have
    // pages.
    const call = { ...asked, held: (ranges: Ranges, layer: number) => this.#held(ranges, asked, layer) };
    const method = call.phase === 'prefill' || decodes === true ? prefill : decode;
    const chosen = method?.plan(call) ?? denseCausal(call.count, call.position + call.count);
    const watchers = call.phase === 'prefill' ? this.#watchers().filter((part) => part.watches(call)) : [];
    if (!thins && watchers.length === 0) return chosen;
    const holds = isPlan(chosen) ? chosen.holds : undefined;
    return { ranges: (layer, q) => this.#ranges(call, chosen, watchers, layer, q), ...(holds && { holds }) };
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
  #held(ranges: Ranges, asked: PlannedCall, layer: number): Ranges {
    const { kv, position, count } = asked;
    const keys = position + count;
    const cut = withoutHoles(this.#parts.evict?.visible(ranges, asked, layer) ?? ranges, kv, layer, keys);
    const lists = this.#parts.heads?.lists(layer, keys);
    return lists === undefined ? cut : withHeads(cut, lists);
  }

  #watchers(): Pick<WatchingPlanner, 'watches' | 'watch'>[] {
    const { decode, evict } = this.#parts;
    return [decode, evict].filter((part): part is WatchingPlanner & Eviction => part !== undefined && 'watch' in part);
  }

  get asked(): ((start: number, end: number) => void) | undefined {
    const { decode } = this.#parts;
    return decode?.asked === undefined ? undefined : (start, end) => decode.asked?.(start, end);
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
    const { prefill, decode, decodes, heads, evict } = this.#parts;
    return new CombinedPlanner({
      prefill: prefill?.fork(),
      decode: decode?.fork(),
      decodes,
      heads: heads?.fork(),
      evict: evict?.fork(),
    });
  }

  free(): void {
    const { prefill, decode, evict } = this.#parts;
    for (const part of [prefill, decode, evict]) part?.free();
  }
}
