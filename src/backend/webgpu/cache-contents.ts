/** What lies in the pages, and means of it: what methods that choose keys look at. */
import { SPANS, cached, rowMeans, spanMeans } from '../../../gpu/kernels/cached.ts';
import type { KvOperand } from '../../../gpu/lib/pages.ts';
import { InputError } from '../../errors.ts';
import { PAGE_TOKENS, type KvView, type Tensor } from '../backend.ts';
import { poolOf, spanCount } from './checks.ts';
import type { Context } from './context.ts';
import { matrix } from './tensors.ts';

export class CacheContents {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    const { runner, tensors } = this.#context;
    if (
      !Number.isInteger(start) ||
      !Number.isInteger(end) ||
      start < 0 ||
      end <= start ||
      end > kv.blocks * PAGE_TOKENS
    ) {
      throw new InputError('argument', `cached: positions ${start} to ${end} of a view of ${kv.blocks * PAGE_TOKENS}`);
    }
    const operand = readable('cached', kv, layer, [start, end]);
    const out = tensors.make([end - start, kv.pool.spec.kvHeads * kv.pool.spec.headDim]);
    runner.run(cached, { kv: operand, part, start, out: matrix('cached', 'out', out) });
    return out;
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    const { runner, tensors } = this.#context;
    const count = spanCount('spanMeans', spans, kv.blocks * PAGE_TOKENS);
    let [from, to] = [Infinity, 0];
    for (let s = 0; s < spans.length; s += 2) {
      const [start, end] = [spans[s] ?? 0, spans[s + 1] ?? 0];
      if (start === end) continue;
      from = Math.min(from, start);
      to = Math.max(to, end);
    }
    const operand = readable('spanMeans', kv, layer, [Math.min(from, to), to]);
    const out = tensors.make([count, kv.pool.spec.kvHeads * kv.pool.spec.headDim]);
    const target = matrix('spanMeans', 'out', out);
    for (const { first, some } of parts(spans))
      runner.run(spanMeans, { kv: operand, part, spans: some, first, out: target });
    return out;
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    const { runner, tensors } = this.#context;
    const input = matrix('rowMeans', 'x', x);
    const out = tensors.make([spanCount('rowMeans', spans, input.rows), input.cols]);
    const target = matrix('rowMeans', 'out', out);
    for (const { first, some } of parts(spans)) runner.run(rowMeans, { x: input, spans: some, first, out: target });
    return out;
  }
}

/** The view on the device, if positions [start, end) of the layer have pages that can be read, or none. */
function readable(operation: string, kv: KvView, layer: number, [start, end]: readonly [number, number]): KvOperand {
  const pool = poolOf(operation, kv);
  const operand = pool.operand(operation, kv, layer);
  const blocks = [Math.floor(start / PAGE_TOKENS), Math.ceil(end / PAGE_TOKENS)] as const;
  for (let head = 0; head < pool.spec.kvHeads; head += 1) pool.checkBlocks(operation, kv, layer, head, blocks, true);
  return operand;
}

/** As many spans as a dispatch takes, and their first. */
function parts(spans: Uint32Array): { first: number; some: Uint32Array }[] {
  return Array.from({ length: Math.ceil(spans.length / 2 / SPANS) }, (_, i) => ({
    first: i * SPANS,
    some: spans.subarray(2 * i * SPANS, 2 * (i + 1) * SPANS),
  }));
}
