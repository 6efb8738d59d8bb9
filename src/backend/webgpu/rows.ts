/** Operations on rows: moves, sums, and the norm and the residual that other columns modulate. */
import { add } from '../../../gpu/kernels/add.ts';
import { gatedAdd } from '../../../gpu/kernels/gated-add.ts';
import { norm } from '../../../gpu/kernels/norm.ts';
import { TAKE_INDICES, take } from '../../../gpu/kernels/take.ts';
import type { Activation, ModulateSpec, Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Context } from './context.ts';
import { matrix, optional, resident } from './tensors.ts';
import { optionalVector } from './weights.ts';

export class Rows {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    const { runner, tensors } = this.#context;
    checks.rows(x, start, count);
    const input = resident('rows', 'x', x);
    const out = tensors.make([count, input.cols]);
    const rowBytes = 4 * input.stride;
    runner.copy(input.buffer, start * rowBytes, resident('rows', 'out', out).buffer, 0, count * rowBytes);
    return out;
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    const { runner, tensors } = this.#context;
    checks.take(x, indices);
    const input = matrix('take', 'x', x);
    const out = tensors.make([indices.length, input.cols]);
    const target = matrix('take', 'out', out);
    for (let first = 0; first < indices.length; first += TAKE_INDICES) {
      runner.run(take, { x: input, indices: indices.subarray(first, first + TAKE_INDICES), first, out: target });
    }
    return out;
  }

  stack(xs: readonly Tensor[]): Tensor {
    const { runner, tensors } = this.#context;
    const cols = checks.alike('stack', 'xs', xs);
    const inputs = xs.map((x, i) => resident('stack', `xs[${i}]`, x));
    const out = tensors.make([inputs.reduce((sum, { rows }) => sum + rows, 0), cols]);
    const { buffer } = resident('stack', 'out', out);
    let at = 0;
    for (const { buffer: from, rows, stride } of inputs) {
      runner.copy(from, 0, buffer, at, 4 * rows * stride);
      at += 4 * rows * stride;
    }
    return out;
  }

  fold(x: Tensor, count: number): Tensor {
    const { runner, tensors } = this.#context;
    checks.fold(x, count);
    const input = resident('fold', 'x', x);
    const out = tensors.make([input.rows / count, count * input.cols]);
    const target = resident('fold', 'out', out);
    if (input.stride === input.cols && target.stride === target.cols) {
      runner.copy(input.buffer, 0, target.buffer, 0, 4 * input.rows * input.stride);
      return out;
    }
    // Rows that are padded to the width of a load are moved one by one.
    for (let row = 0; row < input.rows; row++) {
      const at = Math.floor(row / count) * target.stride + (row % count) * input.cols;
      runner.copy(input.buffer, 4 * row * input.stride, target.buffer, 4 * at, 4 * input.cols);
    }
    return out;
  }

  add(a: Tensor, b: Tensor, activation: Activation | undefined): Tensor {
    const { runner, tensors } = this.#context;
    checks.add(a, b);
    const [left, right] = [matrix('add', 'a', a), matrix('add', 'b', b)];
    const out = tensors.make(a.shape);
    runner.run(add, { a: left, b: right, activation: activation ?? 'none', out: matrix('add', 'out', out) });
    return out;
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    const { runner, tensors, none } = this.#context;
    checks.modulate(x, spec);
    const input = matrix('modulate', 'x', x);
    const { shift, scale, epsilon } = spec;
    const modulation = { matrix: matrix('modulate', 'modulation', spec.modulation), shift, scale };
    const weight = optionalVector('modulate', spec.weight);
    const bias = optionalVector('modulate', spec.bias);
    const out = tensors.make(x.shape);
    runner.run(norm, {
      x: input,
      kind: 'layer',
      weight,
      bias,
      modulation,
      epsilon,
      out: matrix('modulate', 'out', out),
      none,
    });
    return out;
  }

  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor {
    const { runner, tensors, none } = this.#context;
    checks.gatedAdd(x, y, modulation, column);
    const [left, right] = [optional('gatedAdd', 'x', x), matrix('gatedAdd', 'y', y)];
    const gate = matrix('gatedAdd', 'modulation', modulation);
    const out = tensors.make(y.shape);
    runner.run(gatedAdd, { x: left, y: right, modulation: gate, column, out: matrix('gatedAdd', 'out', out), none });
    return out;
  }
}
