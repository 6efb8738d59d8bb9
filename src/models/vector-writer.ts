/** A small F32 vector that the host needs and no device: the divisors of RoPE's frequencies. */
import type { Weight, WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { TensorInfo } from '../load/model-file.ts';

export class VectorWriter {
  readonly #length: number;
  /** Once read. */
  values: Float64Array | undefined;

  constructor(length: number) {
    this.#length = length;
  }

  begin(info: TensorInfo): WeightWriter {
    const { name, shape, format } = info;
    if (format !== 'F32' || shape.length !== 1 || shape[0] !== this.#length) {
      throw new ModelError('tensor-shape', `${name} is ${format} [${shape.join(', ')}]; it should be F32 [${this.#length}]`, { tensor: name });
    }
    const bytes = new Uint8Array(4 * this.#length);
    let at = 0;
    return {
      write: async (chunk) => {
        bytes.set(chunk.subarray(0, bytes.length - at), at);
        at += chunk.length;
      },
      finish: async (): Promise<Weight> => {
        const view = new DataView(bytes.buffer);
        this.values = Float64Array.from({ length: this.#length }, (_, i) => view.getFloat32(4 * i, true));
        if (this.values.some((value) => !(value > 0 && value < Infinity))) throw new ModelError('config', `${name} holds a value that is not positive`, { tensor: name });
        return { name, shape, format, bytes: 0, free: () => undefined };
      },
      abort: () => undefined,
    };
  }
}
