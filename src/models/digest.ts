/** Distinguishes weights with the same header: fine-tunes of a model, even if only some of its tensors were trained. */
import { createSHA256, type IHasher } from 'hash-wasm';
import type { WeightWriter } from '../backend/backend.ts';
import type { TensorInfo } from '../load/model-file.ts';

/**
 * Of every STEP bytes of a tensor the first LENGTH are hashed: training changes a whole tensor, and hashing all bytes
 * would double the time to load.
 */
const STEP = 1 << 16;
const LENGTH = 256;

/** SHA-256 over samples of every tensor that is read, in the order of reading. */
export class WeightDigest {
  readonly #hasher: IHasher;

  private constructor(hasher: IHasher) {
    this.#hasher = hasher;
  }

  static async create(): Promise<WeightDigest> {
    return new WeightDigest((await createSHA256()).init());
  }

  /** Receives what `writer` is given. Tensors are written one after the other. */
  watch<T extends WeightWriter | undefined>(info: TensorInfo, writer: T): T | WeightWriter {
    if (writer === undefined) return writer;
    let at = 0;
    const write = (chunk: Uint8Array): Promise<void> => {
      if (at === 0) this.#hasher.update(`${info.name} ${info.format} ${info.shape.join()}`);
      for (let start = at - (at % STEP); start < at + chunk.length; start += STEP) {
        const from = Math.max(0, start - at);
        const to = Math.min(chunk.length, start + LENGTH - at);
        if (to > from) this.#hasher.update(chunk.subarray(from, to));
      }
      at += chunk.length;
      return writer.write(chunk);
    };
    return { write, finish: () => writer.finish(), abort: () => writer.abort() };
  }

  /** Returns 64 hexadecimal digits; called once, after the last tensor. */
  value(): string {
    return this.#hasher.digest('hex');
  }
}
