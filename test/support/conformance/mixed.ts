/** Views whose pages are of several formats, the same bytes on every backend. */
import {
  PAGE_TOKENS,
  pageNumber,
  type Backend,
  type KvFormat,
  type KvSpec,
  type KvView,
  type Ranges,
} from '../../../src/backend/backend.ts';
import { encodePage } from '../../reference/pages.ts';
import type { Random } from '../random.ts';

export interface MixedView extends KvView {
  version: number;
}

/** [keys, values] of a page: channels of different means and spreads, as keys have them, one of them constant. */
export function pageValues(r: Random, headDim: number): Float64Array {
  const out = new Float64Array(2 * PAGE_TOKENS * headDim);
  const means = r.normals(headDim, 2);
  for (let i = 0; i < out.length; i++) {
    const channel = i % headDim;
    const spread = i < PAGE_TOKENS * headDim ? (channel === 3 ? 0 : 0.2 + (channel % 5)) : 1;
    out[i] = Math.fround((i < PAGE_TOKENS * headDim ? means[channel]! : 0) + spread * r.normal());
  }
  return out;
}

/**
 * `blocks` blocks of random keys and values; each page is of one of `formats`, quantised by the backend from pages of the spec's format. Pages
 * are numbered in random order, with spare ones between them.
 */
export function mixedView(
  r: Random,
  backend: Backend,
  spec: KvSpec,
  blocks: number,
  formats: readonly KvFormat[],
): MixedView {
  const pool = backend.kvPool(spec);
  const entries = spec.layers * spec.kvHeads * blocks;
  const shuffled = (count: number, format: KvFormat): number[] => {
    pool.reserve(count + 3, format);
    return r.shuffle(Array.from({ length: count + 3 }, (_, i) => pageNumber(format, i))).slice(0, count);
  };
  const open = shuffled(entries, spec.format);
  const wanted = open.map(() => r.pick(formats));
  const content = open.map(() => encodePage(spec.format, spec.headDim, pageValues(r, spec.headDim)));
  pool.write(Int32Array.from(open), Uint8Array.from(content.flatMap((bytes) => [...bytes])));
  const table = Int32Array.from(open);
  for (const format of formats) {
    if (format === spec.format) continue;
    const closed = shuffled(entries, format);
    for (const [at, page] of closed.entries()) if (wanted[at] === format) table[at] = page;
  }
  const changed = [...table.keys()].filter((at) => table[at] !== open[at]);
  pool.convert(
    Int32Array.from(changed, (at) => open[at]!),
    Int32Array.from(changed, (at) => table[at]!),
  );
  return { pool, blocks, table, version: 1, formats: [...new Set([spec.format, ...formats])] };
}

/** For every KV head and block of queries its own runs below `keys`: sinks, a few in the middle, the newest. */
export function sparseRuns(
  r: Random,
  queries: number,
  position: number,
  kvHeads: number,
  { queryBlock = 8, biased = false } = {},
): Ranges {
  const offsets = [0];
  const runs: number[] = [];
  const keys = position + queries;
  for (let first = 0; first < queries; first += queryBlock) {
    for (let head = 0; head < kvHeads; head++) {
      let at = head % 2;
      while (at < keys) {
        const end = Math.min(keys, at + 1 + r.integer(0, Math.max(2, keys >> 3)));
        runs.push(at, end);
        at = end + 1 + r.integer(0, Math.max(2, keys >> 2));
      }
      offsets.push(runs.length / 2);
    }
  }
  const bias = biased
    ? { bias: Float32Array.from({ length: runs.length / 2 }, () => Math.log(1 + r.integer(0, 50))) }
    : {};
  return {
    queryBlock,
    shared: false,
    causal: true,
    offsets: Uint32Array.from(offsets),
    runs: Uint32Array.from(runs),
    ...bias,
  };
}
