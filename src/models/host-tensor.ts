/** A small tensor that the host needs: tables of positions, divisors of RoPE's frequencies. */
import type { Weight, WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import { fromHalf } from '../load/half.ts';
import type { TensorInfo } from '../load/model-file.ts';

/** Formats whose values are read one by one. */
const READERS: Readonly<
  Record<string, { readonly bytes: number; readonly at: (view: DataView, i: number) => number }>
> = {
  F32: { bytes: 4, at: (view, i) => view.getFloat32(4 * i, true) },
  F16: { bytes: 2, at: (view, i) => fromHalf(view.getUint16(2 * i, true)) },
  BF16: { bytes: 2, at: (view, i) => bfloat(view, i) },
};

function bfloat(view: DataView, i: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint16(0, view.getUint16(2 * i, true));
  return bits.getFloat32(0);
}

/**
 * Reads one tensor into host memory; `done` receives its values. Throws `ModelError('tensor-type')` for a format that
 * the host does not read.
 */
export function hostWriter(info: TensorInfo, done: (values: Float32Array) => void): WeightWriter {
  const { name, shape, format } = info;
  const reader = Object.hasOwn(READERS, format) ? READERS[format] : undefined;
  if (reader === undefined)
    throw new ModelError(
      'tensor-type',
      `${name} is in ${format}; it should be F32, F16 or BF16: convert the model again`,
      {
        tensor: name,
        format,
      },
    );
  const length = shape.reduce((product, n) => product * n, 1);
  const bytes = new Uint8Array(reader.bytes * length);
  let at = 0;
  return {
    write: async (chunk) => {
      bytes.set(chunk.subarray(0, bytes.length - at), at);
      at += chunk.length;
    },
    finish: async (): Promise<Weight> => {
      const view = new DataView(bytes.buffer);
      done(Float32Array.from({ length }, (_, i) => reader.at(view, i)));
      return { name, shape, format, bytes: 0, free: () => undefined };
    },
    abort: () => undefined,
  };
}
