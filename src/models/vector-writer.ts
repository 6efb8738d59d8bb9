/** The divisors of RoPE's frequencies: a vector for the host, all positive. */
import type { WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { TensorInfo } from '../load/model-file.ts';
import { hostWriter } from './host-tensor.ts';

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
      throw new ModelError(
        'tensor-shape',
        `${name} is ${format} [${shape.join(', ')}]; it should be F32 [${this.#length}]`,
        { tensor: name },
      );
    }
    return hostWriter(info, (values) => {
      this.values = Float64Array.from(values);
      if (values.some((value) => !(value > 0 && value < Infinity)))
        throw new ModelError('config', `${name} holds a value that is not positive`, { tensor: name });
    });
  }
}
