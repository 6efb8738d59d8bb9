/**
 * Paces the steps of a long computation: between them aborts take effect, the device's queue stays short, and the
 * message loop runs.
 */
import type { Backend } from '../backend/backend.ts';
import { TimeSlice } from '../layers/yield.ts';

/** Steps that may be in flight on the device. On WASM a step is complete when it returns. */
const AHEAD = { wasm: 1, webgpu: 4, reference: 1 } as const;

export class Pace {
  readonly #backend: Backend;
  readonly #signal: AbortSignal | undefined;
  readonly #slice = new TimeSlice();
  readonly #running: Promise<void>[] = [];

  constructor(backend: Backend, signal: AbortSignal | undefined) {
    this.#backend = backend;
    this.#signal = signal;
  }

  /** Rejects with the signal's reason, or with the error of a lost device. */
  readonly step = async (): Promise<void> => {
    this.#signal?.throwIfAborted();
    this.#backend.flush();
    const running = this.#backend.idle();
    running.catch(() => undefined);
    this.#running.push(running);
    if (this.#running.length > AHEAD[this.#backend.kind]) await this.#running.shift();
    await this.#slice.yield();
    this.#signal?.throwIfAborted();
  };
}
