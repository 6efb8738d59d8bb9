/**
 * Writers for tensors that files store differently from the graph's form (weights.ts). Downloaded only for models that
 * have such tensors.
 */
import type { Backend, Weight, WeightWriter } from '../backend/backend.ts';
import { rowBytes } from '../backend/weight.ts';
import type { TensorInfo } from '../load/model-file.ts';
import type { Stored } from './weights.ts';

/** Rows are whole blocks in every format, so that the bytes of each part are contiguous. */
export function splitWriter(
  { name, format }: TensorInfo,
  { rows, cols, times }: { readonly rows: readonly number[]; readonly cols: number; readonly times: number },
  backend: Backend,
  done: (weights: readonly Weight[]) => void,
): WeightWriter {
  const bytes = rowBytes(format, cols);
  const parts: { readonly writer: WeightWriter; readonly run: number }[] = rows.map((count, i) => ({
    writer: backend.weight({ name: `${name} (part ${i})`, shape: [times * count, cols], format }),
    run: count * bytes,
  }));
  const finished: Weight[] = [];
  /** The current part, and its bytes that are still missing. */
  let turn = 0;
  let left = parts[0]?.run ?? 0;
  return {
    write: async (chunk) => {
      for (let at = 0; at < chunk.length;) {
        const piece = chunk.subarray(at, at + left);
        await parts[turn]?.writer.write(piece);
        at += piece.length;
        left -= piece.length;
        if (left > 0) continue;
        turn = (turn + 1) % parts.length;
        left = parts[turn]?.run ?? 0;
      }
    },
    finish: async () => {
      for (const { writer } of parts) finished.push(await writer.finish());
      done(finished);
      return {
        name,
        shape: [times * rows.reduce((sum, n) => sum + n, 0), cols],
        format,
        bytes: finished.reduce((sum, weight) => sum + weight.bytes, 0),
        free: () => {
          for (const weight of finished) weight.free();
        },
      };
    },
    abort: () => {
      for (const weight of finished) weight.free();
      for (const { writer } of parts.slice(finished.length)) writer.abort();
    },
  };
}

/** Collects the tensor, which is a vector or a small matrix in all uses, and passes on its changed form. */
export function changingWriter(
  info: TensorInfo,
  shape: readonly number[],
  { map, order, columns, transposed }: Stored,
  writer: WeightWriter,
): WeightWriter {
  const bytes = new Uint8Array(info.bytes);
  let at = 0;
  return {
    write: async (chunk) => {
      bytes.set(chunk.subarray(0, bytes.length - at), at);
      at += chunk.length;
    },
    finish: async () => {
      // A tensor that is too short is passed on; the device's writer reports it.
      let changed: Uint8Array = bytes.subarray(0, at);
      if (map !== undefined) {
        const view = new DataView(changed.buffer, 0, changed.length);
        for (let i = 0; i + 4 <= changed.length; i += 4) view.setFloat32(i, map(view.getFloat32(i, true)), true);
      }
      if (order !== undefined) {
        const width = info.bytes / (shape[0] ?? 1);
        const moved = new Uint8Array(changed.length);
        for (let row = 0; row < order.length; row++) {
          const from = (order[row] ?? 0) * width;
          moved.set(changed.subarray(from, from + width), row * width);
        }
        changed = moved;
      }
      if (columns !== undefined && at >= info.bytes)
        changed = withColumns(changed, columns, info.bytes / (shape[0] ?? 1));
      if (transposed === true && at >= info.bytes) changed = transpose(changed, shape);
      if (changed.length > 0) await writer.write(changed);
      return writer.finish();
    },
    abort: () => writer.abort(),
  };
}

/** Rows of `rowBytes` bytes, each with the values that `columns` names, in their order. */
function withColumns(bytes: Uint8Array, columns: ArrayLike<number>, rowBytes: number): Uint8Array {
  const size = rowBytes / columns.length;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < bytes.length; row += rowBytes)
    for (let col = 0; col < columns.length; col++) {
      const from = row + (columns[col] ?? 0) * size;
      for (let i = 0; i < size; i++) out[row + col * size + i] = bytes[from + i] ?? 0;
    }
  return out;
}

/** From [cols, rows] to [rows, cols], values of any whole number of bytes. */
function transpose(bytes: Uint8Array, [rows = 1, cols = 1]: readonly number[]): Uint8Array {
  const size = bytes.length / (rows * cols);
  const out = new Uint8Array(bytes.length);
  for (let col = 0; col < cols; col++)
    for (let row = 0; row < rows; row++) {
      const from = (col * rows + row) * size;
      for (let i = 0; i < size; i++) out[(row * cols + col) * size + i] = bytes[from + i] ?? 0;
    }
  return out;
}
