/** Operations on rows: moves, sums, and the norm and the residual that other columns modulate. */
import { add } from '../../../gpu/kernels/add.ts';
import { gatedAdd } from '../../../gpu/kernels/gated-add.ts';
import { norm } from '../../../gpu/kernels/norm.ts';
import type { Matrix } from '../../../gpu/kernels/operands.ts';
import { TAKE_INDICES, take } from '../../../gpu/kernels/take.ts';
import { InputError } from '../../errors.ts';
import type { Activation, ModulateSpec, Tensor } from '../backend.ts';
import { sameColumns } from './checks.ts';
import type { Context } from './context.ts';
import { copied, matrix } from './tensors.ts';
import { vectorOf } from './weights.ts';

export class Rows {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    const { runner, tensors } = this.#context;
    const input = copied('rows', 'x', x);
    if (!Number.isInteger(start) || start < 0 || count < 1 || start + count > input.rows) {
      throw new InputError('argument', `rows: [${start}, ${start + count}) of x with ${input.rows} rows`);
    }
    const out = tensors.make([count, input.cols]);
    const rowBytes = 4 * input.stride;
    runner.copy(input.buffer, start * rowBytes, copied('rows', 'out', out).buffer, 0, count * rowBytes);
    return out;
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    const { runner, tensors } = this.#context;
    const input = matrix('take', 'x', x);
    if (indices.length === 0) throw new InputError('argument', 'take: no indices');
    const wrong = indices.find((index) => index < -1 || index >= input.rows);
    if (wrong !== undefined)
      throw new InputError(
        'argument',
        `take: index ${wrong} of x with ${input.rows} rows; rows count from 0, and -1 gives zeros`,
      );
    const out = tensors.make([indices.length, input.cols]);
    const target = matrix('take', 'out', out);
    for (let first = 0; first < indices.length; first += TAKE_INDICES) {
      runner.run(take, { x: input, indices: indices.subarray(first, first + TAKE_INDICES), first, out: target });
    }
    return out;
  }

  stack(xs: readonly Tensor[]): Tensor {
    const { runner, tensors } = this.#context;
    const inputs = xs.map((x, i) => copied('stack', `xs[${i}]`, x));
    const out = tensors.make([inputs.reduce((sum, { rows }) => sum + rows, 0), sameColumns('stack', 'xs', inputs)]);
    const { buffer } = copied('stack', 'out', out);
    let at = 0;
    for (const { buffer: from, rows, stride } of inputs) {
      runner.copy(from, 0, buffer, at, 4 * rows * stride);
      at += 4 * rows * stride;
    }
    return out;
  }

  add(a: Tensor, b: Tensor, activation: Activation | undefined): Tensor {
    const { runner, tensors } = this.#context;
    const [left, right] = [matrix('add', 'a', a), matrix('add', 'b', b)];
    if (right.cols !== left.cols || (right.rows !== left.rows && right.rows !== 1)) {
      throw new InputError(
        'argument',
        `add: b [${b.shape.join()}] should be [${left.rows},${left.cols}] or [1,${left.cols}]`,
      );
    }
    const out = tensors.make(a.shape);
    runner.run(add, { a: left, b: right, activation: activation ?? 'none', out: matrix('add', 'out', out) });
    return out;
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    const { runner, tensors, none } = this.#context;
    const input = matrix('modulate', 'x', x);
    const { shift, scale, epsilon } = spec;
    const modulation = { matrix: modulationOf('modulate', spec.modulation, input, shift, scale), shift, scale };
    if ((spec.weight === undefined) !== (spec.bias === undefined))
      throw new InputError('argument', 'modulate: weight and bias go together; give both or neither');
    const weight = spec.weight === undefined ? undefined : vectorOf('modulate', 'weight', spec.weight, input.cols);
    const bias = spec.bias === undefined ? undefined : vectorOf('modulate', 'bias', spec.bias, input.cols);
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

  gatedAdd(x: Tensor, y: Tensor, modulation: Tensor, column: number): Tensor {
    const { runner, tensors } = this.#context;
    const [left, right] = [matrix('gatedAdd', 'x', x), matrix('gatedAdd', 'y', y)];
    if (right.rows !== left.rows || right.cols !== left.cols) {
      throw new InputError('argument', `gatedAdd: y [${y.shape.join()}] should be [${left.rows},${left.cols}]`);
    }
    const gate = modulationOf('gatedAdd', modulation, left, column);
    const out = tensors.make(x.shape);
    runner.run(gatedAdd, { x: left, y: right, modulation: gate, column, out: matrix('gatedAdd', 'out', out) });
    return out;
  }
}

/** The modulation, if it has a row for each of x's, and x's width of columns from each of `firsts` on. */
function modulationOf(operation: string, modulation: Tensor, x: Matrix, ...firsts: readonly number[]): Matrix {
  const given = matrix(operation, 'modulation', modulation);
  for (const first of firsts) {
    if (given.rows === x.rows && Number.isInteger(first) && first >= 0 && first + x.cols <= given.cols) continue;
    throw new InputError(
      'argument',
      `${operation}: modulation [${given.rows},${given.cols}] has not ${x.rows} rows with columns [${first}, ${first + x.cols})`,
    );
  }
  return given;
}
