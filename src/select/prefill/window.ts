/** A sliding window with sinks (StreamingLLM 2309.17453): the first tokens and the newest, the same for all heads and layers. */
import type { Ranges } from '../../backend/backend.ts';
import type { PrefillOptions } from '../options.ts';
import type { PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { LIST_BLOCK, queryBlocks, sparseSettings, type SparseSettings } from './dhsa-settings.ts';

/** It keeps no state between calls. Throws `InputError('argument')` for invalid options. */
export function createWindowPlanner(options: PrefillOptions): Planner {
  const settings = sparseSettings(options, { sinks: 64, local: 1, instruction: 64 });
  const planner: Planner = {
    plan: (call) => windowRanges(call, settings, options.local),
    adopts: () => true,
    fork: () => planner,
    free: () => undefined,
  };
  return planner;
}

/**
 * A block of 32 queries shares a window: `local` keys for its first query, and so up to 31 more for its last. By
 * default, its last query sees what the sinks leave of the budget. Answers see everything.
 */
function windowRanges(call: PlannedCall, settings: SparseSettings, local?: number): Ranges {
  const { position, count, phase } = call;
  if (phase === 'decode') return denseCausal(count, position + count);
  const blocks = queryBlocks(call, settings);
  const offsets = [0];
  const runs: number[] = [];
  let limited = false;
  for (const { start, end, budget } of blocks) {
    const first = position + start;
    // Every query of the block sees itself, however small the window.
    const from =
      local === undefined
        ? Math.max(0, Math.min(first, end - Math.max(1, budget - settings.sinks)))
        : Math.max(0, first + 1 - local);
    const sinks = Math.min(settings.sinks, from);
    limited ||= budget < end && sinks < from;
    if (budget >= end || sinks === from) runs.push(0, end);
    else runs.push(...(sinks > 0 ? [0, sinks] : []), from, end);
    offsets.push(runs.length / 2);
  }
  if (!limited) return denseCausal(count, position + count);
  return {
    queryBlock: LIST_BLOCK,
    shared: true,
    causal: true,
    offsets: Uint32Array.from(offsets),
    runs: Uint32Array.from(runs),
  };
}
