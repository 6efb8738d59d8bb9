/** A stored file as a byte source. */
import type { Manifest, ModelStore } from '../store/model-store.ts';
import { abortable, type ByteSource } from './byte-source.ts';

export class StoredSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #store: ModelStore;
  readonly #manifest: Manifest;

  /** `manifest`: of a complete file, or of one whose received bytes are to be read. */
  constructor(store: ModelStore, manifest: Manifest) {
    this.name = manifest.name;
    this.size = manifest.received;
    this.#store = store;
    this.#manifest = manifest;
  }

  /** Record by record. The next record is read while the consumer works on the present one. */
  async *stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    signal?.throwIfAborted();
    const { recordBytes } = this.#manifest;
    const begin = (position: number): Promise<Uint8Array> | undefined => {
      if (position >= end) return undefined;
      const index = Math.floor(position / recordBytes);
      const base = index * recordBytes;
      const promise = this.#store.readRecord(this.#manifest, index, position - base, Math.min(end - base, recordBytes));
      promise.catch(() => {}); // A consumer that stops early does not await this one.
      return promise;
    };
    let position = start;
    for (let next = begin(position); next !== undefined;) {
      const chunk = await abortable(next, signal);
      position += chunk.length;
      next = begin(position);
      yield chunk;
      signal?.throwIfAborted();
    }
  }

  async close(): Promise<void> {}
}
