/**
 * FlexPrefill's choice (2502.20766), and that of vertical-slash attention, for one layer, from the data read back: the
 * pattern of every KV head, blocks or lines, as ranges.
 */
import type { Ranges } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';
import { ListWriter } from '../../kv/runs.ts';
import { LIST_BLOCK, type QueryBlock } from './dhsa-settings.ts';
import { withScratch } from './dhsa-scratch.ts';

/** Keys of a block. */
export const FLEX_BLOCK = 128;
/** Offsets of a slash line. */
export const SLASH_WIDTH = 32;
const BUCKETS = 2048;

/** How a head's keys are chosen: FlexPrefill's parameters, or those of vertical-slash attention. */
export interface FlexRules {
  /** Blocks or lines, head by head, or always lines. */
  readonly pattern: 'either' | 'lines';
  /** The share of the attention that a head's choice covers (gamma). */
  readonly share: number;
  /** The distance between a head's attention and the estimate from block means from which the head uses lines (tau). */
  readonly distance: number;
  /** The least number of keys of a choice, besides those always visible. */
  readonly least: number;
  /** Whether the budgets of the blocks limit the lists; otherwise they hold as many keys as cover the share. */
  readonly limited: boolean;
}

export interface FlexChoice {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly position: number;
  /** The call's lists, and its mean queries, after those the mean of the probed ones: [rows + 1, heads * headDim]. */
  readonly blocks: readonly QueryBlock[];
  readonly queries: Float32Array;
  /** WASM address of f32 [ceil(keys / FLEX_BLOCK), kvHeads * headDim]: mean keys. */
  readonly vectors: number;
  readonly keys: number;
  /** [heads, keys]: the probed queries' attention. */
  readonly vertical: Float32Array;
  /** [samples, heads, bins]: sampled queries' attention by distance, in bins of SLASH_WIDTH. */
  readonly slash: Float32Array;
  readonly samples: number;
  readonly sinks: number;
  readonly rules: FlexRules;
}

/** Returns the lists of all blocks and KV heads. Query heads of one KV head are averaged, since they share a list. */
export function chooseFlex(wasm: Wasm, choice: FlexChoice): Ranges {
  const { kvHeads, blocks, keys, headDim, rules } = choice;
  const chunks = Math.ceil(keys / FLEX_BLOCK);
  const bins = Math.ceil(keys / SLASH_WIDTH);
  const group = choice.heads / kvHeads;
  const perHead = Array.from({ length: kvHeads }, (): Uint32Array[] => []);
  const sizes = [
    4 * keys,
    4 * chunks,
    4 * chunks,
    4 * bins,
    keys,
    bins,
    chunks,
    8 * (chunks + headDim),
    8 * BUCKETS,
    keys,
    8 * (keys + 4),
    4 * group * headDim,
  ];
  withScratch(
    wasm,
    sizes,
    (
      mass = 0,
      exact = 0,
      estimate = 0,
      slash = 0,
      columns = 0,
      lines = 0,
      marks = 0,
      sums = 0,
      histogram = 0,
      seen = 0,
      runs = 0,
      q = 0,
    ) => {
      const { exports } = wasm;
      const row = group * headDim;
      const stride = kvHeads * headDim;
      for (let head = 0; head < kvHeads; head++) {
        const vectors = choice.vectors + 4 * head * headDim;
        const estimateFor = (which: number, end: number): void => {
          const count = Math.ceil(end / FLEX_BLOCK);
          const last = end / FLEX_BLOCK - (count - 1);
          const at = (which * kvHeads + head) * row;
          wasm.f32(q, row).set(choice.queries.subarray(at, at + row));
          exports.blockMass(estimate, q, vectors, stride, count, headDim, group, choice.scale, last, sums);
        };
        const column = groupMean(choice.vertical, keys, head * group, group);
        wasm.f32(exact, chunks).set(blockSums(column, chunks));
        // A limit is not spent on what every query sees.
        if (rules.limited) column.fill(0, 0, choice.sinks);
        wasm.f32(mass, keys).set(column);
        const cover = (into: number, from: number, count: number, width: number, room: number): void => {
          const most = Math.floor(room / width);
          const found = exports.cover(into, from, count, rules.share, most, histogram);
          const least = Math.min(most, Math.ceil(rules.least / width));
          if (found < least) exports.cover(into, from, count, 1, least, histogram);
        };
        let asked = false;
        if (rules.pattern === 'either') {
          estimateFor((blocks.at(-1)?.row ?? 0) + 1, keys);
          asked = exports.jensenShannon(estimate, exact, chunks) < rules.distance;
        }
        if (!asked) wasm.f32(slash, bins).set(slashMean(choice, head, bins));
        let covered = false;
        for (const block of blocks) {
          const { start, end, local, queries, budget, row: which } = block;
          if (budget >= end) {
            perHead[head]?.push(Uint32Array.of(0, end));
            continue;
          }
          const room = roomFor(block, choice);
          if (!asked && (rules.limited || !covered)) {
            if (rules.limited) {
              // A limit counts only keys that the block may see.
              cover(columns, mass, local, 1, room);
              const marked = wasm.bytes(columns, local);
              const held = column.subarray(0, local).filter((_, key) => marked[key] === 1);
              const best = bestLines(wasm.f32(slash, bins), block, choice.position, room, held);
              const drawn = wasm.bytes(lines, bins).fill(0);
              for (const line of best.lines) drawn[line] = 1;
              if (best.room < room) cover(columns, mass, local, 1, best.room);
            } else {
              cover(columns, mass, keys, 2, room);
              cover(lines, slash, bins, 2 * (SLASH_WIDTH + LIST_BLOCK), room);
            }
            covered = true;
          }
          if (asked) {
            const count = Math.ceil(end / FLEX_BLOCK);
            estimateFor(which, end);
            cover(marks, estimate, count, FLEX_BLOCK, room);
            const chosen = wasm.bytes(marks, count);
            const wanted = wasm.bytes(columns, local);
            for (let key = 0; key < local; key++) wanted[key] = chosen[Math.floor(key / FLEX_BLOCK)] ?? 0;
          }
          const first = choice.position + start;
          const count = exports.lineRuns(
            runs,
            seen,
            columns,
            asked ? 0 : lines,
            bins,
            SLASH_WIDTH,
            first,
            first + queries,
            choice.sinks,
            local,
          );
          perHead[head]?.push(wasm.u32(runs, 2 * count).slice());
        }
      }
    },
  );
  const writer = new ListWriter();
  for (let block = 0; block < blocks.length; block++) {
    for (const lists of perHead) {
      const list = lists[block] ?? [];
      for (let i = 0; i < list.length; i += 2) writer.push(list[i] ?? 0, list[i + 1] ?? 0);
      writer.next();
    }
  }
  return writer.build({ queryBlock: LIST_BLOCK, shared: false, causal: true });
}

