/** What every operation checks before anything runs; each throws `InputError` naming operation and tensor. */
import { InputError } from '../../errors.ts';
import type { Activation, NormSpec, Tensor, Weight } from '../backend.ts';
import { WasmTensor } from './tensors.ts';
import { WasmWeight } from './weights.ts';

/** assembly/kernels/math.ts; 0 is none. */
export const ACTIVATIONS = { silu: 1, gelu: 2, geluTanh: 3 } as const satisfies Record<Activation, number>;

export function tensorOf(operation: string, name: string, tensor: Tensor): WasmTensor {
  if (!(tensor instanceof WasmTensor))
    throw new InputError('argument', `${operation}: ${name} is a tensor of another backend`);
  if (tensor.pointer === 0) throw new InputError('destroyed', `${operation}: ${name} was freed`);
  return tensor;
}

/** An f32 tensor of two dimensions. */
export function matrixOf(operation: string, name: string, tensor: Tensor): WasmTensor {
  if (tensor.shape.length !== 2 || tensor.type !== 'f32') {
    throw new InputError(
      'argument',
      `${operation}: ${name} [${tensor.shape.join(', ')}] of ${tensor.type} should be an f32 matrix`,
    );
  }
  return tensorOf(operation, name, tensor);
}

/** An i32 tensor that has ids [start, end). */
export function ringOf(operation: string, ring: Tensor, start: number, end: number): WasmTensor {
  const length = ring.shape[0] ?? 0;
  if (ring.type !== 'i32') throw new InputError('argument', `${operation}: ring holds ${ring.type}, should hold i32`);
  if (!(Number.isInteger(start) && start >= 0 && end >= start && end <= length)) {
    throw new InputError('argument', `${operation}: [${start}, ${end}) of a ring of ${length} ids`);
  }
  return tensorOf(operation, 'ring', ring);
}

function weightOf(operation: string, weight: Weight): WasmWeight {
  if (!(weight instanceof WasmWeight))
    throw new InputError('argument', `${operation}: weight ${weight.name} is of another backend`);
  if (weight.pointer === 0) throw new InputError('destroyed', `${operation}: weight ${weight.name} was freed`);
  return weight;
}

/** A weight [rows, cols]. */
export function productWeight(operation: string, weight: Weight, cols: number): WasmWeight {
  if (weight.shape.length !== 2 || weight.shape[1] !== cols) {
    throw new InputError(
      'argument',
      `${operation}: weight ${weight.name} [${weight.shape.join(', ')}] does not take x of ${cols} columns`,
    );
  }
  return weightOf(operation, weight);
}

/** Address of a vector [n]. */
export function vectorOf(operation: string, role: string, weight: Weight, n: number): number {
  if (weight.shape.length !== 1 || weight.shape[0] !== n) {
    throw new InputError(
      'argument',
      `${operation}: ${role} ${weight.name} [${weight.shape.join(', ')}] should be [${n}]`,
    );
  }
  return weightOf(operation, weight).pointer;
}

const NORM_KINDS = { rms: 1, layer: 2 } as const;

export interface NormWords {
  readonly kind: number;
  readonly weight: number;
  readonly bias: number;
  readonly epsilon: number;
}
export const NO_NORM: NormWords = { kind: 0, weight: 0, bias: 0, epsilon: 0 };

export function normOf(operation: string, spec: NormSpec | undefined, cols: number): NormWords {
  if (spec === undefined) return NO_NORM;
  return {
    kind: NORM_KINDS[spec.kind],
    weight: vectorOf(operation, 'norm', spec.weight, cols),
    bias: spec.bias === undefined ? 0 : vectorOf(operation, 'norm bias', spec.bias, cols),
    epsilon: spec.epsilon,
  };
}
