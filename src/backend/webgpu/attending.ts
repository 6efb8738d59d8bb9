/** Operations that write or read a layer's KV pages: the append after RoPE, attention, and the probe of how much of it keys receive. */
import {
  attention,
  attentionMerge,
  attentionShares,
  partFloats,
  type QueryOperands,
} from '../../../gpu/kernels/attention.ts';
import { hadamard } from '../../../gpu/kernels/hadamard.ts';
import { probe, spanSums } from '../../../gpu/kernels/probe.ts';
import { ropeAppend, ropeAppendRows } from '../../../gpu/kernels/rope-append.ts';
import type { AppendSpec, AttentionSpec, KvView, ProbeSpec, Ranges, Tensor } from '../backend.ts';
import * as checks from '../page-checks.ts';
import { ropePositions } from '../positions.ts';
import type { Context } from './context.ts';
import { poolOf } from './kv-pool.ts';
import { matrix } from './tensors.ts';
import { rmsOf } from './weights.ts';

/** The RoPE of a call without one. */
const NO_SECTIONS = { sections: undefined };
/** Bytes of a row's maximum and sum: a vec4. */
const SUM_BYTES = 16;

export class Attending {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): Tensor {
    const { runner, tensors, none } = this.#context;
    checks.append(qkv, kv, layer, position, options);
    const input = matrix('ropeAppend', 'qkv', qkv);
    const pool = poolOf('ropeAppend', kv);
    const { heads, rope, kvHeads = pool.spec.kvHeads, headDim = pool.spec.headDim } = options;
    const operand = pool.operand('ropeAppend', kv, layer);
    const places = ropePositions(rope ?? NO_SECTIONS, kv.positions, position, input.rows);
    const out = tensors.make([input.rows, heads * pool.spec.headDim]);
    runner.run(places.rows === undefined ? ropeAppend : ropeAppendRows, {
      qkv: input,
      heads,
      kvHeads,
      headDim,
      kv: operand,
      open: pool.openMemory(),
      position,
      first: places.first,
      positions: places.rows,
      sections: rope?.sections,
      rotary: 2 * (rope?.inverseFrequency.length ?? 0),
      interleaved: rope?.style === 'interleaved',
      angles: rope === undefined ? none : pool.angles(rope, places.end),
      qNorm: rmsOf('ropeAppend', options.qNorm),
      kNorm: rmsOf('ropeAppend', options.kNorm),
      vEpsilon: options.vEpsilon,
      hadamard: kv.hadamard === true,
      q: matrix('ropeAppend', 'out', out),
      none,
    });
    return out;
  }

  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor {
    const { runner, tensors } = this.#context;
    const given: checks.Queries = { operation: 'attention', q, kv, layer, position, ranges, spec };
    checks.queries(given);
    const asked = operands(given);
    const width = spec.headDim ?? asked.kv.spec.headDim;
    const out = tensors.make([asked.q.rows, spec.heads * width]);
    const target = matrix('attention', 'out', out);
    const shares = attentionShares(asked, runner.forms.of('attention'));
    if (shares === 1) {
      runner.run(attention, { ...asked, out: target.buffer, outStride: target.stride, width, mode: 'result', shares });
      return kv.hadamard === true ? this.#gathered(out, spec.heads, width) : out;
    }
    const { headDim } = asked.kv.spec;
    const parts = runner.buffers.take(4 * shares * asked.q.rows * spec.heads * partFloats(headDim));
    runner.run(attention, { ...asked, out: parts, mode: 'shares', shares });
    runner.run(attentionMerge, { parts, shares, heads: spec.heads, headDim, width, out: target });
    runner.buffers.give(parts);
    return kv.hadamard === true ? this.#gathered(out, spec.heads, width) : out;
  }

  /** The inverse of what `ropeAppend` does to heads that are spread. */
  #gathered(spread: Tensor, heads: number, headDim: number): Tensor {
    const { runner, tensors } = this.#context;
    const x = matrix('attention', 'out', spread);
    const out = tensors.make(spread.shape);
    runner.run(hadamard, { x, heads, headDim, out: matrix('attention', 'out', out) });
    tensors.free(spread);
    return out;
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    const { runner, tensors } = this.#context;
    const { spans } = spec;
    const given: checks.Queries = { operation: 'probe', q, kv, layer, position, ranges, spec };
    const { keys, count } = checks.probe(given, spans);
    const asked = operands(given);
    if (keys === 0) {
      const zeros = tensors.make([spec.heads, count]);
      const { buffer, rows, stride } = matrix('probe', 'out', zeros);
      runner.upload(buffer, 0, new Float32Array(rows * stride));
      return zeros;
    }
    const shares = attentionShares(asked, runner.forms.of('attention'));
    // The rows' sums are behind the masses, since with four page formats no binding is left for them.
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

/** Returns the kernels' arguments; throws when a page that a query sees cannot be read. */
function operands(asked: checks.Queries): QueryOperands {
  const { operation, q, kv, layer, position, ranges, spec } = asked;
  const input = matrix(operation, 'q', q);
  const pool = poolOf(operation, kv);
  const operand = pool.operand(operation, kv, layer);
  const whole = pool.wholeBlocks(kv, layer);
  checks.seenPages(asked, (head) => whole[head] ?? 0);
  return { q: input, heads: spec.heads, kv: operand, position, ranges, scale: spec.scale };
}
