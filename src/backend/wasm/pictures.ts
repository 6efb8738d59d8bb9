/** The operations of picture models on the CPU engine: their checks and argument blocks (drawn in assembly/kernels/{rowwise,group-norm,conv}.ts). */
import { InputError } from '../../errors.ts';
import type {
  Activation,
  Conv2dOptions,
  DenoiseSpec,
  GroupNormSpec,
  ModulateSpec,
  Tensor,
  Weight,
} from '../backend.ts';
import { ACTIVATIONS, matrixOf, productWeight, vectorOf } from './checks.ts';
import type { Engine } from './engine.ts';
import type { Tensors, WasmTensor } from './tensors.ts';
import type { WasmWeight } from './weights.ts';

/** Sides of a kernel. */
const MAX_KERNEL = 7;
/** Prepared pictures above this many bytes are given back after the operation: a VAE's are many times as large as a layer's activations. */
const KEPT_BYTES = 32 << 20;

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

interface NormAddresses {
  readonly moments: number;
  readonly groups: number;
  readonly weight: number;
  readonly bias: number;
  readonly activation: number;
}
const NO_GROUP_NORM: NormAddresses = { moments: 0, groups: 1, weight: 0, bias: 0, activation: 0 };

/** A convolution whose parts fit each other. */
export interface ConvPlan {
  readonly input: WasmTensor;
  readonly weight: WasmWeight;
  readonly outHeight: number;
  readonly outWidth: number;
  /** Every output pixel is one input pixel's product: `linear` does it. */
  readonly pointwise: boolean;
}

