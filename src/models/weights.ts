/**
 * How a model says which tensors it reads: a function over `Take`, which is run twice. The first run is over the file's
 * table of tensors, where every name, shape and format is checked before anything is read; the second is over what was
 * read. What files store differently from the graph's form (fused rows, an extra axis, an offset of norms, another
 * order of rows) is undone here, while the bytes stream in.
 */
import type { Backend, NormSpec, Weight, WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { Linear } from '../layers/linear.ts';
import type { ModelMetadata, TensorInfo } from '../load/model-file.ts';
import type * as HostTensor from './host-tensor.ts';
import type * as StoredWriters from './stored-writers.ts';

/** A tensor's name, or its names in the two kinds of files. */
export type TensorName = string | { readonly [kind in ModelMetadata['kind']]: string };

/** How a weight differs from the tensor that the file stores. */
export interface Stored {
  /**
   * Other shapes that the file may have, of the same values in the same order: a convolution's weight with an axis of
   * 1.
   */
  readonly alsoAs?: readonly (readonly number[])[] | undefined;
  /**
   * Computes each value of the weight from that of the file, which must be F32: `+ 1` for norms of Gemma, `-exp` for a
   * logarithmic decay.
   */
  readonly map?: ((value: number) => number) | undefined;
  /** Row i of the weight is row `order[i]` of the file's. */
  readonly order?: ArrayLike<number> | undefined;
  /** Value i of a row of the weight is value `columns[i]` of the file's row; F32, F16 or BF16. */
  readonly columns?: ArrayLike<number> | undefined;
  /** Only single rows are read, by `Backend.embed`: a device may leave the table where it is cheap (`WeightSpec`). */
  readonly rowsOnly?: boolean | undefined;
  /** The file has columns where the weight has rows; F32, F16 or BF16. */
  readonly transposed?: boolean | undefined;
}

export interface Take {
  /** A tensor of this shape, on the device. Vectors are F32. */
  weight(name: TensorName, shape: readonly number[], stored?: Stored): Weight;
  /** The same, or undefined if the file does not have it. */
  optional(name: TensorName, shape: readonly number[], stored?: Stored): Weight | undefined;
  /**
   * A matrix (times * sum of `rows`, cols) of several matrices below each other, in turn `times` (default 1), as
   * separate weights.
   */
  split(name: TensorName, rows: readonly number[], cols: number, times?: number): readonly Weight[];
  /** A tensor of this shape (F32, F16 or BF16), or of one of `alsoAs`, on the host, row-major; empty in the first run. */
  table(name: TensorName, shape: readonly number[], alsoAs?: Stored['alsoAs']): Float32Array;
  has(name: TensorName): boolean;
  /**
   * The number of rows of a tensor, for the few widths that the metadata does not give; 0 if the file does not have it.
   */
  rows(name: TensorName): number;
}

/** The names with `.suffix` behind them. */
export function suffixed(name: TensorName, suffix: string): TensorName {
  if (typeof name === 'string') return `${name}.${suffix}`;
  return { gguf: `${name.gguf}.${suffix}`, huggingface: `${name.huggingface}.${suffix}` };
}

/** `name.weight` (rows, cols) and `name.bias` (rows). */
export function takeLinear(take: Take, name: TensorName, rows: number, cols: number): Linear {
  return {
    weight: take.weight(suffixed(name, 'weight'), [rows, cols]),
    bias: take.weight(suffixed(name, 'bias'), [rows]),
  };
}

/** `name.weight` and `name.bias`, both (width). */
export function takeNorm(
  take: Take,
  name: TensorName,
  width: number,
  epsilon: number,
): NormSpec & { readonly bias: Weight } {
  return {
    kind: 'layer',
    weight: take.weight(suffixed(name, 'weight'), [width]),
    bias: take.weight(suffixed(name, 'bias'), [width]),
    epsilon,
  };
}

type Tensors = ReadonlyMap<string, TensorInfo>;

/** What is done with one tensor of the file, and the result once it was read. */
type Planned =
  | { readonly kind: 'weight'; readonly shape: readonly number[]; readonly stored: Stored; read?: Weight }
  | {
      readonly kind: 'split';
      readonly rows: readonly number[];
      readonly cols: number;
      readonly times: number;
      read?: readonly Weight[];
    }
  | { readonly kind: 'table'; read?: Float32Array };

export interface PlanOptions {
  /** Which of a `TensorName`'s names are used; default: GGUF's. */
  readonly file?: ModelMetadata['kind'];
  /** Follows "the file has no tensor X, " in messages: why it was expected, and what to do. */
  readonly missing: string;
}

/**
 * Both runs over one file: `take` is the first; `writer` is called for every tensor while the file is read; `read` is
 * the second.
 */
export class TensorPlan {
  /**
   * The first run. Throws `ModelError` for the first tensor that is missing, misshapen or of a wrong format, and
   * records the others.
   */
  readonly take: Take;
  readonly #tensors: Tensors;
  readonly #options: PlanOptions;
  readonly #planned = new Map<string, Planned>();
  #writers: typeof StoredWriters | undefined;
  #tables: typeof HostTensor | undefined;

  constructor(tensors: Tensors, options: PlanOptions) {
    this.#tensors = tensors;
    this.#options = options;
    const weight = (name: TensorName, shape: readonly number[], stored: Stored = {}): Weight =>
      this.#weight(this.#find(this.#name(name)), shape, stored);
    this.take = {
      weight,
      optional: (name, shape, stored) => (this.take.has(name) ? weight(name, shape, stored) : undefined),
      split: (name, rows, cols, times = 1) => this.#split(this.#find(this.#name(name)), rows, cols, times),
      table: (name, shape, alsoAs) => this.#table(this.#find(this.#name(name)), shape, alsoAs),
      has: (name) => this.#tensors.has(this.#name(name)),
      rows: (name) => this.#tensors.get(this.#name(name))?.shape[0] ?? 0,
    };
  }

  /** Whether the first run took the tensor of this name. */
  has(name: string): boolean {
    return this.#planned.has(name);
  }

  /**
   * Throws `ModelError` for the first tensor that belongs to this model according to `own` and that the first run did
   * not take.
   */
  rejectUnknown(own: (name: string) => boolean, models: string): void {
    for (const name of this.#tensors.keys()) {
      if (this.has(name) || !own(name)) continue;
      throw new ModelError(
        'tensor-type',
        `the file has a tensor ${name}, which ${models} do not have; this variant is not supported`,
        { tensor: name },
      );
    }
  }

  /** Called between the first run and the first `writer`: downloads code that only some models need for reading. */
  async prepare(): Promise<void> {
    const all = [...this.#planned.values()];
    const special = all.some((planned) => planned.kind === 'split' || isChanged(planned));
    if (special) this.#writers ??= await import('./stored-writers.ts');
    if (all.some(({ kind }) => kind === 'table')) this.#tables ??= await import('./host-tensor.ts');
  }

  /** Returns the writer of the tensor; undefined for one that was not taken. */
  writer(info: TensorInfo, backend: Backend): WeightWriter | undefined {
    const planned = this.#planned.get(info.name);
    if (planned === undefined) return undefined;
    switch (planned.kind) {
      case 'table':
        return this.#host().hostWriter(info, (values) => {
          planned.read = values;
        });
      case 'split':
        return this.#special().splitWriter(info, planned, backend, (weights) => {
          planned.read = weights;
        });
      case 'weight': {
        const { shape, stored } = planned;
        const { rowsOnly } = stored;
        const plain = backend.weight({ name: info.name, shape, format: info.format, ...(rowsOnly && { rowsOnly }) });
        const writer = isChanged(planned) ? this.#special().changingWriter(info, shape, stored, plain) : plain;
        return {
          write: (chunk) => writer.write(chunk),
          finish: async () => (planned.read = await writer.finish()),
          abort: () => writer.abort(),
        };
      }
      default:
        return planned satisfies never;
    }
  }

  /** The second run, once everything is read. */
  read(): Take {
    const { has, rows } = this.take;
    const of = <T>(name: TensorName, choose: (planned: Planned | undefined) => T | undefined): T => {
      const found = choose(this.#planned.get(this.#name(name)));
      if (found !== undefined) return found;
      throw new ModelError('tensor-missing', `the file's reader did not deliver ${this.#name(name)}`, {
        tensor: this.#name(name),
      });
    };
    const weight = (name: TensorName): Weight => of(name, (it) => (it?.kind === 'weight' ? it.read : undefined));
    return {
      weight,
      optional: (name) => (has(name) ? weight(name) : undefined),
      split: (name) => of(name, (it) => (it?.kind === 'split' ? it.read : undefined)),
      table: (name) => of(name, (it) => (it?.kind === 'table' ? it.read : undefined)),
      has,
      rows,
    };
  }

  #special(): typeof StoredWriters {
    if (this.#writers === undefined) throw new Error('TensorPlan.prepare comes before writer');
    return this.#writers;
  }

  #host(): typeof HostTensor {
    if (this.#tables === undefined) throw new Error('TensorPlan.prepare comes before writer');
    return this.#tables;
  }

  #name(name: TensorName): string {
    return typeof name === 'string' ? name : name[this.#options.file ?? 'gguf'];
  }

  #weight(info: TensorInfo, wanted: readonly number[], stored: Stored): Weight {
    const { name, format } = info;
    const inFile = stored.transposed === true ? wanted.toReversed() : wanted;
    if (!(stored.alsoAs ?? []).some((shape) => sameShape(shape, info.shape))) checkShape(info, inFile);
    if (stored.transposed === true || stored.columns !== undefined) checkFloats(info);
    if (wanted.length === 1 || stored.map !== undefined) checkF32(info);
    this.#remember(name, { kind: 'weight', shape: wanted, stored });
    return placeholder(name, wanted, format);
  }

  #split(info: TensorInfo, rows: readonly number[], cols: number, times: number): readonly Weight[] {
    checkShape(info, [times * rows.reduce((sum, n) => sum + n, 0), cols]);
    this.#remember(info.name, { kind: 'split', rows, cols, times });
    return rows.map((count) => placeholder(info.name, [times * count, cols], info.format));
  }

  #table(info: TensorInfo, wanted: readonly number[], alsoAs: Stored['alsoAs'] = []): Float32Array {
    if (!alsoAs.some((shape) => sameShape(shape, info.shape))) checkShape(info, wanted);
    checkFloats(info);
    this.#remember(info.name, { kind: 'table' });
    return new Float32Array(0);
  }

  /** A tensor may serve twice (a head that is the embedding table), but only in one way. */
  #remember(name: string, planned: Planned): void {
    const before = this.#planned.get(name);
    if (before !== undefined && before.kind !== planned.kind)
      throw new Error(`${name} is taken as ${before.kind} and as ${planned.kind}`);
    if (before === undefined) this.#planned.set(name, planned);
  }

  #find(name: string): TensorInfo {
    const info = this.#tensors.get(name);
    if (info !== undefined) return info;
    throw new ModelError('tensor-missing', `the file has no tensor ${name}, ${this.#options.missing}`, {
      tensor: name,
    });
  }
}

function isChanged(planned: Planned): boolean {
  if (planned.kind !== 'weight') return false;
  const { map, order, columns, transposed } = planned.stored;
  return map !== undefined || order !== undefined || columns !== undefined || transposed === true;
}

function placeholder(name: string, shape: readonly number[], format: Weight['format']): Weight {
  return { name, shape, format, bytes: 0, free: () => undefined };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function checkShape({ name, shape }: TensorInfo, wanted: readonly number[]): void {
  if (sameShape(shape, wanted)) return;
  throw new ModelError(
    'tensor-shape',
    `${name} is [${shape.join(', ')}]; the configuration requires [${wanted.join(', ')}]`,
    { tensor: name, found: shape, wanted },
  );
}

/** What the host reads value by value. */
function checkFloats(info: TensorInfo): void {
  if (info.format !== 'F16' && info.format !== 'BF16') checkF32(info);
}

function checkF32({ name, format }: TensorInfo): void {
  if (format === 'F32') return;
  throw new ModelError(
    'tensor-type',
    `${name} is in ${format}; norms, biases and tables should be F32, F16 or BF16 in the file: convert the model again`,
    { tensor: name, format },
  );
}
