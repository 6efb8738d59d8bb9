/** Pages that were offloaded from the device: batches in host memory, and on the disk where host memory has no room. */

/** The third tier. Numbers name what was written. */
export interface PageDisk {
  /** Throws where there is no room. `bytes` may be reused when the promise settles. */
  write(bytes: Uint8Array): Promise<number>;
  /** Undefined where it is gone. */
  read(number: number): Promise<Uint8Array | undefined>;
  drop(number: number): Promise<void>;
}

/** Pages that were offloaded together: in host memory, or on the disk under `number`. */
export interface Batch {
  readonly size: number;
  bytes: Uint8Array | undefined;
  number: number | undefined;
  /** Parts of it that are still wanted. */
  wanted: number;
}

export class OffloadedPages {
  readonly #disk: PageDisk | undefined;
  #host = 0;
  #stored = 0;

  constructor(disk: PageDisk | undefined) {
    this.#disk = disk;
  }

  /** Bytes in host memory and on the disk: batches count whole until nothing of them is wanted any more. */
  get use(): { readonly host: number; readonly disk: number } {
    return { host: this.#host, disk: this.#stored };
  }

  /** A batch of which nothing is wanted yet; `bytes` are its own from now on. */
  add(bytes: Uint8Array): Batch {
    this.#host += bytes.length;
    return { size: bytes.length, bytes, number: undefined, wanted: 0 };
  }

  /** `size` bytes of a batch from `at` on, or undefined where they are gone; one that was on the disk is in host memory from now on. */
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

  /** Writes batches to the disk, in their order, until `limit` bytes or fewer are in host memory; where the disk is full, they stay. */
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

  /** Discards a batch of which nothing is wanted any more. */
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