export class Pictures {
  readonly #engine: Engine;
  readonly #tensors: Tensors;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  take(x: Tensor, indices: Int32Array): Tensor {
    const engine = this.#engine;
    const input = matrixOf('take', 'x', x);
    const [total = 0, cols = 0] = input.shape;
    if (indices.length === 0) throw new InputError('argument', 'take: no indices; at least 1 is needed');
    for (const index of indices) {
      if (index < -1 || index >= total)
        throw new InputError('argument', `take: index ${index} of x with ${total} rows; -1 gives zeros`);
    }
    const list = engine.room('runs', indices.length * 4);
    const out = this.#tensors.make([indices.length, cols]);
    engine.wasm.i32(list, indices.length).set(indices);
    const words = this.#rowwise(out, input);
    words[5] = list;
    engine.run('take', engine.wasm.exports.take);
    return out;
  }

  stack(xs: readonly Tensor[]): Tensor {
    const inputs = alike('stack', 'xs', xs);
    const cols = inputs[0]?.shape[1] ?? 0;
    const out = this.#tensors.make([inputs.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), cols]);
    const all = this.#engine.wasm.floats();
    let at = out.pointer >>> 2;
    for (const { pointer, length } of inputs) {
      all.copyWithin(at, pointer >>> 2, (pointer >>> 2) + length);
      at += length;
    }
    return out;
  }

  add(a: Tensor, b: Tensor, activation?: Activation): Tensor {
    const engine = this.#engine;
    const input = matrixOf('add', 'a', a);
    const other = matrixOf('add', 'b', b);
    const [count = 0, cols = 0] = input.shape;
    const [rows = 0, width = 0] = other.shape;
    if (width !== cols || (rows !== count && rows !== 1))
      throw new InputError('argument', `add: b ${list(b.shape)} should be [${count}, ${cols}] or [1, ${cols}]`);
    const out = this.#tensors.make([count, cols]);
    const words = this.#rowwise(out, input);
    words[5] = other.pointer;
    words[6] = rows === 1 ? 0 : cols;
    words[12] = activation === undefined ? 0 : ACTIVATIONS[activation];
    engine.run('add', engine.wasm.exports.add);
    return out;
  }

  modulate(x: Tensor, spec: ModulateSpec): Tensor {
    const engine = this.#engine;
    const input = matrixOf('modulate', 'x', x);
    const cols = input.shape[1] ?? 0;
    const modulation = modulationOf('modulate', spec.modulation, spec.shift, input);
    modulationOf('modulate', spec.modulation, spec.scale, input);
    if ((spec.weight === undefined) !== (spec.bias === undefined))
      throw new InputError('argument', 'modulate: weight and bias come together, or neither');
    const weight = spec.weight === undefined ? 0 : vectorOf('modulate', 'weight', spec.weight, cols);
    const bias = spec.bias === undefined ? 0 : vectorOf('modulate', 'bias', spec.bias, cols);
    const out = this.#tensors.make([...input.shape]);
    const words = this.#rowwise(out, input);
    words[5] = modulation.pointer;
    words[6] = modulation.shape[1] ?? 0;
    words[7] = spec.shift;
    words[8] = spec.scale;
    engine.floats()[9] = spec.epsilon;
    words[10] = weight;
    words[11] = bias;
    engine.run('modulate', engine.wasm.exports.modulate);
    return out;
  }

  gatedAdd(x: Tensor, y: Tensor, modulation: Tensor, column: number): Tensor {
    const engine = this.#engine;
    const input = matrixOf('gatedAdd', 'x', x);
    const added = matrixOf('gatedAdd', 'y', y);
    if (added.shape[0] !== input.shape[0] || added.shape[1] !== input.shape[1]) {
      throw new InputError('argument', `gatedAdd: y ${list(y.shape)} should be ${list(x.shape)}`);
    }
    const gate = modulationOf('gatedAdd', modulation, column, input);
    const out = this.#tensors.make([...input.shape]);
    const words = this.#rowwise(out, input);
    words[5] = gate.pointer;
    words[6] = gate.shape[1] ?? 0;
    words[7] = column;
    words[10] = added.pointer;
    engine.run('gatedAdd', engine.wasm.exports.gatedAdd);
    return out;
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const inputs = alike('moments', 'bands', bands);
    const channels = inputs[0]?.shape[1] ?? 0;
    if (!(Number.isInteger(groups) && groups >= 1 && channels % groups === 0)) {
      throw new InputError(
        'argument',
        `moments: ${groups} groups of ${channels} channels; the channels must be a multiple of the groups`,
      );
    }
    const bandList = engine.room('runs', inputs.length * 8);
    engine.scratch(exports.momentsScratchBytes(channels));
    const out = this.#tensors.make([groups, 2]);
    const entries = engine.wasm.u32(bandList, inputs.length * 2);
    inputs.forEach(({ pointer, shape }, i) => {
      entries[2 * i] = pointer;
      entries[2 * i + 1] = shape[0] ?? 0;
    });
    const words = engine.words();
    words[1] = out.pointer;
    words[2] = bandList;
    words[3] = inputs.length;
    words[4] = channels;
    words[5] = groups;
    engine.floats()[6] = epsilon;
    const partials = engine.room('partials', exports.momentsPartialBytes(engine.args));
    engine.words()[7] = partials;
    engine.run('moments', exports.moments);
    return out;
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    const engine = this.#engine;
    const input = matrixOf('groupNorm', 'x', x);
    const [count = 0, channels = 0] = input.shape;
    const norm = groupNormOf('groupNorm', spec, channels);
    const table = engine.room('table', channels * 12);
    const out = this.#tensors.make([count, channels]);
    const words = engine.words();
    words[1] = out.pointer;
    words[2] = input.pointer;
    words[3] = count;
    words[4] = channels;
    words[5] = norm.moments;
    words[6] = norm.groups;
    words[7] = norm.weight;
    words[8] = norm.bias;
    words[9] = norm.activation;
    words[10] = table;
    engine.run('groupNorm', engine.wasm.exports.groupNorm);
    return out;
  }

  /** Throws what is wrong with a convolution before anything is allocated for it. */
  plan(x: Tensor, weight: Weight, options: Conv2dOptions): ConvPlan {
    const input = matrixOf('conv2d', 'x', x);
    const [pixels = 0, channels = 0] = input.shape;
    const { height, width, kernel, stride = 1, padding, upsample = false, norm } = options;
    if (!(Number.isInteger(height) && height > 0 && height * width === pixels)) {
      throw new InputError('argument', `conv2d: x ${list(x.shape)} is no picture of ${height} by ${width} pixels`);
    }
    if (!(Number.isInteger(kernel) && kernel >= 1 && kernel <= MAX_KERNEL))
      throw new InputError('argument', `conv2d: a kernel of ${kernel}; 1 to ${MAX_KERNEL} are possible`);
    if (padding.some((n) => !(Number.isInteger(n) && n >= 0 && n < kernel))) {
      throw new InputError(
        'argument',
        `conv2d: padding ${padding.join(', ')}; 0 to ${kernel - 1} are possible for a kernel of ${kernel}`,
      );
    }
    const [top, right, bottom, left] = padding;
    const factor = upsample ? 2 : 1;
    const outHeight = Math.floor((height * factor + top + bottom - kernel) / stride) + 1;
    const outWidth = Math.floor((width * factor + left + right - kernel) / stride) + 1;
    if (outHeight < 1 || outWidth < 1)
      throw new InputError(
        'argument',
        `conv2d: a kernel of ${kernel} does not fit ${height} by ${width} pixels with padding ${padding.join(', ')}`,
      );
    const matrix = productWeight('conv2d', weight, kernel * kernel * channels);
    const pointwise = kernel === 1 && stride === 1 && !upsample && norm === undefined;
    return { input, weight: matrix, outHeight, outWidth, pointwise };
  }

  conv2d({ input, weight, outHeight, outWidth }: ConvPlan, options: Conv2dOptions): Tensor {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const channels = input.shape[1] ?? 0;
    const { rows } = weight;
    const count = outHeight * outWidth;
    const { activation, residual } = options;
    const norm = options.norm === undefined ? NO_GROUP_NORM : groupNormOf('conv2d', options.norm, channels);
    const bias = options.bias === undefined ? 0 : vectorOf('conv2d', 'bias', options.bias, rows);
    const added = residual === undefined ? undefined : matrixOf('conv2d', 'residual', residual);
    if (added !== undefined && (added.shape[0] !== count || added.shape[1] !== rows)) {
      throw new InputError('argument', `conv2d: residual ${list(added.shape)} should be [${count}, ${rows}]`);
    }
    const table = engine.room('table', channels * 12);
    const out = this.#tensors.make([count, rows]);
    const words = engine.words();
    words.set(
      [
        out.pointer,
        input.pointer,
        weight.pointer,
        weight.ggml,
        rows,
        channels,
        options.height,
        options.width,
        options.kernel,
        options.stride ?? 1,
        options.padding[0],
        options.padding[3],
        options.upsample === true ? 1 : 0,
        outHeight,
        outWidth,
        bias,
        activation === undefined ? 0 : ACTIVATIONS[activation],
        added?.pointer ?? 0,
        engine.threads,
        0,
        norm.moments,
        norm.groups,
        norm.weight,
        norm.bias,
        norm.activation,
        table,
      ],
      1,
    );
    const bytes = exports.convPreparedBytes(engine.args);
    const prepared = engine.room('picture', bytes);
    engine.words()[20] = prepared;
    engine.scratch(exports.convScratchBytes(engine.args));
    engine.run('conv2d', exports.conv2d);
    if (bytes > KEPT_BYTES) engine.giveBack('picture');
    return out;
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    const engine = this.#engine;
    const input = matrixOf('denoise', 'x', x);
    const [count = 0, cols = 0] = input.shape;
    const said = matrixOf('denoise', 'predicted', predicted);
    const guided = spec.guidance !== undefined;
    const rows = guided ? 2 * count : count;
    if (said.shape[0] !== rows || said.shape[1] !== 2 * cols) {
      throw new InputError(
        'argument',
        `denoise: predicted ${list(said.shape)} should be [${rows}, ${2 * cols}] ${guided ? 'with' : 'without'} guidance`,
      );
    }
    const random = matrixOf('denoise', 'noise', noise);
    if (random.shape[0] !== count || random.shape[1] !== cols)
      throw new InputError('argument', `denoise: noise ${list(random.shape)} should be [${count}, ${cols}]`);
    const out = this.#tensors.make([count, cols]);
    const words = this.#rowwise(out, input);
    words[5] = said.pointer;
    words[6] = random.pointer;
    words[7] = guided ? 1 : 0;
    words[8] = spec.prediction === 'v' ? 1 : 0;
    engine
      .floats()
      .set(
        [
          spec.guidance ?? 1,
          spec.alpha,
          spec.sigma,
          spec.x0FromX,
          spec.x0FromEps,
          spec.meanFromX0,
          spec.meanFromX,
          spec.lowLogVariance,
          spec.highLogVariance,
          spec.noiseScale,
        ],
        9,
      );
    engine.run('denoise', engine.wasm.exports.denoise);
    return out;
  }

  /** The words that all row by row operations begin with. */
  #rowwise(out: WasmTensor, x: WasmTensor): Uint32Array {
    const words = this.#engine.words();
    words[1] = out.pointer;
    words[2] = x.pointer;
    words[3] = x.shape[1] ?? 0;
    words[4] = out.shape[0] ?? 0;
    return words;
  }
}

