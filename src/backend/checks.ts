/**
 * Checks the arguments of every operation once for all devices: shapes, formats, counts and limits, by the contract
 * only. A device calls the check of an operation first; it only checks itself whether tensors, weights and pools are
 * its own and not freed. All checks throw `InputError('argument')`, which names operation and argument, the value found
 * and what it must be. Some return values that they computed. Pages and ranges are in page-checks.ts, images in
 * picture-checks.ts.
 */
import { InputError, type ErrorFacts } from '../errors.ts';
import type { Activation, LinearOptions, ModulateSpec, NormSpec, Tensor, Weight } from './backend.ts';
import { WEIGHT_FORMATS, type WeightSpec } from './weight.ts';

/** The most weights of one `linear`: more than any model concatenates. */
export const MAX_WEIGHTS = 128;
/** The most values of one tensor: 4 GiB of f32. */
const MAX_VALUES = 2 ** 30;
/** The most ids of a vocabulary, far above any tokenizer's. */
const MAX_VOCABULARY = 2 ** 24;

export function wrong(operation: string, problem: string, facts?: ErrorFacts): InputError {
  return new InputError('argument', `${operation}: ${problem}`, facts);
}

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`;
export const isCount = (n: number): boolean => Number.isInteger(n) && n > 0;
/** Tells whether [start, end) is within [0, length). */
export const isSpan = (start: number, end: number, length: number): boolean =>
  Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= length;

// ---- residence, of which a device says what it found

/** Returns the error for an argument that another device made. */
export function foreign(operation: string, name: string): InputError {
  return wrong(operation, `${name} belongs to another backend; use one backend for all arguments`);
}
/** Returns the error for an argument that was freed, or for a closed writer. */
export function freed(operation: string, name: string): InputError {
  return new InputError('destroyed', `${operation}: ${name} was freed; make it again`);
}

// ---- tensors and weights

/** Checks the shape of a new tensor and returns the number of its values. */
export function shape(sizes: readonly number[]): number {
  let values = 1;
  for (const n of sizes) values *= isCount(n) ? n : NaN;
  if (values <= MAX_VALUES) return values;
  throw wrong('tensor', `the shape is ${list(sizes)}; sizes must be positive integers, ${MAX_VALUES} values at most`);
}

export function upload(data: Float32Array | Int32Array, sizes: readonly number[]): void {
  const values = shape(sizes);
  if (values !== data.length)
    throw wrong('upload', `${data.length} values for shape ${list(sizes)}, which holds ${values}`);
}

/** Requires an f32 matrix. */
export function matrix(operation: string, name: string, tensor: Tensor): readonly [rows: number, cols: number] {
  const [rows, cols] = tensor.shape;
  if (rows === undefined || cols === undefined || tensor.shape.length !== 2 || tensor.type !== 'f32')
    throw wrong(operation, `${name} is ${tensor.type} ${list(tensor.shape)}; it must be an f32 matrix`);
  return [rows, cols];
}

/** Requires an f32 matrix of this shape. */
export function shaped(operation: string, name: string, tensor: Tensor, rows: number, cols: number): void {
  const [r, c] = matrix(operation, name, tensor);
  if (r !== rows || c !== cols)
    throw wrong(operation, `${name} is ${list(tensor.shape)}; it must be [${rows}, ${cols}]`);
}

/** Requires at least one f32 matrix, all of one width, which is returned. */
export function alike(operation: string, name: string, tensors: readonly Tensor[]): number {
  let width = 0;
  for (const [i, tensor] of tensors.entries()) {
    const [, cols] = matrix(operation, `${name}[${i}]`, tensor);
    if (i === 0) width = cols;
    else if (cols !== width) throw wrong(operation, `${name}[${i}] has ${cols} columns; ${name}[0] has ${width}`);
  }
  if (width === 0) throw wrong(operation, `${name} is empty; at least one matrix is needed`);
  return width;
}

/** Requires an i32 vector with ids [start, end). */
export function ids(operation: string, ring: Tensor, start: number, end: number): void {
  const [length = 0] = ring.shape;
  if (ring.type !== 'i32' || ring.shape.length !== 1)
    throw wrong(operation, `ring is ${ring.type} ${list(ring.shape)}; it must be an i32 vector`);
  if (!isSpan(start, end, length)) throw wrong(operation, `ids [${start}, ${end}) of a ring of ${length}`);
}

/**
 * Checks the shape and format of a weight; returns the number of its rows and columns, which are 1 and n for a vector.
 */
export function weight({ name, shape: sizes, format }: WeightSpec): { readonly rows: number; readonly cols: number } {
  const { block } = WEIGHT_FORMATS[format];
  const cols = sizes[sizes.length - 1] ?? 0;
  let rows = 1;
  for (const n of sizes.slice(0, -1)) rows *= n;
  const what = `weight ${name}`;
  if (!isCount(cols) || cols % block !== 0 || !sizes.every(isCount))
    throw wrong(what, `shape ${list(sizes)} does not fit ${format}, whose blocks are ${block} values of a row`);
  if (sizes.length === 1 && block !== 1) throw wrong(what, `a vector in ${format}; vectors are F32, F16 or BF16`);
  return { rows, cols };
}

/** Requires an F32 vector [n]. */
export function vector(operation: string, role: string, { name, shape: sizes, format }: Weight, n: number): void {
  if (sizes.length !== 1 || sizes[0] !== n || format !== 'F32')
    throw wrong(operation, `${role} ${name} is ${format} ${list(sizes)}; it must be F32 [${n}]`);
}

/** Requires a weight [rows, cols], and returns its rows. */
export function productRows(operation: string, { name, shape: sizes }: Weight, cols: number): number {
  const [rows, has] = sizes;
  if (rows === undefined || has !== cols || sizes.length !== 2)
    throw wrong(operation, `weight ${name} is ${list(sizes)}; x has ${cols} columns, so it must be [rows, ${cols}]`);
  return rows;
}

function norm(operation: string, spec: NormSpec | undefined, cols: number): void {
  if (spec === undefined) return;
  vector(operation, 'norm', spec.weight, cols);
  if (spec.bias !== undefined) vector(operation, 'norm bias', spec.bias, cols);
}

/** Requires an RMS norm of `cols` values, as it is fused with other operations. */
export function rms(operation: string, name: string, spec: NormSpec | undefined, cols: number): void {
  norm(operation, spec, cols);
  if (spec !== undefined && (spec.kind !== 'rms' || spec.bias !== undefined))
    throw wrong(
      operation,
      `${name} is a norm of kind '${spec.kind}' ${spec.bias ? 'with' : 'without'} a bias; it must be 'rms' without one`,
    );
}

// ---- products

export interface Product {
  /** Rows of x. */
  readonly count: number;
  readonly cols: number;
  /** Columns of the result. */
  readonly rows: number;
}

export function embed(table: Weight, ring: Tensor, start: number, count: number): { readonly cols: number } {
  const [, cols = 0] = table.shape;
  productRows('embed', table, cols);
  if (!isCount(count)) throw wrong('embed', `${count} ids; at least 1 is needed`);
  ids('embed', ring, start, start + count);
  return { cols };
}

export function linear(x: Tensor, weights: readonly Weight[], options: LinearOptions): Product {
  const [count, cols] = matrix('linear', 'x', x);
  if (weights.length === 0 || weights.length > MAX_WEIGHTS)
    throw wrong('linear', `${weights.length} weights; 1 to ${MAX_WEIGHTS} are possible`);
  norm('linear', options.norm, cols);
  let rows = 0;
  for (const [i, one] of weights.entries()) {
    const own = productRows('linear', one, cols);
    const bias = options.bias?.[i];
    if (bias !== undefined) vector('linear', 'bias', bias, own);
    rows += own;
  }
  if (options.residual !== undefined) shaped('linear', 'residual', options.residual, count, rows);
  return { count, cols, rows };
}

export function gatedMlp(x: Tensor, gate: Weight, up: Weight, options: { readonly norm?: NormSpec }): Product {
  const [count, cols] = matrix('gatedMlp', 'x', x);
  norm('gatedMlp', options.norm, cols);
  const rows = productRows('gatedMlp', gate, cols);
  if (productRows('gatedMlp', up, cols) !== rows)
    throw wrong(
      'gatedMlp',
      `gate ${gate.name} is ${list(gate.shape)}, up ${up.name} ${list(up.shape)}; they must be equal`,
    );
  return { count, cols, rows };
}

export function normRows(x: Tensor, spec: NormSpec, residual: Tensor | undefined): void {
  const [count, cols] = matrix('norm', 'x', x);
  const [part = cols] = spec.weight.shape;
  norm('norm', spec, isCount(part) && cols % part === 0 ? part : cols);
  if (residual !== undefined) shaped('norm', 'residual', residual, count, cols);
}

// ---- rows

export function rows(x: Tensor, start: number, count: number): void {
  const [total] = matrix('rows', 'x', x);
  if (!isCount(count) || !isSpan(start, start + count, total))
    throw wrong('rows', `rows [${start}, ${start + count}) of x with ${total}`);
}

export function fold(x: Tensor, count: number): void {
  const [rows] = matrix('fold', 'x', x);
  if (!(Number.isInteger(count) && count >= 1 && rows % count === 0))
    throw wrong('fold', `${rows} rows in groups of ${count}; they should be a multiple of it`);
}

export function take(x: Tensor, indices: Int32Array): void {
  const [total] = matrix('take', 'x', x);
  if (indices.length === 0) throw wrong('take', 'no indices; at least 1 is needed');
  for (const index of indices)
    if (index < -1 || index >= total)
      throw wrong('take', `index ${index} of x with ${total} rows; rows count from 0, and -1 gives zeros`);
}

export function diverse(x: Tensor, candidates: Int32Array, k: number, pivot: number): void {
  const [total] = matrix('diverse', 'x', x);
  for (const row of candidates) if (row < 0 || row >= total) throw wrong('diverse', `row ${row} of x with ${total}`);
  const n = candidates.length;
  if (!isCount(k) || k > n) throw wrong('diverse', `${k} of ${n} rows; 1 to ${n} are possible`);
  if (!Number.isInteger(pivot) || pivot >= n) throw wrong('diverse', `pivot ${pivot} of ${n} rows`);
}

/** Requires a matrix of x's shape, or one row of x's width. */
export function add(a: Tensor, b: Tensor, _activation?: Activation): void {
  const [count, cols] = matrix('add', 'a', a);
  const [rowsOfB, width] = matrix('add', 'b', b);
  if (width !== cols || (rowsOfB !== count && rowsOfB !== 1))
    throw wrong('add', `b is ${list(b.shape)}; it must be [${count}, ${cols}] or [1, ${cols}]`);
}

/** Requires a modulation with a row for every row of x, and x's width of columns from `first` on. */
function columns(operation: string, name: string, modulation: Tensor, first: number, x: Tensor): void {
  const [count, cols] = matrix(operation, 'x', x);
  const [has, width] = matrix(operation, 'modulation', modulation);
  if (has !== count || !isSpan(first, first + cols, width))
    throw wrong(
      operation,
      `modulation is ${list(modulation.shape)}; ${name} needs ${count} rows and columns [${first}, ${first + cols})`,
    );
}

export function modulate(x: Tensor, spec: ModulateSpec): void {
  columns('modulate', 'the shift', spec.modulation, spec.shift, x);
  columns('modulate', 'the scale', spec.modulation, spec.scale, x);
  if ((spec.weight === undefined) !== (spec.bias === undefined))
    throw wrong('modulate', 'one of weight and bias is missing; give both or neither');
  const [, cols] = matrix('modulate', 'x', x);
  if (spec.weight !== undefined) vector('modulate', 'weight', spec.weight, cols);
  if (spec.bias !== undefined) vector('modulate', 'bias', spec.bias, cols);
}

export function gatedAdd(x: Tensor | undefined, y: Tensor, modulation: Tensor, column: number): void {
  const [count, cols] = matrix('gatedAdd', 'y', y);
  if (x !== undefined) shaped('gatedAdd', 'x', x, count, cols);
  columns('gatedAdd', 'the gate', modulation, column, y);
}

// ---- sampling

export function sampler(vocabulary: number): void {
  if (!isCount(vocabulary) || vocabulary > MAX_VOCABULARY)
    throw wrong('sampler', `a vocabulary of ${vocabulary}; 1 to ${MAX_VOCABULARY} are possible`);
}

export function mask(vocabulary: number, bits: Uint32Array | undefined): void {
  const words = Math.ceil(vocabulary / 32);
  if (bits !== undefined && bits.length !== words)
    throw wrong('sampler.mask', `${bits.length} words for a vocabulary of ${vocabulary}; it needs ${words}`);
}

export function sample(logits: Tensor, vocabulary: number, ring: Tensor, index: number): void {
  shaped('sample', 'logits', logits, 1, vocabulary);
  ids('sample', ring, index, index + 1);
}
