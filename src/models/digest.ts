/** Distinguishes weights with the same header: fine-tunes of a model, even if only some of its tensors were trained. */
import { sha256 } from '../hash.ts';
import type { WeightWriter } from '../backend/backend.ts';
import type { TensorInfo } from '../load/model-file.ts';

/**
 * Of every STEP bytes of a tensor the first LENGTH are hashed: training changes a whole tensor, and hashing all bytes
 * would double the time to load.
 */
const STEP = 1 << 16;
const LENGTH = 256;

/** Samples that are kept before they are hashed. */
const BLOCK = 1 << 20;

/** SHA-256 over samples of every tensor that is read, in the order of reading: block by block, each with the digest of those before it. */
export class WeightDigest {
  readonly #block = new Uint8Array(BLOCK);
  readonly #encoder = new TextEncoder();
  #used = 0;
  #before = '';

  /** Receives what `writer` is given. Tensors are written one after the other. */
  watch<T extends WeightWriter | undefined>(info: TensorInfo, writer: T): T | WeightWriter {
    if (writer === undefined) return writer;
    let at = 0;
    const write = async (chunk: Uint8Array): Promise<void> => {
      if (at === 0) await this.#take(this.#encoder.encode(`${info.name} ${info.format} ${info.shape.join()}`));
      for (let start = at - (at % STEP); start < at + chunk.length; start += STEP) {
        const from = Math.max(0, start - at);
        const to = Math.min(chunk.length, start + LENGTH - at);
        if (to > from) await this.#take(chunk.subarray(from, to));
      }
      at += chunk.length;
      return writer.write(chunk);
    };
    return { write, finish: () => writer.finish(), abort: () => writer.abort() };
  }

  /** Returns 64 hexadecimal digits; called after the last tensor. */
  value(): Promise<string> {
    return sha256(this.#before, this.#block.subarray(0, this.#used));
  }

  /** Adds bytes, of any number. */
  async #take(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const count = Math.min(bytes.length - from, BLOCK - this.#used);
      this.#block.set(bytes.subarray(from, from + count), this.#used);
      this.#used += count;
      from += count;
      if (this.#used < BLOCK) continue;
      this.#before = await this.value();
      this.#used = 0;
    }
  }
}
