/** Operations of layers that carry a state from token to token. */
import { deltaGates, deltaNorm, deltaSteps, gateBytes, type DeltaInputs } from '../../../gpu/kernels/delta.ts';
import { shortConv } from '../../../gpu/kernels/short-conv.ts';
import type { DeltaSpec, ShortConvOptions, StateOperations, Tensor, Weight } from '../backend.ts';
import * as checks from '../state-checks.ts';
import type { Context } from './context.ts';
import { matrix, optional } from './tensors.ts';
import { vectorOf } from './weights.ts';

export class Recurrent implements StateOperations {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  shortConv(
    x: Tensor,
    weight: Weight,
    taps: number,
    state: Tensor | undefined,
    options: ShortConvOptions = {},
  ): readonly [result: Tensor, state: Tensor] {
    const { runner, tensors, none } = this.#context;
    const { count, channels } = checks.shortConv(x, weight, taps, state, options);
    const input = matrix('shortConv', 'x', x);
    const before = optional('shortConv', 'state', state);
    const kernel = vectorOf('shortConv', weight);
    const out = tensors.make([count, channels]);
    const after = tensors.make([taps - 1, channels]);
    runner.run(shortConv, {
      x: input,
      weight: kernel,
      state: before,
      gated: options.gated === true,
      activation: options.activation ?? 'none',
      out: matrix('shortConv', 'out', out),
      after: matrix('shortConv', 'after', after),
      none,
    });
    return [out, after];
  }

  deltaRule(
    qkv: Tensor,
    rest: Tensor,
    column: number,
    state: Tensor | undefined,
    spec: DeltaSpec,
  ): readonly [result: Tensor, state: Tensor] {
    const { runner, tensors, none } = this.#context;
    const { count } = checks.deltaRule(qkv, rest, column, state, spec);
    const { keyHeads, valueHeads, keyDim, valueDim, tiled } = spec;
    const given = {
      qkv: matrix('deltaRule', 'qkv', qkv),
      rest: matrix('deltaRule', 'rest', rest),
      column,
      keyHeads,
      valueHeads,
      keyDim,
      valueDim,
      tiled,
      decay: vectorOf('deltaRule', spec.decay),
      timeBias: vectorOf('deltaRule', spec.timeBias),
      norm: { weight: vectorOf('deltaRule', spec.norm.weight), epsilon: spec.norm.epsilon },
      state: optional('deltaRule', 'state', state),
    };
    const out = tensors.make([count, valueHeads * valueDim]);
    const after = tensors.make([valueHeads * keyDim, valueDim]);
    const gates = runner.buffers.take(gateBytes(count, valueHeads));
    const inputs: DeltaInputs = {
      ...given,
      gates,
      out: matrix('deltaRule', 'out', out),
      after: matrix('deltaRule', 'after', after),
      none,
    };
    runner.run(deltaGates, inputs);
    runner.run(deltaSteps, inputs);
    runner.run(deltaNorm, inputs);
    runner.buffers.give(gates);
    return [out, after];
  }
}
