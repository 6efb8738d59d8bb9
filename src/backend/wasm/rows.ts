/** Operations on rows: moves, sums, and the norm and the residual that other columns modulate (assembly/kernels/rowwise.ts). */
import type { Activation, ModulateSpec, Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Engine } from './engine.ts';
import { writeRowwise, type Rowwise } from './layouts.ts';
import { activationOf, addressOf, tensorOf, vectorOf } from './residence.ts';
import type { Tensors, WasmTensor } from './tensors.ts';

export class Rows {
  readonly #engine: Engine;
  readonly #tensors: Tensors;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  rows(x: Tensor, start: number, count: number): Tensor {
    checks.rows(x, start, count);
    const input = tensorOf('rows', 'x', x);
    const cols = input.shape[1] ?? 0;
    const out = this.#tensors.make([count, cols]);
    const { wasm } = this.#engine;
    wasm.f32(out.pointer, out.length).set(wasm.f32(input.pointer + start * cols * 4, out.length));
    return out;
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    const engine = this.#engine;
    checks.take(x, indices);
    const input = tensorOf('take', 'x', x);
    const list = engine.room('runs', indices.length * 4);
    const out = this.#tensors.make([indices.length, input.shape[1] ?? 0]);
    engine.wasm.i32(list, indices.length).set(indices);
    this.#write(out, input, { other: list });
    engine.run('take', engine.wasm.exports.take);
    return out;
  }

  stack(xs: readonly Tensor[]): Tensor {
    const cols = checks.alike('stack', 'xs', xs);
    const inputs = xs.map((x, i) => tensorOf('stack', `xs[${i}]`, x));
    const out = this.#tensors.make([inputs.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), cols]);
    const all = this.#engine.wasm.floats();
    let at = out.pointer >>> 2;
    for (const { pointer, length } of inputs) {
      all.copyWithin(at, pointer >>> 2, (pointer >>> 2) + length);
      at += length;
    }
    return out;
  }

  fold(x: Tensor, count: number): Tensor {
    checks.fold(x, count);
    const { pointer, length, shape } = tensorOf('fold', 'x', x);
    const [rows = 0, cols = 0] = shape;
    const out = this.#tensors.make([rows / count, count * cols]);
    this.#engine.wasm.floats().copyWithin(out.pointer >>> 2, pointer >>> 2, (pointer >>> 2) + length);
    return out;
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    const engine = this.#engine;
    checks.add(a, b);
    const input = tensorOf('add', 'a', a);
    const other = tensorOf('add', 'b', b);
    const [rows, cols = 0] = other.shape;
    const out = this.#tensors.make([...input.shape]);
    this.#write(out, input, {
      other: other.pointer,
      otherStride: rows === 1 ? 0 : cols,
      activation: activationOf(activation),
    });
    engine.run('add', engine.wasm.exports.add);
    return out;
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    const engine = this.#engine;
    checks.modulate(x, spec);
    const input = tensorOf('modulate', 'x', x);
    const modulation = tensorOf('modulate', 'modulation', spec.modulation);
    const weight = vectorOf('modulate', spec.weight);
    const bias = vectorOf('modulate', spec.bias);
    const out = this.#tensors.make([...input.shape]);
    this.#write(out, input, {
      other: modulation.pointer,
      otherStride: modulation.shape[1] ?? 0,
      first: spec.shift,
      second: spec.scale,
      epsilon: spec.epsilon,
      weight,
      bias,
    });
    engine.run('modulate', engine.wasm.exports.modulate);
    return out;
  }

  gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): Tensor {
    const engine = this.#engine;
    checks.gatedAdd(x, y, modulation, column);
    const input = addressOf('gatedAdd', 'x', x);
    const added = tensorOf('gatedAdd', 'y', y);
    const gate = tensorOf('gatedAdd', 'modulation', modulation);
    const out = this.#tensors.make([...added.shape]);
    this.#write(out, added, {
      x: input,
      other: gate.pointer,
      otherStride: gate.shape[1] ?? 0,
      first: column,
      weight: added.pointer,
    });
    engine.run('gatedAdd', engine.wasm.exports.gatedAdd);
    return out;
  }

  #write(out: WasmTensor, x: WasmTensor, fields: Partial<Rowwise>): void {
    writeRowwise(this.#engine.block(), {
      out: out.pointer,
      x: fields.x ?? x.pointer,
      cols: x.shape[1] ?? 0,
      count: out.shape[0] ?? 0,
      other: fields.other ?? 0,
      otherStride: fields.otherStride ?? 0,
      first: fields.first ?? 0,
      second: fields.second ?? 0,
      epsilon: fields.epsilon ?? 0,
      weight: fields.weight ?? 0,
      bias: fields.bias ?? 0,
      activation: fields.activation ?? 0,
    });
  }
}
