/** Operations of layers that carry a state from token to token (assembly/kernels/recurrent.ts). */
import type { DeltaSpec, ShortConvOptions, StateOperations, Tensor, Weight } from '../backend.ts';
import * as checks from '../state-checks.ts';
import type { Engine } from './engine.ts';
import { writeDelta, writeShortConv } from './layouts.ts';
import { activationOf, addressOf, tensorOf, vectorOf } from './residence.ts';
import type { Tensors } from './tensors.ts';

export class Recurrent implements StateOperations {
  readonly #engine: Engine;
  readonly #tensors: Tensors;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  shortConv(
    x: Tensor,
    weight: Weight,
    taps: number,
    state: Tensor | undefined,
    options: ShortConvOptions = {},
  ): readonly [result: Tensor, state: Tensor] {
    const engine = this.#engine;
    engine.alive();
    const { count, channels } = checks.shortConv(x, weight, taps, state, options);
    const input = tensorOf('shortConv', 'x', x);
    const [kernel, before] = [vectorOf('shortConv', weight), addressOf('shortConv', 'state', state)];
    const out = this.#tensors.make([count, channels]);
    const after = this.#tensors.make([taps - 1, channels]);
    writeShortConv(engine.block(), {
      out: out.pointer,
      x: input.pointer,
      stride: input.shape[1] ?? 0,
      channels,
      count,
      taps,
      weight: kernel,
      state: before,
      after: after.pointer,
      gated: options.gated === true ? 1 : 0,
      activation: activationOf(options.activation),
    });
    engine.run('shortConv', engine.wasm.exports.shortConv);
    return [out, after];
  }

  deltaRule(
    qkv: Tensor,
    rest: Tensor,
    column: number,
    state: Tensor | undefined,
    spec: DeltaSpec,
  ): readonly [result: Tensor, state: Tensor] {
    const engine = this.#engine;
    engine.alive();
    const { exports } = engine.wasm;
    const { count } = checks.deltaRule(qkv, rest, column, state, spec);
    const { keyHeads, valueHeads, keyDim, valueDim } = spec;
    const [input, other] = [tensorOf('deltaRule', 'qkv', qkv), tensorOf('deltaRule', 'rest', rest)];
    const before = addressOf('deltaRule', 'state', state);
    const [decay, timeBias, norm] = [spec.decay, spec.timeBias, spec.norm.weight].map((weight) =>
      vectorOf('deltaRule', weight),
    );
    engine.scratch(exports.deltaScratchBytes(keyDim, valueDim));
    const gates = engine.room('gates', exports.deltaGateBytes(count, valueHeads));
    const out = this.#tensors.make([count, valueHeads * valueDim]);
    const after = this.#tensors.make([valueHeads * keyDim, valueDim]);
    writeDelta(engine.block(), {
      out: out.pointer,
      qkv: input.pointer,
      qkvStride: input.shape[1] ?? 0,
      rest: other.pointer + 4 * column,
      restStride: other.shape[1] ?? 0,
      count,
      keyHeads,
      valueHeads,
      keyDim,
      valueDim,
      tiled: spec.tiled ? 1 : 0,
      decay: decay ?? 0,
      timeBias: timeBias ?? 0,
      norm: norm ?? 0,
      epsilon: spec.norm.epsilon,
      state: before,
      after: after.pointer,
      gates,
    });
    engine.run('deltaRule', exports.deltaRule);
    return [out, after];
  }
}
