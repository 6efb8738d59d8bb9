/** Attention over pages, and the probe, which asks how much of it keys receive. */
import {
  attention,
  attentionMerge,
  attentionShares,
  partFloats,
  type QueryOperands,
} from '../../../gpu/kernels/attention.ts';
import { probe, spanSums } from '../../../gpu/kernels/probe.ts';
import { InputError } from '../../errors.ts';
import { PAGE_TOKENS, type AttentionSpec, type KvView, type ProbeSpec, type Ranges, type Tensor } from '../backend.ts';
import { checkRanges, poolOf, spanCount } from './checks.ts';
import type { Context } from './context.ts';
import type { GpuKvPool } from './kv-pool.ts';
import { matrix } from './tensors.ts';

/** Bytes of a row's maximum and sum: a vec4. */
const SUM_BYTES = 16;

export class Attending {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  attention(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: AttentionSpec): Tensor {
    const { runner, tensors } = this.#context;
    const { asked } = operands('attention', { q, kv, layer, position, ranges, spec });
    const out = tensors.make(q.shape);
    const target = matrix('attention', 'out', out);
    const shares = attentionShares(asked);
    if (shares === 1) {
      runner.run(attention, { ...asked, out: target.buffer, mode: 'result', shares });
      return out;
    }
    const { headDim } = asked.kv.spec;
    const parts = runner.buffers.take(4 * shares * asked.q.rows * spec.heads * partFloats(headDim));
    runner.run(attention, { ...asked, out: parts, mode: 'shares', shares });
    runner.run(attentionMerge, { parts, shares, heads: spec.heads, headDim, out: target });
    runner.buffers.give(parts);
    return out;
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    const { runner, tensors } = this.#context;
    const { asked, keys } = operands('probe', { q, kv, layer, position, ranges, spec });
    const { spans } = spec;
    const count = spans === undefined ? keys : spanCount('probe', spans);
    if (keys === 0) {
      if (spans === undefined)
        throw new InputError('argument', 'probe: no query sees a key; there is nothing to ask for');
      const zeros = tensors.make([spec.heads, count]);
      const { buffer, rows, stride } = matrix('probe', 'out', zeros);
      runner.upload(buffer, 0, new Float32Array(rows * stride));
      return zeros;
    }
    const shares = attentionShares(asked);
    // The rows' sums lie behind the masses, since with four formats of pages no binding is left for them.
    const masses = tensors.make([spec.heads, keys], 'f32', shares * asked.q.rows * spec.heads * SUM_BYTES);
    const target = matrix('probe', 'out', masses);
    const sumsStart = target.rows * target.stride;
    runner.run(attention, { ...asked, out: target.buffer, mode: 'sums', shares, outStart: sumsStart / 4 });
    runner.run(probe, { ...asked, out: target, sumsStart, shares });
    if (spans === undefined) return masses;
    const out = tensors.make([spec.heads, count]);
    runner.run(spanSums, { masses: target, spans, out: matrix('probe', 'out', out) });
    tensors.free(masses);
    return out;
  }
}

interface Asked {
  readonly q: Tensor;
  readonly kv: KvView;
  readonly layer: number;
  readonly position: number;
  readonly ranges: Ranges;
  readonly spec: AttentionSpec;
}

/** What the kernels take, checked; `keys`: the position after the last key that a query sees. */
function operands(
  operation: string,
  { q, kv, layer, position, ranges, spec }: Asked,
): { asked: QueryOperands; keys: number } {
  const input = matrix(operation, 'q', q);
  const pool = poolOf(operation, kv);
  const { kvHeads, headDim } = pool.spec;
  if (input.cols !== spec.heads * headDim || spec.heads % kvHeads !== 0) {
    throw new InputError(
      'argument',
      `${operation}: q [${q.shape.join()}] should have ${spec.heads} * ${headDim} columns, heads a multiple of ${kvHeads}`,
    );
  }
  if (!Number.isInteger(position) || position < 0)
    throw new InputError('argument', `${operation}: queries at position ${position}`);
  checkRanges(operation, ranges, input.rows, ranges.shared ? 1 : kvHeads, kv.blocks * PAGE_TOKENS);
  const operand = pool.operand(operation, kv, layer);
  const keys = checkSeen(operation, pool, { q, kv, layer, position, ranges, spec }, input.rows);
  return { asked: { q: input, heads: spec.heads, kv: operand, position, ranges, scale: spec.scale }, keys };
}

/** Throws unless every key that a query sees has a page that can be read; returns the position after the last. */
function checkSeen(operation: string, pool: GpuKvPool, { kv, layer, position, ranges }: Asked, rows: number): number {
  const { queryBlock, shared, causal, offsets, runs } = ranges;
  const { kvHeads } = pool.spec;
  const lists = shared ? 1 : kvHeads;
  const whole = Array.from({ length: kvHeads }, (_, head) => pool.wholeBlocks(kv, layer, head) * PAGE_TOKENS);
  const least = Math.min(...whole);
  let last = 0;
  for (let list = 0; list + 1 < offsets.length; list += 1) {
    const block = Math.floor(list / lists);
    const limit = causal ? position + Math.min(rows, (block + 1) * queryBlock) : Infinity;
    for (let r = offsets[list] ?? 0; r < (offsets[list + 1] ?? 0); r += 1) {
      const start = runs[2 * r] ?? 0;
      const end = Math.min(limit, runs[2 * r + 1] ?? 0);
      if (start >= end) continue;
      last = Math.max(last, end);
      if (end <= (shared ? least : (whole[list % lists] ?? 0))) continue;
      const blocks = [Math.floor(start / PAGE_TOKENS), Math.ceil(end / PAGE_TOKENS)] as const;
      if (shared) for (let head = 0; head < kvHeads; head += 1) pool.checkBlocks(operation, kv, layer, head, blocks);
      else pool.checkBlocks(operation, kv, layer, list % lists, blocks);
    }
  }
  return last;
}
