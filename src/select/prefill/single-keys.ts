/**
 * Single keys for every 32 queries and KV head: those with the most attention of the mean of the queries, summed over
 * the query heads that share the KV head, besides the first keys and the newest.
 *
 * TokenSelect (2411.02886) chooses for prompts in the same way, but for a whole call and all heads at once and without
 * the attention's scale; DHSA (2510.24606) and block top-k score chunks of keys by their means, which hide a single key
 * that matters. A mean query costs a 64th of the attention of its 32 queries to all keys.
 */
import type { Ranges, Tensor } from '../../backend/backend.ts';
import type { Plan, PlannedCall, Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { ListWriter } from '../../kv/runs.ts';
import type { Wasm } from '../../wasm.ts';
import { framed, topKeys } from '../keys.ts';
import type { PrefillOptions } from '../options.ts';
import { readBack } from './dhsa-scratch.ts';
import { allSeen, LIST_BLOCK, queryBlocks, sparseSettings, type QueryBlock } from './dhsa-settings.ts';

/** Few of the newest keys, so that a small budget leaves others to choose. */
const DEFAULTS = { sinks: 4, local: 32, instruction: 64 };
/** Bytes of attention that are read back at a time: 16 blocks of 14 heads over 16,384 keys. */
const READ_BYTES = 16e6;

/** It keeps no state between calls. Throws `InputError('argument')` for invalid options. */
export function createKeysPlanner(
  options: PrefillOptions,
  { wasm, readBytes = READ_BYTES }: { readonly wasm: Wasm; readonly readBytes?: number | undefined },
): Planner {
  const settings = sparseSettings(options, DEFAULTS);
  const { sinks } = settings;
  const planner: Planner = {
    plan: (call): Ranges | Plan => {
      const { position, count, phase } = call;
      if (phase === 'decode') return denseCausal(count, position + count);
      const blocks = queryBlocks(call, settings);
      return (
        allSeen(blocks, call) ?? {
          ranges: (layer: number, q: Tensor) => chooseKeys(wasm, call, { layer, q, blocks, sinks, readBytes }),
        }
      );
    },
    adopts: () => true,
    fork: () => planner,
    free: () => undefined,
  };
  return planner;
}

/** The number of keys that a block may choose besides those always visible. */
function roomFor({ budget, local, end }: QueryBlock, sinks: number): number {
  return budget >= end ? 0 : Math.max(0, budget - Math.min(sinks, local) - (end - local));
}

/** What a layer chooses for. */
interface Choosing {
  readonly layer: number;
  /** [T, heads * headDim] */
  readonly q: Tensor;
  readonly blocks: readonly QueryBlock[];
  readonly sinks: number;
  readonly readBytes: number;
}

async function chooseKeys(
  wasm: Wasm,
  { backend, kv, heads, scale, held }: PlannedCall,
  { layer, q, blocks, sinks, readBytes }: Choosing,
): Promise<Ranges> {
  const { kvHeads } = kv.pool.spec;
  const group = heads / kvHeads;
  const choosing = blocks.filter((block) => roomFor(block, sinks) > 0);
  const chosen = new Map<QueryBlock, Uint32Array[]>();
  const last = choosing.at(-1)?.end ?? 0;
  const together = Math.max(1, Math.floor(readBytes / (4 * heads * Math.max(1, last))));
  for (let first = 0; first < choosing.length; first += together) {
    const some = choosing.slice(first, first + together);
    const masses = await readBack(backend, () =>
      some.map(({ start, queries, end }) => {
        const dense = denseCausal(1, end);
        const mean = backend.rowMeans(q, Uint32Array.of(start, start + queries));
        return backend.probe(mean, kv, layer, end - 1, held?.(dense, layer) ?? dense, { heads, scale });
      }),
    );
    some.forEach((block, i) => {
      const { local, end } = block;
      const found = masses[i] ?? new Float32Array(0);
      const room = { start: Math.min(sinks, local), end: local, budget: roomFor(block, sinks) };
      const lists = Array.from({ length: kvHeads }, (_, head) =>
        topKeys(wasm, found.subarray(head * group * end, (head + 1) * group * end), [group, end], room),
      );
      chosen.set(block, lists);
    });
  }
  const writer = new ListWriter();
  for (const block of blocks) {
    const { budget, local, end } = block;
    const lists = chosen.get(block);
    for (let head = 0; head < kvHeads; head++) {
      const middle = lists?.[head] ?? new Uint32Array(0);
      const { runs } =
        budget >= end ? { runs: Uint32Array.of(0, end) } : framed(Math.min(sinks, local), middle, local, end);
      for (let i = 0; i < runs.length; i += 2) writer.push(runs[i] ?? 0, runs[i + 1] ?? 0);
      writer.next();
    }
  }
  return writer.build({ queryBlock: LIST_BLOCK, shared: false, causal: true });
}
