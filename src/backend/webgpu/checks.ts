/** What operations ask of their operands before anything is dispatched: shapes, kinds, bounds. */
import type { Matrix, RmsOperand } from '../../../gpu/kernels/operands.ts';
import { InputError } from '../../errors.ts';
import type { KvView, NormSpec, Ranges, Tensor, Weight } from '../backend.ts';
import { GpuKvPool } from './kv-pool.ts';
import { matrix } from './tensors.ts';
import { vectorOf } from './weights.ts';

/** Rows of a weight that takes rows of `cols` values; throws for one that does not. */
export function productRows(operation: string, weight: Weight, cols: number): number {
  const [rows = 0, wanted] = weight.shape;
  if (weight.shape.length !== 2 || wanted !== cols) {
    throw new InputError(
      'argument',
      `${operation}: weight ${weight.name} [${weight.shape.join()}] does not take rows of ${cols} values`,
    );
  }
  return rows;
}

/** What is added to a product [rows, cols], if anything is. */
export function residualOf(
  operation: string,
  tensor: Tensor | undefined,
  rows: number,
  cols: number,
): Matrix | undefined {
  if (tensor === undefined) return undefined;
  const residual = matrix(operation, 'residual', tensor);
  if (residual.rows !== rows || residual.cols !== cols) {
    throw new InputError(
      'argument',
      `${operation}: residual [${residual.rows},${residual.cols}] should be [${rows},${cols}]`,
    );
  }
  return residual;
}

/** The width that one or more matrices have in common. */
export function sameColumns(operation: string, name: string, matrices: readonly Matrix[]): number {
  const cols = matrices[0]?.cols;
  if (cols === undefined) throw new InputError('argument', `${operation}: no ${name}`);
  const other = matrices.find((one) => one.cols !== cols);
  if (other !== undefined)
    throw new InputError(
      'argument',
      `${operation}: ${name} of ${cols} and of ${other.cols} columns; they should be equally wide`,
    );
  return cols;
}

/** An RMS norm as kernels fuse it. */
export function rms(operation: string, norm: NormSpec | undefined, cols: number): RmsOperand | undefined {
  if (norm === undefined) return undefined;
  if (norm.kind !== 'rms') throw new InputError('argument', `${operation}: a layer norm cannot be fused here`);
  return { weight: vectorOf(operation, 'norm', norm.weight, cols), epsilon: norm.epsilon };
}

/** The view's pool, if it is this kind of backend's. */
export function poolOf(operation: string, kv: KvView): GpuKvPool {
  if (!(kv.pool instanceof GpuKvPool))
    throw new InputError('argument', `${operation}: the view's pool is of another backend`);
  return kv.pool;
}

/** Offsets, runs and biases come from policies: every number is checked, since a wrong one would read another sequence's pages. */
export function checkRanges(operation: string, ranges: Ranges, rows: number, lists: number, capacity: number): void {
  const { queryBlock, offsets, runs, bias } = ranges;
  const blocks = Math.ceil(rows / queryBlock);
  if (!Number.isInteger(queryBlock) || !(queryBlock >= 1) || offsets.length !== blocks * lists + 1) {
    throw new InputError(
      'argument',
      `${operation}: ranges with ${offsets.length} offsets; ${blocks} query blocks (of ${queryBlock}) of ${lists} lists need ${blocks * lists + 1}`,
    );
  }
  if (bias !== undefined && bias.length !== runs.length / 2)
    throw new InputError('argument', `${operation}: ranges with ${bias.length} biases for ${runs.length / 2} runs`);
  for (let i = 0; i < offsets.length; i += 1) {
    const offset = offsets[i] ?? 0;
    if (2 * offset > runs.length || offset < (offsets[i - 1] ?? 0))
      throw new InputError('argument', `${operation}: ranges offset ${i} is ${offset}, of ${runs.length / 2} runs`);
  }
  for (let list = 0; list + 1 < offsets.length; list += 1) {
    let before = 0;
    for (let r = offsets[list] ?? 0; r < (offsets[list + 1] ?? 0); r += 1) {
      const [start, end] = [runs[2 * r] ?? 0, runs[2 * r + 1] ?? 0];
      if (start < before || end < start)
        throw new InputError(
          'argument',
          `${operation}: ranges list ${list}: run [${start}, ${end}) is not sorted, or overlaps the one before, which ends at ${before}`,
        );
      if (end > capacity)
        throw new InputError(
          'argument',
          `${operation}: ranges list ${list}: a run reaches key ${end}, the view has ${capacity}`,
        );
      before = end;
    }
  }
}

/** Pairs (start, end), each at most `limit`: how many. */
export function spanCount(operation: string, spans: Uint32Array, limit = Infinity): number {
  if (spans.length === 0 || spans.length % 2 !== 0)
    throw new InputError('argument', `${operation}: spans of ${spans.length} ends; there must be pairs, at least one`);
  for (let s = 0; s < spans.length; s += 2) {
    const [start, end] = [spans[s] ?? 0, spans[s + 1] ?? 0];
    if (start > end || end > limit)
      throw new InputError(
        'argument',
        `${operation}: span [${start}, ${end}) ${start > end ? 'ends before it begins' : `reaches beyond ${limit}`}`,
      );
  }
  return spans.length / 2;
}
