/** Reads the contents of pages, and means of them, for the methods that choose keys. */
import { SPANS, cached, rowMeans, spanMeans } from '../../../gpu/kernels/cached.ts';
import type { KvView, Tensor } from '../backend.ts';
import * as checks from '../page-checks.ts';
import type { Context } from './context.ts';
import { poolOf } from './kv-pool.ts';
import { matrix } from './tensors.ts';

export class CacheContents {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    const { runner, tensors } = this.#context;
    checks.cached(kv, layer, start, end);
    const operand = poolOf('cached', kv).operand('cached', kv, layer);
    const out = tensors.make([end - start, kv.pool.spec.kvHeads * kv.pool.spec.headDim]);
    runner.run(cached, { kv: operand, part, start, out: matrix('cached', 'out', out) });
    return out;
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    const { runner, tensors } = this.#context;
    checks.spanMeans(kv, layer, spans);
    const operand = poolOf('spanMeans', kv).operand('spanMeans', kv, layer);
    const out = tensors.make([spans.length / 2, kv.pool.spec.kvHeads * kv.pool.spec.headDim]);
    const target = matrix('spanMeans', 'out', out);
    for (const { first, some } of parts(spans))
      runner.run(spanMeans, { kv: operand, part, spans: some, first, out: target });
    return out;
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    const { runner, tensors } = this.#context;
    checks.rowMeans(x, spans);
    const input = matrix('rowMeans', 'x', x);
    const out = tensors.make([spans.length / 2, input.cols]);
    const target = matrix('rowMeans', 'out', out);
    for (const { first, some } of parts(spans)) runner.run(rowMeans, { x: input, spans: some, first, out: target });
    return out;
  }
}

/** Divides the spans into parts for one dispatch each, with the index of each part's first span. */
function parts(spans: Uint32Array): { first: number; some: Uint32Array }[] {
  return Array.from({ length: Math.ceil(spans.length / 2 / SPANS) }, (_, i) => ({
    first: i * SPANS,
    some: spans.subarray(2 * i * SPANS, 2 * (i + 1) * SPANS),
  }));
}
