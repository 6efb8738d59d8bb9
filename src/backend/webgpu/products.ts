/**
 * Products and norms. Few rows of x (decode) run the kernels that fuse the norm and share x among columns; many (prefill) run the tiled one
 * on x normalised beforehand.
 */
import { embed } from '../../../gpu/kernels/embed.ts';
import { gate as gateKernel } from '../../../gpu/kernels/gate.ts';
import { gatedMlp } from '../../../gpu/kernels/gated-mlp.ts';
import { linear } from '../../../gpu/kernels/linear.ts';
import { matmul } from '../../../gpu/kernels/matmul.ts';
import { norm as normKernel, type NormInputs } from '../../../gpu/kernels/norm.ts';
import type { Epilogue, Matrix, RmsOperand, WeightPart } from '../../../gpu/kernels/operands.ts';
import { WEIGHT_SLOTS } from '../../../gpu/lib/weights.ts';
import type { Activation, LinearOptions, NormSpec, Tensor, Weight } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Biases } from './biases.ts';
import type { Context } from './context.ts';
import { matrix, optional, ring as ringOf } from './tensors.ts';
import { optionalVector, rmsOf, vectorOf, weightOf } from './weights.ts';

/** Up to this many rows of x, the decode kernels are faster. */
const FEW_ROWS = 8;

export class Products {
  readonly #context: Context;
  readonly #biases: Biases;

  constructor(context: Context, biases: Biases) {
    this.#context = context;
    this.#biases = biases;
  }

  embed(table: Weight, ring: Tensor, start: number, count: number, scale: number): Tensor {
    const { runner, tensors, none } = this.#context;
    const { cols } = checks.embed(table, ring, start, count);
    const ids = ringOf('embed', ring);
    const { parts } = weightOf('embed', table);
    const vocabulary = table.shape[0] ?? 0;
    const out = tensors.make([count, cols]);
    const target = matrix('embed', 'out', out);
    for (let i = 0; i < parts.length; i += WEIGHT_SLOTS) {
      const some = parts.slice(i, i + WEIGHT_SLOTS);
      runner.run(embed, { ring: ids, start, table: some, vocabulary, clear: i === 0, scale, out: target, none });
    }
    return out;
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions): Tensor {
    const { rows } = checks.linear(x, weights, options);
    const input = matrix('linear', 'x', x);
    const parts: WeightPart[] = [];
    let first = 0;
    for (const weight of weights) {
      for (const part of weightOf('linear', weight).parts) parts.push({ ...part, first: first + part.first });
      first += weight.shape[0] ?? 0;
    }
    const residual = optional('linear', 'residual', options.residual);
    const epilogue: Epilogue = {
      bias: this.#biases.of(weights, options.bias),
      activation: options.activation ?? 'none',
      scale: options.scale ?? 1,
      residual,
    };
    const out = this.#context.tensors.make([input.rows, rows]);
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
    const { rows } = checks.gatedMlp(x, gate, up, options);
    const input = matrix('gatedMlp', 'x', x);
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

  norm(x: Tensor, spec: NormSpec, residual: Tensor | undefined, factor: number): Tensor {
    checks.normRows(x, spec, residual);
    const out = this.#context.tensors.make(x.shape);
    const added = optional('norm', 'residual', residual);
    this.#norm('norm', matrix('norm', 'x', x), spec, matrix('norm', 'out', out), {
      residual: added,
      factor,
      part: spec.weight.shape[0] ?? 1,
    });
    return out;
  }

  /** act(norm(x) W^T + bias) * scale + residual, in as many dispatches as the parts need. */
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
    if (fuses && norm.kind === 'rms') return body(x, rmsOf(operation, norm));
    const { tensors } = this.#context;
    const normal = tensors.make([x.rows, x.cols]);
    const target = matrix(operation, 'normalised x', normal);
    this.#norm(operation, x, norm, target);
    body(target, undefined);
    tensors.free(normal);
  }

  #norm(
    operation: string,
    x: Matrix,
    spec: NormSpec,
    out: Matrix,
    more: Pick<NormInputs, 'residual' | 'factor' | 'part'> = {},
  ): void {
    const { kind, epsilon } = spec;
    const weight = vectorOf(operation, spec.weight);
    const bias = optionalVector(operation, spec.bias);
    this.#context.runner.run(normKernel, { x, kind, weight, bias, ...more, epsilon, out, none: this.#context.none });
  }
}
