/** A small F32 tensor that the host needs: tables of positions, divisors of RoPE's frequencies. */
import type { Weight, WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { TensorInfo } from '../load/model-file.ts';

/** Reads one tensor into host memory; `done` gets its values. Throws `ModelError('tensor-type')` for what is not F32. */
export function hostWriter({ name, shape, format }: TensorInfo, done: (values: Float32Array) => void): WeightWriter {
  if (format !== 'F32')
    throw new ModelError('tensor-type', `${name} is in ${format}; it should be F32: convert the model anew`, {
      tensor: name,
      format,
    });
  const length = shape.reduce((product, n) => product * n, 1);
  const bytes = new Uint8Array(4 * length);
  let at = 0;
  return {
    write: async (chunk) => {
      bytes.set(chunk.subarray(0, bytes.length - at), at);
      at += chunk.length;
    },
    finish: async (): Promise<Weight> => {
      const view = new DataView(bytes.buffer);
      done(Float32Array.from({ length }, (_, i) => view.getFloat32(4 * i, true)));
      return { name, shape, format, bytes: 0, free: () => undefined };
    },
    abort: () => undefined,
  };
}
