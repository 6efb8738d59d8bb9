/** Pages that were offloaded from the device: batches in host memory, and on disk when host memory is full. */

/** The third tier. Written data is identified by numbers. */
export interface PageDisk {
  /** Throws when there is no space. `bytes` may be reused when the promise settles. */
  write(bytes: Uint8Array): Promise<number>;
  /** Undefined when the data is lost. */
  read(number: number): Promise<Uint8Array | undefined>;
  drop(number: number): Promise<void>;
}

/** Pages that were offloaded together: in host memory, or on the disk under `number`. */
export interface Batch {
  readonly size: number;
  bytes: Uint8Array | undefined;
  number: number | undefined;
  /** The number of its parts that are still needed. */
  wanted: number;
}

export class OffloadedPages {
  readonly #disk: PageDisk | undefined;
  #host = 0;
  #stored = 0;

  constructor(disk: PageDisk | undefined) {
    this.#disk = disk;
  }

  /** Bytes in host memory and on disk. A batch counts as a whole until nothing of it is needed any more. */
  get use(): { readonly host: number; readonly disk: number } {
    return { host: this.#host, disk: this.#stored };
  }

  /** Adds a batch of which nothing is needed yet, and takes over `bytes`. */
  add(bytes: Uint8Array): Batch {
    this.#host += bytes.length;
    return { size: bytes.length, bytes, number: undefined, wanted: 0 };
  }

  /**
   * Returns `size` bytes of a batch from `at` on, or undefined when they are lost. A batch that was on disk is in host
   * memory afterwards.
   */
  async bytes(batch: Batch, at: number, size: number): Promise<Uint8Array | undefined> {
    const { number } = batch;
    if (batch.bytes === undefined && number !== undefined) {
      const read = await this.#disk?.read(number).catch(() => undefined);
      if (read?.length !== batch.size) return undefined;
      if (batch.wanted > 0) {
        batch.bytes = read;
        batch.number = undefined;
        this.#host += batch.size;
        this.#stored -= batch.size;
        this.#erase(number);
      }
    }
    return batch.bytes?.subarray(at, at + size);
  }

  /**
   * Writes batches to disk, in their order, until at most `limit` bytes are in host memory. When the disk is full, they
   * stay.
   */
  async spill(batches: Iterable<Batch>, limit: number): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined) return;
    for (const batch of batches) {
      if (this.#host <= limit) return;
      if (batch.bytes === undefined) continue;
      let number: number;
      try {
        number = await disk.write(batch.bytes);
      } catch {
        return;
      }
      if (batch.wanted === 0) {
        this.#erase(number);
        continue;
      }
      batch.bytes = undefined;
      batch.number = number;
      this.#host -= batch.size;
      this.#stored += batch.size;
    }
  }

  /** Discards a batch of which nothing is needed any more. */
  end(batch: Batch): void {
    if (batch.bytes !== undefined) this.#host -= batch.size;
    batch.bytes = undefined;
    if (batch.number === undefined) return;
    this.#stored -= batch.size;
    this.#erase(batch.number);
    batch.number = undefined;
  }

  #erase(number: number): void {
    void this.#disk?.drop(number).catch(() => undefined);
  }
}
