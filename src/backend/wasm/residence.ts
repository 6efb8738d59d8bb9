/**
 * Returns the addresses of an operation's arguments in WASM memory; throws for arguments of another backend and for
 * freed ones. Specs are checked before.
 */
import type { Activation, NormSpec, Tensor, Weight } from '../backend.ts';
import { foreign, freed } from '../checks.ts';
import {
  ACTIVATION_GELU,
  ACTIVATION_GELU_TANH,
  ACTIVATION_NONE,
  ACTIVATION_SIGMOID,
  ACTIVATION_SILU,
  ACTIVATION_TANH,
  NORM_LAYER,
  NORM_NONE,
  NORM_RMS,
} from './layouts.ts';
import { WasmTensor } from './tensors.ts';
import { WasmWeight } from './weights.ts';

const ACTIVATIONS = {
  silu: ACTIVATION_SILU,
  gelu: ACTIVATION_GELU,
  geluTanh: ACTIVATION_GELU_TANH,
  sigmoid: ACTIVATION_SIGMOID,
  tanh: ACTIVATION_TANH,
} as const satisfies Record<Activation, number>;

export const activationOf = (activation: Activation | undefined): number =>
  activation === undefined ? ACTIVATION_NONE : ACTIVATIONS[activation];

export function tensorOf(operation: string, name: string, tensor: Tensor): WasmTensor {
  if (!(tensor instanceof WasmTensor)) throw foreign(operation, name);
  if (tensor.pointer === 0) throw freed(operation, name);
  return tensor;
}

/** Address of a tensor that may be absent: 0. */
export function addressOf(operation: string, name: string, tensor: Tensor | undefined): number {
  return tensor === undefined ? 0 : tensorOf(operation, name, tensor).pointer;
}

export function weightOf(operation: string, weight: Weight): WasmWeight {
  if (!(weight instanceof WasmWeight)) throw foreign(operation, `weight ${weight.name}`);
  if (weight.pointer === 0) throw freed(operation, `weight ${weight.name}`);
  return weight;
}

/** Address of a weight that may be absent: 0. */
export function vectorOf(operation: string, weight: Weight | undefined): number {
  return weight === undefined ? 0 : weightOf(operation, weight).pointer;
}

export interface NormFields {
  readonly normKind: number;
  readonly normWeight: number;
  readonly normBias: number;
  readonly epsilon: number;
}
export const NO_NORM: NormFields = { normKind: NORM_NONE, normWeight: 0, normBias: 0, epsilon: 0 };

export function normOf(operation: string, spec: NormSpec | undefined): NormFields {
  if (spec === undefined) return NO_NORM;
  return {
    normKind: spec.kind === 'rms' ? NORM_RMS : NORM_LAYER,
    normWeight: vectorOf(operation, spec.weight),
    normBias: vectorOf(operation, spec.bias),
    epsilon: spec.epsilon,
  };
}