/** Matrices of equal width, at least one. */
function alike(operation: string, name: string, tensors: readonly Tensor[]): readonly WasmTensor[] {
  if (tensors.length === 0) throw new InputError('argument', `${operation}: no ${name}; at least 1 is needed`);
  const inputs = tensors.map((tensor) => matrixOf(operation, name, tensor));
  const cols = inputs[0]?.shape[1];
  const other = inputs.find(({ shape }) => shape[1] !== cols);
  if (other !== undefined)
    throw new InputError('argument', `${operation}: ${name} of ${cols ?? 0} and of ${other.shape[1] ?? 0} columns`);
  return inputs;
}

/** A modulation with a row for every row of x and x's width of columns from `first` on. */
function modulationOf(operation: string, modulation: Tensor, first: number, x: WasmTensor): WasmTensor {
  const matrix = matrixOf(operation, 'modulation', modulation);
  const [count = 0, cols = 0] = x.shape;
  if (matrix.shape[0] !== count || !(Number.isInteger(first) && first >= 0 && first + cols <= (matrix.shape[1] ?? 0))) {
    throw new InputError(
      'argument',
      `${operation}: modulation ${list(modulation.shape)} has no ${count} rows of ${cols} columns from ${first} on`,
    );
  }
  return matrix;
}

function groupNormOf(operation: string, spec: GroupNormSpec, channels: number): NormAddresses {
  const moments = matrixOf(operation, 'moments', spec.moments);
  const [groups = 0, two = 0] = moments.shape;
  if (two !== 2 || channels % groups !== 0)
    throw new InputError('argument', `${operation}: moments ${list(moments.shape)} do not fit ${channels} channels`);
  return {
    moments: moments.pointer,
    groups,
    weight: vectorOf(operation, 'norm', spec.weight, channels),
    bias: vectorOf(operation, 'norm bias', spec.bias, channels),
    activation: spec.activation === undefined ? 0 : ACTIVATIONS[spec.activation],
  };
}
