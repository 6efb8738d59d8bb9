/**
 * Numbers that the host gives to the dispatches of one submit: parameters (uniform, 256-byte windows) and data
 * (storage, windows of a power of two). The host fills a mirror while recording; the device's buffer is written
 * once, right before the submit that reads it.
 */

/** Enough for the parameters of 16,384 dispatches, or for ranges and ids of the same size. */
export const ARENA_BYTES = 1 << 22;

/** Bytes of one parameter window; WebGPU's smallest guaranteed offset alignment is 256 as well. */
export const WINDOW_BYTES = 256;

/** The largest data window. Larger data gets a buffer of its own. */
export const MAXIMUM_DATA_BYTES = ARENA_BYTES / 4;

/** Words for one dispatch. Equal contents within one submit are stored once. */
export interface HostData {
  readonly words: Uint32Array;
}

export class Arena {
  readonly mirror = new ArrayBuffer(ARENA_BYTES);
  readonly u32 = new Uint32Array(this.mirror);
  readonly f32 = new Float32Array(this.mirror);
  #used = 0;
  #last: { words: Uint32Array; offset: number } | undefined;

  get used(): number {
    return this.#used;
  }

  fits(bytes: number): boolean {
    return this.#used + Math.ceil(bytes / WINDOW_BYTES) * WINDOW_BYTES <= ARENA_BYTES;
  }

  /** Reserves `bytes` bytes and returns their offset. Precondition: `fits(bytes)`. */
  take(bytes: number): number {
    const offset = this.#used;
    this.#used += Math.ceil(bytes / WINDOW_BYTES) * WINDOW_BYTES;
    return offset;
  }

  /** Copies words and returns their byte offset; the same words as last time in this submit are not copied again. */
  place(words: Uint32Array, window: number): number {
    const last = this.#last;
    if (last !== undefined && equalWords(last.words, words)) return last.offset;
    const offset = this.take(window);
    this.u32.set(words, offset / 4);
    this.#last = { words: words.slice(), offset };
    return offset;
  }

  reset(): void {
    this.#used = 0;
    this.#last = undefined;
  }
}

export function equalWords(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
