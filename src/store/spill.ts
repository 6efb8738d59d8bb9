/**
 * Pages that are offloaded from host memory to disk: parts of a generation that no manifest names, so that those of a
 * closed tab are swept.
 */
import type { Shelf } from './shelf.ts';

/** Milliseconds between renewals: well below the age at which a generation is considered abandoned. */
const RENEWAL = 60_000;
/** An empty part, written to renew the lease. */
const PULSE = 0;

export class Spill {
  readonly #shelf: Shelf;
  readonly #generation = crypto.randomUUID();
  #next = PULSE + 1;
  readonly #held = new Set<number>();
  #begun: Promise<void> | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  async write(bytes: Uint8Array): Promise<number> {
    const number = this.#next++;
    // Held from here on: a drop of all others meanwhile would discard the generation that it is written to.
    this.#held.add(number);
    try {
      this.#begun ??= this.#shelf.begin(this.#generation);
      await this.#begun;
      await this.#shelf.write(this.#generation, number, bytes);
    } catch (error) {
      this.#held.delete(number);
      // The next write begins the generation again, in case another tab has removed it.
      this.#begun = undefined;
      throw error;
    }
    this.#pulse ??= setInterval(() => void this.#renew(), RENEWAL);
    // It must not keep Node alive.
    (this.#pulse as { unref?: () => void }).unref?.();
    return number;
  }

  /** Returns undefined when it is lost, because another tab considered this one closed. */
  read(number: number): Promise<Uint8Array | undefined> {
    return this.#shelf.read(this.#generation, number);
  }

  async drop(number: number): Promise<void> {
    this.#held.delete(number);
    if (this.#held.size === 0) await this.free();
    else await this.#shelf.erase(this.#generation, number);
  }

  /** Frees everything. The object can be written to again afterwards. */
  async free(): Promise<void> {
    clearInterval(this.#pulse);
    this.#pulse = undefined;
    this.#held.clear();
    const begun = this.#begun;
    this.#begun = undefined;
    await begun?.catch(() => undefined);
    if (this.#next > PULSE + 1) await this.#shelf.discard(this.#generation);
  }

  async #renew(): Promise<void> {
    // When it fails, the bytes are lost and will be computed again.
    await this.#shelf.write(this.#generation, PULSE, new Uint8Array(0)).catch(() => undefined);
  }
}
