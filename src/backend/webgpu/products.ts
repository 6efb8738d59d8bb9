/**
 * Products and norms. Few rows of x (decode) run the kernels that fuse the norm and share x among columns; many (prefill) run the tiled one
 * on x normalised beforehand.
 */
import { gate as gateKernel } from '../../../gpu/kernels/gate.ts';
import { gatedMlp } from '../../../gpu/kernels/gated-mlp.ts';
import { linear } from '../../../gpu/kernels/linear.ts';
import { matmul } from '../../../gpu/kernels/matmul.ts';
import { norm as normKernel } from '../../../gpu/kernels/norm.ts';
import type { Epilogue, Matrix, RmsOperand, WeightPart } from '../../../gpu/kernels/operands.ts';
import { WEIGHT_SLOTS } from '../../../gpu/lib/weights.ts';
import { InputError } from '../../errors.ts';
import type { Activation, LinearOptions, NormSpec, Tensor, Weight } from '../backend.ts';
import type { Biases } from './biases.ts';
import { productRows, residualOf, rms } from './checks.ts';
import type { Context } from './context.ts';
import { matrix } from './tensors.ts';
import { vectorOf, weightOf } from './weights.ts';

/** Up to this many rows of x, the decode kernels are the faster ones. */
const FEW_ROWS = 8;

export class Products {
  readonly #context: Context;
  readonly #biases: Biases;

  constructor(context: Context, biases: Biases) {
    this.#context = context;
    this.#biases = biases;
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions): Tensor {
    const input = matrix('linear', 'x', x);
    const parts: WeightPart[] = [];
    let columns = 0;
    for (const weight of weights) {
      const rows = productRows('linear', weight, input.cols);
      for (const part of weightOf('linear', weight).parts) parts.push({ ...part, first: columns + part.first });
      columns += rows;
    }
    if (columns === 0) throw new InputError('argument', 'linear: no weights');
    const residual = residualOf('linear', options.residual, input.rows, columns);
    const epilogue: Epilogue = {
      bias: this.#biases.of(weights, options.bias),
      activation: options.activation ?? 'none',
      scale: options.scale ?? 1,
      residual,
    };
    const out = this.#context.tensors.make([input.rows, columns]);
    this.product(input, parts, options.norm, epilogue, matrix('linear', 'out', out));
    return out;
  }

  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    const { runner, tensors, none } = this.#context;
    const input = matrix('gatedMlp', 'x', x);
    const rows = productRows('gatedMlp', gate, input.cols);
    if (productRows('gatedMlp', up, input.cols) !== rows) {
      throw new InputError(
        'argument',
        `gatedMlp: ${gate.name} [${gate.shape.join()}] and ${up.name} [${up.shape.join()}] differ`,
      );
    }
    const { activation } = options;
    const gateParts = weightOf('gatedMlp', gate).parts;
    const upParts = weightOf('gatedMlp', up).parts;
    const [onlyGate, onlyUp] = [gateParts[0], upParts[0]];
    const out = tensors.make([input.rows, rows]);
    const target = matrix('gatedMlp', 'out', out);
    if (input.rows <= FEW_ROWS && onlyGate?.rows === rows && onlyUp?.rows === rows) {
      this.#normalised('gatedMlp', input, options.norm, true, (normal, fused) => {
        runner.run(gatedMlp, { x: normal, gate: onlyGate, up: onlyUp, norm: fused, activation, out: target, none });
      });
      return out;
    }
    const both = tensors.make([input.rows, 2 * rows]);
    const sides = matrix('gatedMlp', 'both', both);
    const parts = [...gateParts, ...upParts.map((part) => ({ ...part, first: rows + part.first }))];
    this.product(input, parts, options.norm, { activation: 'none', scale: 1 }, sides);
    runner.run(gateKernel, { both: sides, activation, out: target });
    tensors.free(both);
    return out;
  }

  norm(x: Tensor, spec: NormSpec, residual?: Tensor): Tensor {
    const input = matrix('norm', 'x', x);
    const added = residualOf('norm', residual, input.rows, input.cols);
    const out = this.#context.tensors.make(x.shape);
    this.#norm('norm', input, spec, matrix('norm', 'out', out), added);
    return out;
  }

  /** act(norm(x) W^T + bias) * scale + residual, by as many dispatches as the parts need. */
  product(x: Matrix, parts: readonly WeightPart[], norm: NormSpec | undefined, epilogue: Epilogue, out: Matrix): void {
    const { runner, none } = this.#context;
    const few = x.rows <= FEW_ROWS;
    this.#normalised('linear', x, norm, few, (input, fused) => {
      for (let i = 0; i < parts.length; i += WEIGHT_SLOTS) {
        const inputs = { x: input, weights: parts.slice(i, i + WEIGHT_SLOTS), norm: fused, epilogue, out, none };
        if (few) runner.run(linear, inputs);
        else runner.run(matmul, inputs);
      }
    });
  }

  /** Runs `body` on x and an RMS norm that the kernel fuses, or on x normalised beforehand. */
  #normalised(
    operation: string,
    x: Matrix,
    norm: NormSpec | undefined,
    fuses: boolean,
    body: (x: Matrix, rms: RmsOperand | undefined) => void,
  ): void {
    if (norm === undefined) return body(x, undefined);
    if (fuses && norm.kind === 'rms') return body(x, rms(operation, norm, x.cols));
    const { tensors } = this.#context;
    const normal = tensors.make([x.rows, x.cols]);
    const target = matrix(operation, 'normalised x', normal);
    this.#norm(operation, x, norm, target);
    body(target, undefined);
    tensors.free(normal);
  }

  #norm(operation: string, x: Matrix, spec: NormSpec, out: Matrix, residual?: Matrix): void {
    const { kind, epsilon } = spec;
    const weight = vectorOf(operation, 'norm', spec.weight, x.cols);
    const bias = spec.bias === undefined ? undefined : vectorOf(operation, 'norm bias', spec.bias, x.cols);
    this.#context.runner.run(normKernel, { x, kind, weight, bias, residual, epsilon, out, none: this.#context.none });
  }
}
