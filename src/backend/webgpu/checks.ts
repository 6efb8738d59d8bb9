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
    throw new InputError('argument', `${operation}: weight ${weight.name} [${weight.shape.join()}] does not take rows of ${cols} values`);
  }
  return rows;
}

/** What is added to a product [rows, cols], if anything is. */
export function residualOf(operation: string, tensor: Tensor | undefined, rows: number, cols: number): Matrix | undefined {
  if (tensor === undefined) return undefined;
  const residual = matrix(operation, 'residual', tensor);
  if (residual.rows !== rows || residual.cols !== cols) {
    throw new InputError('argument', `${operation}: residual [${residual.rows},${residual.cols}] should be [${rows},${cols}]`);
  }
  return residual;
}

/** The width that one or more matrices have in common. */
export function sameColumns(operation: string, name: string, matrices: readonly Matrix[]): number {
  const cols = matrices[0]?.cols;
  if (cols === undefined) throw new InputError('argument', `${operation}: no ${name}`);
  const other = matrices.find((one) => one.cols !== cols);
  if (other !== undefined) throw new InputError('argument', `${operation}: ${name} of ${cols} and of ${other.cols} columns; they should be equally wide`);
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
  if (!(kv.pool instanceof GpuKvPool)) throw new InputError('argument', `${operation}: the view's pool is of another backend`);
  return kv.pool;
}

/** Offsets and runs come from policies: every number is checked, since a wrong one would read another sequence's pages. */
export function checkRanges(ranges: Ranges, rows: number, lists: number, capacity: number): void {
  const { queryBlock, offsets, runs } = ranges;
  const blocks = Math.ceil(rows / queryBlock);
  if (!(queryBlock >= 1) || offsets.length !== blocks * lists + 1) {
    throw new InputError(
      'argument',
      `attention: ranges with ${offsets.length} offsets; ${blocks} query blocks (of ${queryBlock}) of ${lists} lists need ${blocks * lists + 1}`,
    );
  }
  for (let i = 0; i < offsets.length; i += 1) {
    const offset = offsets[i] ?? 0;
    if (2 * offset > runs.length || offset < (offsets[i - 1] ?? 0)) throw new InputError('argument', `attention: ranges offset ${i} is ${offset}, of ${runs.length / 2} runs`);
  }
  for (let r = 0; r < runs.length; r += 1) {
    const edge = runs[r] ?? 0;
    if (edge > capacity) throw new InputError('argument', `attention: a run reaches key ${edge}, the view has ${capacity}`);
  }
}

