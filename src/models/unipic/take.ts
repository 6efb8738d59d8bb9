/**
 * How a part of the model says which tensors it has: a function over `Take`, run twice; once over the file's table, where every name and
 * shape is checked before anything is read, once over what was read.
 */
import type { NormSpec, Weight, WeightWriter } from '../../backend/backend.ts';
import { ModelError } from '../../errors.ts';
import type { Linear } from '../../layers/linear.ts';
import type { TensorInfo } from '../../load/model-file.ts';
import { hostWriter } from '../host-tensor.ts';

export interface Take {
  /** A tensor of exactly this shape, on the device. */
  weight(name: string, shape: readonly number[]): Weight;
  /** An F32 tensor of exactly this shape, on the host, row-major. */
  table(name: string, shape: readonly number[]): Float32Array;
  /** Rows of a matrix, for the few widths that the metadata does not give. */
  rows(name: string): number;
}

/** `name.weight` (rows, cols) and `name.bias` (rows). */
export function takeLinear(take: Take, name: string, rows: number, cols: number): Linear {
  return { weight: take.weight(`${name}.weight`, [rows, cols]), bias: take.weight(`${name}.bias`, [rows]) };
}

/** `name.weight` and `name.bias`, both (width). */
export function takeNorm(
  take: Take,
  name: string,
  width: number,
  epsilon: number,
): NormSpec & { readonly bias: Weight } {
  return {
    kind: 'layer',
    weight: take.weight(`${name}.weight`, [width]),
    bias: take.weight(`${name}.bias`, [width]),
    epsilon,
  };
}

type Tensors = ReadonlyMap<string, TensorInfo>;

/** The first run: throws `ModelError` for the first tensor that is missing, misshapen or of a wrong format, and remembers the rest. */
export class TensorPlan implements Take {
  readonly weights = new Set<string>();
  readonly #tensors: Tensors;
  readonly #tables = new Map<string, Float32Array | undefined>();

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
  }

  weight(name: string, shape: readonly number[]): Weight {
    const { format } = this.#find(name, shape);
    if (shape.length === 1 && format !== 'F32') throw notF32(name, format);
    this.weights.add(name);
    return { name, shape, format, bytes: 0, free: () => undefined };
  }

  table(name: string, shape: readonly number[]): Float32Array {
    const { format } = this.#find(name, shape);
    if (format !== 'F32') throw notF32(name, format);
    this.#tables.set(name, undefined);
    return new Float32Array(0);
  }

  rows(name: string): number {
    return this.#tensors.get(name)?.shape[0] ?? 0;
  }

  has(name: string): boolean {
    return this.weights.has(name) || this.#tables.has(name);
  }

  /** A writer for a table; undefined for what is none. */
  tableWriter(info: TensorInfo): WeightWriter | undefined {
    return this.#tables.has(info.name) ? hostWriter(info, (values) => this.#tables.set(info.name, values)) : undefined;
  }

  /** The second run. */
  read(weights: ReadonlyMap<string, Weight>): Take {
    const undelivered = (name: string): ModelError =>
      new ModelError('tensor-missing', `the file's reader did not deliver ${name}`, { tensor: name });
    return {
      weight: (name) => {
        const found = weights.get(name);
        if (found === undefined) throw undelivered(name);
        return found;
      },
      table: (name) => {
        const found = this.#tables.get(name);
        if (found === undefined) throw undelivered(name);
        return found;
      },
      rows: (name) => this.rows(name),
    };
  }

  #find(name: string, wanted: readonly number[]): TensorInfo {
    const info = this.#tensors.get(name);
    if (info === undefined)
      throw new ModelError(
        'tensor-missing',
        `the file has no tensor ${name}, though it has others of that part; it may be incomplete: convert the model anew`,
        { tensor: name },
      );
    const { shape } = info;
    if (shape.length !== wanted.length || shape.some((n, i) => n !== wanted[i])) {
      throw new ModelError(
        'tensor-shape',
        `${name} is [${shape.join(', ')}]; the configuration asks for [${wanted.join(', ')}]`,
        { tensor: name, found: shape, wanted },
      );
    }
    return info;
  }
}

function notF32(name: string, format: string): ModelError {
  return new ModelError(
    'tensor-type',
    `${name} is in ${format}; norms, biases and tables should be F32: convert the model anew`,
    { tensor: name, format },
  );
}