/** Returns the number of keys that a block may choose besides those always visible. */
function roomFor({ budget, local, end }: QueryBlock, { rules, sinks }: FlexChoice): number {
  return rules.limited ? Math.max(0, budget - Math.min(sinks, local) - (end - local)) : 0x7fffffff;
}

/**
 * Returns the lines that hold more of a head's attention than the columns that they displace, the best first, and the
 * room that they leave: so the share of lines is that of each head and block. `held`: the attention on the columns that
 * would fill the room without lines.
 */
function bestLines(
  slash: Float32Array,
  { start, queries, local }: QueryBlock,
  position: number,
  room: number,
  held: Float32Array,
): { readonly lines: readonly number[]; readonly room: number } {
  const first = position + start;
  // The keys of each line (lineRuns), less those that all queries see.
  const worth = Array.from(slash, (mass, bin) => {
    const from = Math.max(0, first + 1 - SLASH_WIDTH * (bin + 1));
    const to = Math.min(local, first + queries - SLASH_WIDTH * bin);
    return { bin, mass, cost: to - from };
  }).filter(({ mass, cost }) => mass > 0 && cost > 0);
  worth.sort((a, b) => b.mass / b.cost - a.mass / a.cost);
  const lowest = held.sort();
  let spare = room - lowest.length;
  let gone = 0;
  const lines: number[] = [];
  for (const { bin, mass, cost } of worth) {
    if (cost > room) break;
    const next = gone + Math.max(0, cost - spare);
    if (mass <= lowest.subarray(gone, next).reduce((sum, value) => sum + value, 0)) break;
    lines.push(bin);
    gone = next;
    spare = Math.max(0, spare - cost);
    room -= cost;
  }
  return { lines, room };
}

/** Mean of rows `[first, first + count)` of `cols` values. */
function groupMean(rows: Float32Array, cols: number, first: number, count: number): Float32Array {
  const out = new Float32Array(cols);
  for (let r = first; r < first + count; r++)
    for (let c = 0; c < cols; c++) out[c] = (out[c] ?? 0) + (rows[r * cols + c] ?? 0) / count;
  return out;
}

function blockSums(column: Float32Array, chunks: number): Float32Array {
  return Float32Array.from({ length: chunks }, (_, chunk) =>
    column.subarray(chunk * FLEX_BLOCK, (chunk + 1) * FLEX_BLOCK).reduce((sum, value) => sum + value, 0),
  );
}

function slashMean({ slash, samples, heads, kvHeads }: FlexChoice, head: number, bins: number): Float32Array {
  const group = heads / kvHeads;
  const out = new Float32Array(bins);
  for (let sample = 0; sample < samples; sample++) {
    groupMean(slash, bins, sample * heads + head * group, group).forEach((value, bin) => {
      out[bin] = (out[bin] ?? 0) + value / samples;
    });
  }
  return out;
}
