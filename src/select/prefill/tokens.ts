/**
 * TokenSelect (2411.02886) for prompts: the mean query of a call chooses keys for all of its queries, which see them
 * besides the first keys, the newest and those of the call.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { ListWriter } from '../../kv/runs.ts';
import type { Wasm } from '../../wasm.ts';
import { voted } from '../decode/tokens.ts';
import { framed, tokensOf } from '../keys.ts';
import type { PrefillOptions } from '../options.ts';
import { LIST_BLOCK, queryBlocks, sparseSettings, type SparseSettings } from './dhsa-settings.ts';

/** As at decode: 128 first, 512 newest and 2,048 chosen keys. */
const DEFAULTS = { sinks: 128, local: 512, instruction: 64, budget: 2688 };

/** It keeps no state between calls. Throws `InputError('argument')` for invalid options. */
export function createTokensPlanner(options: PrefillOptions, { wasm }: { readonly wasm: Wasm }): Planner {
  const settings = sparseSettings(options, DEFAULTS);
  const planner: Planner = {
    plan: (call) => tokenRanges(wasm, call, settings),
    adopts: () => true,
    fork: () => planner,
    free: () => undefined,
  };
  return planner;
}

function tokenRanges(wasm: Wasm, call: PlannedCall, settings: SparseSettings): Ranges | Plan {
  const { backend, position, count, phase } = call;
  const { sinks, local, budget } = settings;
  const keys = position + count;
  const newest = Math.max(0, Math.min(position, keys - local));
  const seen = tokensOf(budget, keys);
  const blocks = queryBlocks(call, settings);
  if (phase === 'decode' || seen >= keys || sinks >= newest || blocks.every((block) => block.budget >= block.end))
    return denseCausal(count, keys);
  const room = { from: sinks, to: newest, budget: Math.max(0, seen - sinks - (keys - newest)) };
  return {
    ranges: async (layer: number, q: Tensor): Promise<Ranges> => {
      const runs = await voted(wasm, call, layer, () => backend.rowMeans(q, Uint32Array.of(0, count)), room);
      const writer = new ListWriter();
      for (const { end, budget: most } of blocks) {
        const list = most >= end ? Uint32Array.of(0, end) : framed(sinks, runs, newest, end).runs;
        for (let i = 0; i < list.length; i += 2) writer.push(list[i] ?? 0, list[i + 1] ?? 0);
        writer.next();
      }
      return writer.build({ queryBlock: LIST_BLOCK, shared: true, causal: true });
    },
  };
}
